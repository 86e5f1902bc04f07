// One round of recovery: what every survivor says it has, what the range log says, and the order
// that follows from both. Pure: the same answers always give the same order.
//
// Unlike [Drizzle §3.3], which runs lost stages again one after the other, survivors keep state and
// blocks, and only lost partitions are made anew, spread over all.

import type { BatchNumber, PlacementVersion, WorkerId } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type {
  BatchSpan,
  Handle,
  KnownRanges,
  PartitionSnapshot,
  Place,
  WorkerStatus,
} from '../protocol/messages.ts';
import type { Recovery } from '../protocol/recovery.ts';
import { replaysInOrder } from '../protocol/recovery.ts';
import type { Template } from '../protocol/template.ts';
import type { Execution } from './modes.ts';
import type { PlanShape } from './placement.ts';
import { placeLost } from './placement.ts';

/** What a checkpoint says of the job's state. */
export type Checkpoint = {
  readonly batch: BatchNumber;
  readonly snapshots: readonly PartitionSnapshot[];
};

export const noCheckpoint: Checkpoint = { batch: noBatch, snapshots: [] };

export type RoundInput = {
  readonly round: number;
  readonly shape: PlanShape;
  readonly execution: Execution;
  /** No placement so far had this number. */
  readonly version: PlacementVersion;
  readonly checkpoint: Checkpoint;
  readonly statuses: ReadonlyMap<WorkerId, WorkerStatus>;
  /** Where they run. */
  readonly hosts: ReadonlyMap<WorkerId, number>;
  /** What the range log holds after the checkpoint. */
  readonly logged: readonly KnownRanges[];
  /** Workers that have nothing yet get their share of what the others have. */
  readonly rebalances: boolean;
  /** The micro-batch in which all sources end; -1: none is planned. */
  readonly finalBatch: BatchNumber;
  readonly cut: number;
};

export type PlannedRecovery = {
  readonly recovery: Recovery;
  /** What survivors know and the log does not: it must be durable before anybody acts on it. */
  readonly unlogged: readonly KnownRanges[];
};

export function planRecovery(input: RoundInput): PlannedRecovery {
  const { round, shape, execution, version, checkpoint, statuses, hosts, cut } = input;
  const workers = [...statuses.keys()].sort((a, b) => a - b);
  const owned = ownersOf(shape, execution, statuses);
  const owners = input.rebalances ? relieved(owned, workers.length) : owned;
  const template = placeLost(shape, owners, { workers, order: { ...execution, version, hosts } });
  const moved = owners.flatMap((stage, id) =>
    stage.flatMap((owner, partition) => (owner === null ? [{ stage: id, partition }] : [])),
  );
  const seen = execution.reach === 'lost' ? [...statuses.values()] : [];
  const known: KnownRanges[] = [];
  const unlogged: KnownRanges[] = [];
  for (const place of moved) {
    if (!shape.stages[place.stage]!.source) continue;
    const logged = rangesAfter(place, checkpoint.batch, input.logged);
    const all = rangesAfter(place, checkpoint.batch, [
      ...input.logged,
      ...seen.flatMap(({ ranges }) => ranges),
    ]);
    if (all.ranges.length > 0) known.push(all);
    if (all.ranges.length > logged.ranges.length) {
      const first = (all.first + logged.ranges.length) as BatchNumber;
      unlogged.push({ ...place, first, ranges: all.ranges.slice(logged.ranges.length) });
    }
  }
  const end = boundaryOf(execution, { checkpoint, statuses, known });
  const reruns = rerunsOf(template, { statuses, checkpoint, moved, known });
  const needed = new Set([...moved, ...reruns].map(nameOf));
  return {
    unlogged,
    recovery: {
      round,
      template,
      checkpoint: checkpoint.batch,
      end,
      cut,
      final: input.finalBatch !== noBatch && input.finalBatch === end - 1,
      moved,
      snapshots: checkpoint.snapshots.filter((snapshot) => needed.has(nameOf(snapshot))),
      known,
      reruns,
      done:
        execution.reach === 'lost'
          ? Array.from(statuses, ([worker, { doneThrough }]) => ({ worker, through: doneThrough }))
          : [],
    },
  };
}

/** By stage and partition: the survivor that has it and keeps it; null: it is to be made anew. */
function ownersOf(
  shape: PlanShape,
  { reach }: Execution,
  statuses: RoundInput['statuses'],
): readonly (readonly (WorkerId | null)[])[] {
  const owners = shape.stages.map(({ partitionCount }) =>
    new Array<WorkerId | null>(partitionCount).fill(null),
  );
  if (reach !== 'lost') return owners;
  // Two may have a partition after a change of drivers; the later placement counts.
  const byAge = [...statuses].sort(([, a], [, b]) => a.version - b.version);
  for (const [worker, { owned }] of byAge) {
    for (const { stage, partition } of owned) owners[stage]![partition] = worker;
  }
  return owners;
}

/** Whoever has more of a stage than an even share gives what is beyond it. */
function relieved(
  owners: readonly (readonly (WorkerId | null)[])[],
  workerCount: number,
): readonly (readonly (WorkerId | null)[])[] {
  return owners.map((stage) => {
    const shareMax = Math.ceil(stage.length / workerCount);
    const shares = new Map<WorkerId, number>();
    return stage.map((owner) => {
      if (owner === null) return null;
      const share = (shares.get(owner) ?? 0) + 1;
      shares.set(owner, share);
      return share > shareMax ? null : owner;
    });
  });
}

/** The first micro-batch that nobody has begun and of which no range is decided. */
function boundaryOf(
  { reach, delivery }: Execution,
  {
    checkpoint,
    statuses,
    known,
  }: Pick<RoundInput, 'checkpoint' | 'statuses'> & { readonly known: readonly KnownRanges[] },
): BatchNumber {
  let end = checkpoint.batch + 1;
  // Where the driver launches every stage, it launches those again that were rolled back.
  if (delivery === 'pull') return end as BatchNumber;
  for (const { first, ranges } of known) end = Math.max(end, first + ranges.length);
  if (reach !== 'lost') return end as BatchNumber;
  for (const { startedThrough, owned } of statuses.values()) {
    end = Math.max(end, startedThrough + 1);
    // Whoever took a source partition over goes on behind what others have run of it.
    for (const { next } of owned) end = Math.max(end, next);
  }
  return end as BatchNumber;
}

/** Source tasks whose blocks nobody keeps, though somebody needs them. */
function rerunsOf(
  template: Template,
  {
    statuses,
    checkpoint,
    moved,
    known,
  }: Pick<RoundInput, 'checkpoint' | 'statuses'> & {
    readonly moved: readonly Place[];
    readonly known: readonly KnownRanges[];
  },
): Recovery['reruns'] {
  if (template.reach !== 'lost') return [];
  const all = [...statuses.values()];
  const consumersMoved = moved.some(({ stage }) => !template.stages[stage]!.source);
  const done = Math.min(...all.map(({ doneThrough }) => doneThrough));
  const first = consumersMoved ? checkpoint.batch + 1 : Math.max(checkpoint.batch, done) + 1;
  const ends = new Map<string, number>();
  for (const [worker, { owned }] of statuses) {
    for (const place of owned) {
      const owner = template.stages[place.stage]!.placement[place.partition];
      if (owner === worker) ends.set(nameOf(place), place.next);
    }
  }
  for (const place of moved) ends.delete(nameOf(place));
  for (const place of known) ends.set(nameOf(place), place.first + place.ranges.length);
  const kept = new Map<string, BatchSpan[]>();
  for (const { stage, partition, spans } of all.flatMap((status) => status.kept)) {
    const name = nameOf({ stage, partition });
    kept.set(name, [...(kept.get(name) ?? []), ...spans]);
  }
  const reruns: (Place & { readonly spans: readonly BatchSpan[] })[] = [];
  template.stages.forEach(({ source, outputs, placement }, stage) => {
    if (!source || outputs.length === 0 || replaysInOrder(template, stage)) return;
    placement.forEach((_, partition) => {
      const name = nameOf({ stage, partition });
      const wanted = { first, end: ends.get(name) ?? first };
      const spans = without(wanted, kept.get(name) ?? []);
      if (spans.length > 0) reruns.push({ stage, partition, spans });
    });
  });
  return reruns;
}

/** What is left of a span without others. */
function without(
  wanted: { readonly first: number; readonly end: number },
  spans: readonly BatchSpan[],
): readonly BatchSpan[] {
  const left: BatchSpan[] = [];
  let next = wanted.first;
  const add = (end: number): void => {
    const stop = Math.min(end, wanted.end);
    if (stop > next) left.push({ first: next as BatchNumber, end: stop as BatchNumber });
  };
  for (const span of spans.toSorted((a, b) => a.first - b.first)) {
    add(span.first);
    next = Math.max(next, span.end);
  }
  add(wanted.end);
  return left;
}

/** A partition's ranges after a micro-batch, from all that is known, as far as none is missing. */
function rangesAfter(
  { stage, partition }: Place,
  batch: BatchNumber,
  all: readonly KnownRanges[],
): KnownRanges {
  const byBatch = new Map<number, readonly Handle[]>();
  for (const known of all) {
    if (known.stage !== stage || known.partition !== partition) continue;
    known.ranges.forEach((parts, index) => {
      const number = known.first + index;
      if (!byBatch.has(number)) byBatch.set(number, parts);
    });
  }
  const first = (batch + 1) as BatchNumber;
  const ranges: (readonly Handle[])[] = [];
  for (let next: number = first; byBatch.has(next); next++) ranges.push(byBatch.get(next)!);
  return { stage, partition, first, ranges };
}

function nameOf({ stage, partition }: Place): string {
  return `${stage}/${partition}`;
}
