// A template: everything about a group's schedule that does not change from one group to the next.
// Installed on a worker once; groups are then started by a few numbers, and every worker derives
// its tasks from template and micro-batch number (Execution Templates, ATC'17; Canary).

import { assert } from '../../base/assert.ts';
import type { PlacementVersion, WorkerId } from './ids.ts';

/**
 * How blocks reach their consumers. `push`: as soon as they are there, since everybody knows where
 * consumers are (pre-scheduling). `pull`: the consumer asks for them once its stage is launched,
 * and every stage that is done is reported.
 */
export type Delivery = 'push' | 'pull';

export type Template = {
  readonly version: PlacementVersion;
  readonly delivery: Delivery;
  /**
   * Null: a task runs once, when its inputs are complete. Otherwise the task of a micro-batch stays
   * open: a source task gives a part every `partMs`, and consumers take parts as they come, until
   * every producer has given its last.
   */
  readonly partMs: number | null;
  readonly planHash: string;
  /** `stages[i]` is stage i: producers before consumers. */
  readonly stages: readonly TemplateStage[];
  /** `exchanges[i]` is exchange i. */
  readonly exchanges: readonly TemplateExchange[];
};

export type TemplateStage = {
  /** The stage reads a source; then it has no inputs. */
  readonly source: boolean;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Worker of each partition. */
  readonly placement: readonly WorkerId[];
};

export type TemplateExchange = { readonly from: number; readonly to: number };

/** The partitions of a stage that live on a worker, ascending. */
export function partitionsOn(stage: TemplateStage, worker: WorkerId): readonly number[] {
  const partitions: number[] = [];
  stage.placement.forEach((owner, partition) => {
    if (owner === worker) partitions.push(partition);
  });
  return partitions;
}

/** The workers that hold at least one partition of a stage, ascending. */
export function workersOf(stage: TemplateStage): readonly WorkerId[] {
  return ascending(new Set(stage.placement));
}

/** How many workers hold a partition of any stage. */
export function workersIn(template: Template): number {
  const seen: boolean[] = [];
  let count = 0;
  for (const { placement } of template.stages) {
    for (const worker of placement) {
      if (seen[worker] === true) continue;
      seen[worker] = true;
      count++;
    }
  }
  return count;
}

/** Whom a worker tells about its finished micro-batches, and who tells it; both ascending. */
export type ProgressLinks = {
  readonly producers: readonly WorkerId[];
  readonly consumers: readonly WorkerId[];
};

/**
 * Who tells whom about finished micro-batches: so that sources run ahead of every stage downstream
 * by a bound. A consumer need not tell when its own sources, which wait for it, feed a stage on the
 * producer: then the producer's micro-batches wait for it too.
 */
export function progressLinks(template: Template, worker: WorkerId): ProgressLinks {
  // For each source: who reads it, and who holds a stage that its rows reach.
  const flows = template.stages.flatMap((stage, id) => {
    const downstream = stage.source ? downstreamOf(template, id) : [];
    if (downstream.length === 0) return [];
    const reached = downstream.flatMap((to) => template.stages[to]!.placement);
    return [{ readers: new Set(stage.placement), reached: new Set(reached) }];
  });
  const gated = (consumer: WorkerId, producer: WorkerId): boolean =>
    flows.some((flow) => flow.readers.has(consumer) && flow.reached.has(producer));
  const producers = new Set<WorkerId>();
  const consumers = new Set<WorkerId>();
  for (const { readers, reached } of flows) {
    if (reached.has(worker)) {
      for (const reader of readers) if (!gated(worker, reader)) producers.add(reader);
    }
    if (readers.has(worker)) {
      for (const other of reached) if (!gated(other, worker)) consumers.add(other);
    }
  }
  producers.delete(worker);
  consumers.delete(worker);
  return { producers: ascending(producers), consumers: ascending(consumers) };
}

function ascending(workers: Iterable<WorkerId>): readonly WorkerId[] {
  return [...workers].sort((a, b) => a - b);
}

/** The stages that rows of a stage reach, ascending, without itself. */
function downstreamOf(template: Template, stage: number): readonly number[] {
  const found = new Set<number>([stage]);
  // Producers come before consumers, so one pass over the exchanges in that order is enough.
  const ordered = [...template.exchanges].sort((a, b) => a.from - b.from);
  for (const { from, to } of ordered) if (found.has(from)) found.add(to);
  found.delete(stage);
  return [...found].sort((a, b) => a - b);
}

/** Our own mistakes in a template; a template never comes from outside the driver. */
export function assertTemplate(template: Template): void {
  template.stages.forEach((stage, id) => {
    assert(stage.placement.length > 0, `stage ${id} has no partition`);
    assert(stage.source === (stage.inputs.length === 0), `stage ${id}: a source has no inputs`);
    for (const input of stage.inputs) {
      assert(
        template.exchanges[input]?.to === id,
        `exchange ${input} does not lead to stage ${id}`,
      );
    }
    for (const output of stage.outputs) {
      assert(template.exchanges[output]?.from === id, `exchange ${output} does not leave ${id}`);
    }
  });
  template.exchanges.forEach((exchange, id) => {
    assert(exchange.from < exchange.to, `exchange ${id} leads backwards`);
  });
}
