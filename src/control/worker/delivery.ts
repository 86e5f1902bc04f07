// How a worker's blocks reach their consumers: the part of a scheduling mode that workers carry
// out. Pushing is pre-scheduling [Drizzle §3.2]: whoever produces knows who consumes. Pulling is
// what bulk-synchronous engines do: consumers, once launched, ask where blocks are and fetch them.

import { unreachable } from '../../base/assert.ts';
import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import type { BlockEntry, StartGroup } from '../protocol/messages.ts';
import { bundleFor, bundleOf, producersOf } from '../protocol/routing.ts';
import type { Template } from '../protocol/template.ts';
import { partitionsOn, workersOf } from '../protocol/template.ts';

/** What a delivery may see and do of its worker. */
export type DeliveryHost = {
  readonly worker: WorkerId;
  readonly template: Template;
  /** What local producers have given for the exchange so far. */
  outputs(batch: BatchNumber, exchange: number): readonly BlockEntry[];
  /** Sends a consumer those of the blocks that it still needs, or records them if it lives here. */
  give(to: WorkerId, blocks: Blocks): void;
  pull(from: WorkerId, batch: BatchNumber, exchange: number): void;
  askLocations(batch: BatchNumber, exchange: number): void;
  tellStageDone(stage: number, batch: BatchNumber): void;
};

export type Blocks = {
  readonly batch: BatchNumber;
  readonly exchange: number;
  readonly entries: readonly BlockEntry[];
};

export type DeliveryPolicy = {
  /** Blocks are asked for later, so they must be kept when they have been produced. */
  readonly keeps: boolean;
  /** The last local producer of a bundle is done. */
  produced(blocks: Blocks): void;
  /** An order has come that permits the stage, or all of them. */
  launched(order: StartGroup): void;
  /** All local tasks of the stage are done and visible. */
  stageDone(stage: number, batch: BatchNumber): void;
  /** The driver has said who holds the blocks of an exchange. */
  located(batch: BatchNumber, exchange: number, workers: readonly WorkerId[]): void;
  /** A consumer asks for its blocks. */
  pulled(by: WorkerId, batch: BatchNumber, exchange: number): void;
};

export function deliveryOf(host: DeliveryHost): DeliveryPolicy {
  switch (host.template.delivery) {
    case 'push':
      return push(host);
    case 'pull':
      return pull(host);
    default:
      return unreachable(host.template.delivery);
  }
}

function push(host: DeliveryHost): DeliveryPolicy {
  const { template, worker } = host;
  const consumers = template.exchanges.map(({ to, fanIn }) =>
    fanIn === undefined ? workersOf(template.stages[to]!) : null,
  );
  return {
    keeps: false,
    produced(blocks) {
      const { exchange, entries } = blocks;
      const all = consumers[exchange]!;
      const to = all ?? [consumerOf(template, exchange, entries[0]!.producer)];
      for (const consumer of to) if (consumer !== worker) host.give(consumer, blocks);
      if (to.includes(worker)) host.give(worker, blocks);
    },
    launched: nothing,
    stageDone: nothing,
    located: nothing,
    pulled: nothing,
  };
}

function pull(host: DeliveryHost): DeliveryPolicy {
  const { template, worker } = host;
  const producers = template.exchanges.map((_, exchange) => feedersOf(template, exchange, worker));
  const outputsFor = (
    consumer: WorkerId,
    batch: BatchNumber,
    exchange: number,
  ): readonly BlockEntry[] => {
    const entries = host.outputs(batch, exchange);
    if (template.exchanges[exchange]!.fanIn === undefined) return entries;
    return entries.filter(({ producer }) => consumerOf(template, exchange, producer) === consumer);
  };
  return {
    keeps: true,
    produced: nothing,
    launched({ stage, first }) {
      if (stage === null || !template.stages[stage]!.placement.includes(worker)) return;
      for (const exchange of template.stages[stage]!.inputs) host.askLocations(first, exchange);
    },
    stageDone: (stage, batch) => host.tellStageDone(stage, batch),
    located(batch, exchange, workers) {
      for (const producer of workers) {
        if (producers[exchange]?.has(producer) === false) continue;
        if (producer !== worker) host.pull(producer, batch, exchange);
        else host.give(worker, { batch, exchange, entries: outputsFor(worker, batch, exchange) });
      }
    },
    pulled(by, batch, exchange) {
      host.give(by, { batch, exchange, entries: outputsFor(by, batch, exchange) });
    },
  };
}

/** Where the only consumer of a producer lives, in an exchange with a fan-in. */
function consumerOf({ stages, exchanges }: Template, exchange: number, producer: number): WorkerId {
  const routed = exchanges[exchange]!;
  return stages[routed.to]!.placement[bundleOf(routed, producer)]!;
}

/** Workers with blocks for a worker's consumer partitions; null: all that have any. */
function feedersOf(
  { stages, exchanges }: Template,
  exchange: number,
  worker: WorkerId,
): ReadonlySet<WorkerId> | null {
  const routed = exchanges[exchange]!;
  if (routed.fanIn === undefined) return null;
  const { placement } = stages[routed.from]!;
  const feeders = new Set<WorkerId>();
  for (const consumer of partitionsOn(stages[routed.to]!, worker)) {
    const { first, end } = producersOf(routed, bundleFor(routed, consumer), placement.length);
    for (let producer = first; producer < end; producer++) feeders.add(placement[producer]!);
  }
  return feeders;
}

function nothing(): void {
  // The other way of delivering does something here.
}
