// How a cluster goes on after a loss: one order, the same for all, from which every worker derives
// what it takes over, what it sends again and what it runs again. Survivors keep their state.

import type { BatchNumber, WorkerId } from './ids.ts';
import type { BatchSpan, KnownRanges, PartitionSnapshot, Place } from './messages.ts';
import type { Template } from './template.ts';
import { workersIn } from './template.ts';

export type Recovery = {
  readonly round: number;
  /** The placement that holds from now on, for all micro-batches. */
  readonly template: Template;
  /** State begins as of this micro-batch; -1: at the very beginning. */
  readonly checkpoint: BatchNumber;
  /** Permission through here; beyond, it is withdrawn. Nobody has started it. */
  readonly end: BatchNumber;
  /** Cuts through this one are decided, or given up. */
  readonly cut: number;
  /** Sources end with micro-batch `end - 1`. */
  readonly final: boolean;
  /** Every partition whose state is to be made anew. Others stay as they are. */
  readonly moved: readonly Place[];
  /**
   * State as of `checkpoint` of what moved or is partly run again; none where there is no
   * checkpoint.
   */
  readonly snapshots: readonly PartitionSnapshot[];
  /** Of moved source partitions: the ranges that must be read again, without a gap. */
  readonly known: readonly KnownRanges[];
  /** Source tasks whose blocks are lost: they run again, and who runs which follows from this. */
  readonly reruns: readonly (Place & { readonly spans: readonly BatchSpan[] })[];
  /** What each survivor had done: for what it keeps it needs no blocks up to there. */
  readonly done: readonly { readonly worker: WorkerId; readonly through: BatchNumber }[];
};

/** A partition's known ranges are read again by itself, in order of micro-batches. */
export function replaysInOrder({ stages, reach }: Template, stage: number): boolean {
  // Output must become visible in order; and where all is rolled back, all run again anyway.
  return stages[stage]!.sinks || reach === 'all';
}

/**
 * Who runs a lost source task again. What belonged to a dead worker is spread over all, so that
 * they share the work; of its own partitions each worker knows the ranges best.
 */
export function rerunnersOf({
  template,
  moved,
}: Recovery): (place: Place, batch: BatchNumber) => WorkerId {
  const workers = workersIn(template);
  const isMoved = new Set(moved.map(({ stage, partition }) => `${stage}/${partition}`));
  return ({ stage, partition }, batch) =>
    isMoved.has(`${stage}/${partition}`)
      ? workers[(partition + batch) % workers.length]!
      : template.stages[stage]!.placement[partition]!;
}
