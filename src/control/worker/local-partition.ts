// One partition of one stage on a worker, as its local scheduler sees it, and the lost source tasks
// that it runs again for others. Tasks of a partition run in order of micro-batches.

import type { BatchNumber, PlacementVersion } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { Handle } from '../protocol/messages.ts';
import type { ProducerRange } from '../protocol/routing.ts';
import { Inbox } from './inbox.ts';

export type LocalPartition = {
  readonly kind: 'own';
  readonly stage: number;
  readonly partition: number;
  readonly source: boolean;
  /** By input of the stage: the producers it waits for. */
  readonly producers: readonly ProducerRange[];
  /** The placement since which it has been here. */
  readonly since: PlacementVersion;
  next: BatchNumber;
  /** The part of `next` that comes next; above 0 the task is open. */
  part: number;
  /** By input exchange of the stage: how much of what has come for `next` was taken. */
  taken: number[];
  /** Source partitions: the open task is to give its last part. */
  closing: boolean;
  /** Source partitions: when the last part was taken, ms. */
  partedMs: number;
  /** `restoring`: its state is on its way; `reading`: a range that it had before is. */
  state: 'waiting' | 'queued' | 'running' | 'restoring' | 'reading';
  /** Source partitions: something can be read now. */
  ready: boolean;
  ended: boolean;
  /** The micro-batch in which it ended; -1 before. */
  endedAt: BatchNumber;
  /** Source partitions: since when `next` could have started but had nothing to read. */
  quietSinceMs: number;
  /** Source partitions: when to look again, ms; Infinity when an event will tell. */
  lookAgainMs: number;
  /** Trigger of the last task, ms. */
  triggeredMs: number;
  /** Tasks through here are done and their output is visible. */
  doneThrough: BatchNumber;
  /** Micro-batches whose output is not visible yet, ascending. */
  readonly pending: Set<BatchNumber>;
  /** What has come, by micro-batch that is not done. */
  readonly inboxes: Map<BatchNumber, Inbox>;
  /** Source partitions: ranges that must be read again, by micro-batch. */
  readonly known: Map<BatchNumber, readonly Handle[]>;
  /** Source partitions: the record of the last range, if there was one. */
  lastRange: Handle | null;
  /** Source partitions: ranges are durable through here. */
  durableThrough: BatchNumber;
};

/** A source task that runs again because its blocks were lost. */
export type Rerun = {
  readonly kind: 'rerun';
  readonly stage: number;
  readonly partition: number;
  readonly next: BatchNumber;
  readonly ranges: readonly Handle[];
  part: number;
  /** The record of the range before the next part. */
  before: Handle | null;
  state: 'waiting' | 'queued' | 'running' | 'reading';
};

export type Runnable = LocalPartition | Rerun;

/** (Smaller micro-batch, deeper stage) first, so that what was begun is finished. */
export function runsBefore(a: Runnable, b: Runnable): boolean {
  if (a.next !== b.next) return a.next < b.next;
  if (a.stage !== b.stage) return a.stage > b.stage;
  if (a.partition !== b.partition) return a.partition < b.partition;
  return a.kind === 'rerun' && b.kind === 'own';
}

export function localPartition(
  place: Pick<LocalPartition, 'stage' | 'partition' | 'source' | 'producers' | 'since'>,
  /** Everything through this micro-batch lies behind it. */
  done: BatchNumber = noBatch,
): LocalPartition {
  return {
    kind: 'own',
    ...place,
    next: (done + 1) as BatchNumber,
    part: 0,
    taken: [],
    closing: false,
    partedMs: -Infinity,
    state: 'waiting',
    ready: false,
    ended: false,
    endedAt: noBatch,
    quietSinceMs: Infinity,
    lookAgainMs: Infinity,
    triggeredMs: -Infinity,
    doneThrough: done,
    pending: new Set(),
    inboxes: new Map(),
    known: new Map(),
    lastRange: null,
    durableThrough: done,
  };
}

/** What has come for a task, to add to. */
export function inboxOf(local: LocalPartition, batch: BatchNumber, hasParts: boolean): Inbox {
  let inbox = local.inboxes.get(batch);
  if (inbox === undefined) {
    inbox = new Inbox(local.producers, hasParts);
    local.inboxes.set(batch, inbox);
  }
  return inbox;
}

/** How far the partition is done and visible, after a task or a commit ended. */
export function advanceDone(local: LocalPartition): void {
  const [first] = local.pending;
  local.doneThrough = ((first ?? local.next) - 1) as BatchNumber;
}
