// A template: everything about a group's schedule that does not change from one group to the next.
// Installed on a worker once; groups are then started by a few numbers, and every worker derives
// its tasks from template and micro-batch number (Execution Templates, ATC'17; Canary).

import { assert } from '../../base/assert.ts';
import type { PlacementVersion, WorkerId } from './ids.ts';
import type { Routed } from './routing.ts';
import { bundleFor, bundleOf, consumersFed, producersOf } from './routing.ts';

/**
 * How blocks reach their consumers. `push`: as soon as they are there, since everybody knows where
 * consumers are (pre-scheduling). `pull`: the consumer asks for them once its stage is launched,
 * and every stage that is done is reported.
 */
export type Delivery = 'push' | 'pull';

export type Reach = 'none' | 'lost' | 'all';

export type Template = {
  readonly version: PlacementVersion;
  readonly delivery: Delivery;
  /**
   * Null: a task runs once, when its inputs are complete. Otherwise the task of a micro-batch stays
   * open: a source task gives a part every `partMs`, and consumers take parts as they come, until
   * every producer has given its last.
   */
  readonly partMs: number | null;
  /**
   * What is made anew when a worker is lost: `lost`, what it had (lineage); `all`, everything
   * (global rollback); `none`, the job fails.
   */
  readonly reach: Reach;
  readonly planHash: string;
  /** `stages[i]` is stage i: producers before consumers. */
  readonly stages: readonly TemplateStage[];
  /** `exchanges[i]` is exchange i. */
  readonly exchanges: readonly TemplateExchange[];
  /** Who keeps copies of what source tasks of another host give; ascending by `of`, each once. */
  readonly backups: readonly Backup[];
};

export type Backup = { readonly of: WorkerId; readonly at: WorkerId };

export type TemplateStage = {
  /** The stage reads a source; then it has no inputs. */
  readonly source: boolean;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Rows of the stage become visible somewhere. */
  readonly sinks: boolean;
  /** Worker of each partition. */
  readonly placement: readonly WorkerId[];
};

export type TemplateExchange = { readonly from: number; readonly to: number } & Routed;

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
export function workerCountOf(template: Template): number {
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

/** The workers that hold a partition of any stage, ascending. */
export function workersIn({ stages }: Template): readonly WorkerId[] {
  return ascending(new Set(stages.flatMap(({ placement }) => placement)));
}

/** Whom a worker tells about its finished micro-batches, and who tells it; both ascending. */
export type ProgressLinks = {
  readonly producers: readonly WorkerId[];
  readonly consumers: readonly WorkerId[];
};

/**
 * Who tells whom about finished micro-batches: so that sources run ahead of every stage that their
 * rows reach by a bound. A consumer need not tell when its own sources, which wait for it, feed a
 * stage on the producer: then the producer's micro-batches wait for it too.
 */
export function progressLinks(template: Template, worker: WorkerId): ProgressLinks {
  // Spares thousands of workers the look at all partitions.
  if (template.exchanges.length === 0) return { producers: [], consumers: [] };
  let consumers: ReadonlySet<WorkerId> = new Set<WorkerId>();
  let producers: ReadonlySet<WorkerId> = new Set<WorkerId>();
  const reached = reachedFrom(template, worker);
  const feeding = feedingOf(template, worker);
  template.stages.forEach(({ source, placement }, id) => {
    if (source) producers = producers.union(workersAt(placement, feeding[id]!));
    else consumers = consumers.union(workersAt(placement, reached[id]!));
  });
  const apart = (
    workers: ReadonlySet<WorkerId>,
    gated: ReadonlySet<WorkerId>,
  ): readonly WorkerId[] =>
    ascending(workers.difference(gated)).filter((other) => other !== worker);
  return { producers: apart(producers, consumers), consumers: apart(consumers, producers) };
}

function ascending(workers: Iterable<WorkerId>): readonly WorkerId[] {
  return [...workers].sort((a, b) => a - b);
}

/** Partitions of a stage; `all` spares the list. */
type Partitions = Set<number> | 'all';

function workersAt(placement: readonly WorkerId[], partitions: Partitions): ReadonlySet<WorkerId> {
  if (partitions === 'all') return new Set(placement);
  return new Set(Array.from(partitions, (partition) => placement[partition]!));
}

/** By stage: the partitions that rows of the worker's source partitions reach, these included. */
function reachedFrom({ stages, exchanges }: Template, worker: WorkerId): readonly Partitions[] {
  const reached = stages.map((stage): Partitions =>
    stage.source ? new Set(partitionsOn(stage, worker)) : new Set(),
  );
  // Producers come before consumers, so one pass over the exchanges in that order is enough.
  for (const exchange of exchanges.toSorted((a, b) => a.from - b.from)) {
    const from = reached[exchange.from]!;
    const to = reached[exchange.to]!;
    if (to === 'all' || (from !== 'all' && from.size === 0)) continue;
    if (exchange.fanIn === undefined) {
      reached[exchange.to] = 'all';
      continue;
    }
    const producers = from === 'all' ? stages[exchange.from]!.placement.keys() : from;
    for (const producer of producers) to.add(bundleOf(exchange, producer));
  }
  return reached;
}

/** By stage: the partitions whose rows reach a partition of the worker, its own included. */
function feedingOf({ stages, exchanges }: Template, worker: WorkerId): readonly Partitions[] {
  const feeding = stages.map((stage): Partitions =>
    stage.source ? new Set() : new Set(partitionsOn(stage, worker)),
  );
  for (const exchange of exchanges.toSorted((a, b) => b.to - a.to)) {
    const to = feeding[exchange.to]!;
    const from = feeding[exchange.from]!;
    if (from === 'all' || (to !== 'all' && to.size === 0)) continue;
    if (exchange.fanIn === undefined) {
      feeding[exchange.from] = 'all';
      continue;
    }
    const producerCount = stages[exchange.from]!.placement.length;
    for (const consumer of to === 'all' ? stages[exchange.to]!.placement.keys() : to) {
      const { first, end } = producersOf(exchange, bundleFor(exchange, consumer), producerCount);
      for (let producer = first; producer < end; producer++) from.add(producer);
    }
  }
  return feeding;
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
  assert(isRoutedWell(template), 'a producer has no consumer, or a consumer no producer');
}

/** Every producer has a consumer for each of its exchanges, and every consumer some producer. */
export function isRoutedWell({
  stages,
  exchanges,
}: Pick<Template, 'stages' | 'exchanges'>): boolean {
  const fedBy = (exchange: TemplateExchange): number =>
    consumersFed(exchange, stages[exchange.from]!.placement.length);
  const feedsAll = (exchange: TemplateExchange): boolean =>
    exchange.fanIn === undefined || fedBy(exchange) <= stages[exchange.to]!.placement.length;
  return (
    exchanges.every(feedsAll) &&
    stages.every(
      ({ source, inputs, placement }) =>
        source || inputs.some((input) => fedBy(exchanges[input]!) >= placement.length),
    )
  );
}
