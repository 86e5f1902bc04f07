// Who feeds whom across an exchange. A bundle is the producers that feed the same consumers: in an
// all-to-all exchange there is one, number 0, for all consumers; with a fan-in bundle c feeds
// consumer partition c alone, so that c waits for nobody else [Drizzle §3.2].

import type { WorkerId } from './ids.ts';

/** What routing needs to know of an exchange. */
export type Routed = {
  /**
   * Consumer partition c waits for the producer partitions [c · fanIn, (c + 1) · fanIn) alone; 1
   * leads from partition to partition. Missing: every consumer waits for every producer.
   */
  readonly fanIn?: number;
};

/** The bundle that a producer partition belongs to. */
export function bundleOf({ fanIn }: Routed, producer: number): number {
  return fanIn === undefined ? 0 : Math.floor(producer / fanIn);
}

/** The bundle that a consumer partition waits for. */
export function bundleFor({ fanIn }: Routed, consumer: number): number {
  return fanIn === undefined ? 0 : consumer;
}

export type ProducerRange = {
  readonly first: number;
  /** Exclusive; `first` when nobody feeds the bundle's consumer. */
  readonly end: number;
};

/** The producer partitions of a bundle, of as many as there are. */
export function producersOf(
  { fanIn }: Routed,
  bundle: number,
  producerCount: number,
): ProducerRange {
  if (fanIn === undefined) return { first: 0, end: producerCount };
  const first = Math.min(bundle * fanIn, producerCount);
  return { first, end: Math.min(first + fanIn, producerCount) };
}

/** Consumer partitions, counted from 0, that are fed at all; Infinity: as many as there are. */
export function consumersFed({ fanIn }: Routed, producerCount: number): number {
  return fanIn === undefined ? Infinity : Math.ceil(producerCount / fanIn);
}

/** By bundle: how many of its producers live on a worker. */
export function localProducers(
  exchange: Routed,
  placement: readonly WorkerId[],
  worker: WorkerId,
): Int32Array {
  const counts = new Int32Array(bundleOf(exchange, placement.length - 1) + 1);
  placement.forEach((owner, producer) => {
    if (owner === worker) counts[bundleOf(exchange, producer)]!++;
  });
  return counts;
}
