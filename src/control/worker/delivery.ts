// How a worker's blocks reach their consumers: the part of a scheduling mode that workers carry
// out. Pushing is pre-scheduling [Drizzle §3.2]: whoever produces knows who consumes. Pulling is
// what bulk-synchronous engines do: consumers, once launched, ask where blocks are and fetch them.

import { unreachable } from '../../base/assert.ts';
import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import type { BlockEntry, StartGroup } from '../protocol/messages.ts';
import type { Template } from '../protocol/template.ts';
import { workersOf } from '../protocol/template.ts';

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
  /** The last local producer of the exchange is done. */
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
  const consumers = template.exchanges.map(({ to }) => workersOf(template.stages[to]!));
  return {
    keeps: false,
    produced(blocks) {
      const all = consumers[blocks.exchange]!;
      for (const consumer of all) if (consumer !== worker) host.give(consumer, blocks);
      if (all.includes(worker)) host.give(worker, blocks);
    },
    launched: nothing,
    stageDone: nothing,
    located: nothing,
    pulled: nothing,
  };
}

function pull(host: DeliveryHost): DeliveryPolicy {
  const { template, worker } = host;
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
        if (producer !== worker) host.pull(producer, batch, exchange);
        else host.give(worker, { batch, exchange, entries: host.outputs(batch, exchange) });
      }
    },
    pulled(by, batch, exchange) {
      host.give(by, { batch, exchange, entries: host.outputs(batch, exchange) });
    },
  };
}

function nothing(): void {
  // The other way of delivering does something here.
}
