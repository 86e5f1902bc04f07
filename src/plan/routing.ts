// Which partitions an exchange joins: from its partitioning to the producers that a consumer
// partition waits for.

import type { Exchange } from './physical-plan.ts';

/**
 * Consumer partition c takes the producers [c · fanIn, (c + 1) · fanIn); null: every consumer takes
 * every producer.
 */
export function fanInOf({ partitioning }: Pick<Exchange, 'partitioning'>): number | null {
  return partitioning.kind === 'fan-in' ? partitioning.fanIn : null;
}

/** The producers of a consumer partition, of as many as there are. */
export function producersOf(
  exchange: Pick<Exchange, 'partitioning'>,
  consumer: number,
  producerCount: number,
): { readonly first: number; readonly count: number } {
  const fanIn = fanInOf(exchange);
  if (fanIn === null) return { first: 0, count: producerCount };
  const first = Math.min(consumer * fanIn, producerCount);
  return { first, count: Math.min(fanIn, producerCount - first) };
}

/** Blocks that a task gives: one for each consumer partition, or one for whoever takes it. */
export function blockCount({ partitioning }: Exchange, consumerCount: number): number {
  return partitioning.kind === 'hash' ? consumerCount : 1;
}

/** Where a consumer partition finds its block. */
export function blockIndex({ partitioning }: Exchange, consumer: number): number {
  return partitioning.kind === 'hash' ? consumer : 0;
}
