// One partition of one stage on a worker, as its local scheduler sees it.

import type { BatchNumber } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';

/** One partition of one stage on this worker. Its tasks run in order of micro-batches. */
export type LocalPartition = {
  readonly stage: number;
  readonly partition: number;
  readonly source: boolean;
  next: BatchNumber;
  /** The part of `next` that comes next; above 0 the task is open. */
  part: number;
  /** By input exchange of the stage: how much of what has come for `next` was taken. */
  taken: number[];
  /** Source partitions: the open task is to give its last part. */
  closing: boolean;
  /** Source partitions: when the last part was taken, ms. */
  partedMs: number;
  state: 'waiting' | 'queued' | 'running';
  /** Source partitions: something can be read now. */
  ready: boolean;
  ended: boolean;
  /** Source partitions: since when `next` could have started but had nothing to read. */
  quietSinceMs: number;
  /** Source partitions: when to look again, ms; Infinity when an event will tell. */
  lookAgainMs: number;
  /** Trigger of the last task, ms. */
  triggeredMs: number;
};

/** (Smaller micro-batch, deeper stage) first, so that what was begun is finished. */
export function runsBefore(a: LocalPartition, b: LocalPartition): boolean {
  if (a.next !== b.next) return a.next < b.next;
  if (a.stage !== b.stage) return a.stage > b.stage;
  return a.partition < b.partition;
}

export function localPartition(stage: number, partition: number, source: boolean): LocalPartition {
  return {
    stage,
    partition,
    source,
    next: noBatch,
    part: 0,
    taken: [],
    closing: false,
    partedMs: -Infinity,
    state: 'waiting',
    ready: false,
    ended: false,
    quietSinceMs: Infinity,
    lookAgainMs: Infinity,
    triggeredMs: -Infinity,
  };
}
