// When state is kept, and what must be there before it counts: every partition's snapshot, and all
// output up to it visible. A checkpoint never overtakes its sinks. Savepoints are checkpoints that
// somebody has asked for; what becomes of each is told.

import { pressureGapMs, savepointsWaitingMax } from '../limits.ts';
import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { PartitionSnapshot } from '../protocol/messages.ts';
import type { Checkpoint } from './recovery-round.ts';

/** A checkpoint that is to be kept. */
export type Savepoint = {
  /** By which whoever asked for it knows it again. */
  readonly id: number;
  readonly name: string;
};

type Pending = {
  readonly batch: BatchNumber;
  readonly orderedMs: number;
  readonly savepoint: Savepoint | null;
  readonly waiting: Set<WorkerId>;
  readonly snapshots: PartitionSnapshot[];
  committing: boolean;
};

export type CompleteCheckpoint = Checkpoint & {
  /** The name under which it is to be kept; null: retention may delete it. */
  readonly savepoint: string | null;
};

export type Committed = {
  /** From the order, ms. */
  readonly elapsedMs: number;
  readonly savepoint: Savepoint | null;
};

export class CheckpointSchedule {
  readonly #intervalMs: number;
  #last: Checkpoint;
  #nextMs = -Infinity;
  #pending: Pending | null = null;
  /** When the last one was committed or failed, and how long it took, ms. */
  #settledMs = -Infinity;
  #tookMs = 0;
  /** Asked for, and not ordered yet. */
  #wanted: Savepoint[] = [];
  /** Later stages of a micro-batch still ask for the state that could not be stored. */
  #failedBatch: BatchNumber = noBatch;

  /** `intervalMs`: from one checkpoint to the next; Infinity: none. */
  constructor(intervalMs: number, last: Checkpoint) {
    this.#intervalMs = intervalMs;
    this.#last = last;
  }

  /** The newest one that counts. */
  get last(): Checkpoint {
    return this.#last;
  }

  /** Checkpoints are taken at all. */
  get takes(): boolean {
    return this.#intervalMs !== Infinity;
  }

  /** One is under way. */
  get pending(): boolean {
    return this.#pending !== null;
  }

  /** A savepoint is to be made as of the very next micro-batch. */
  get wantsSavepoint(): boolean {
    return this.#wanted.length > 0 && this.#pending === null;
  }

  /** False: too many wait already. */
  want(savepoint: Savepoint): boolean {
    if (this.#wanted.length >= savepointsWaitingMax) return false;
    this.#wanted.push(savepoint);
    return true;
  }

  /** Those that nobody will make any more. */
  forgetWanted(): readonly Savepoint[] {
    const wanted = this.#wanted;
    this.#wanted = [];
    return wanted;
  }

  /** The next order should ask for one. */
  due(nowMs: number): boolean {
    if (this.#intervalMs === Infinity) return false;
    if (this.#nextMs === -Infinity) this.#nextMs = nowMs + this.#intervalMs;
    return this.#pending === null && nowMs >= this.#nextMs;
  }

  /** A worker has little room left for what it keeps: the next one comes as early as it may. */
  press(nowMs: number): void {
    if (this.#nextMs === -Infinity || this.#pending !== null) return;
    const earliestMs = this.#settledMs + Math.max(pressureGapMs, 4 * this.#tookMs);
    this.#nextMs = Math.min(this.#nextMs, Math.max(nowMs, earliestMs));
  }

  /** An order asks for the state as of `batch`, of all workers that have some. */
  ordered(nowMs: number, batch: BatchNumber, workers: readonly WorkerId[]): void {
    // Where stages are launched one by one, several orders ask for the same.
    if (batch === noBatch || this.#pending?.batch === batch || batch === this.#failedBatch) return;
    const waiting = new Set(workers);
    const savepoint = this.#wanted.shift() ?? null;
    const ordered = { batch, orderedMs: nowMs, savepoint };
    this.#pending = { ...ordered, waiting, snapshots: [], committing: false };
    this.#nextMs = nowMs + this.#intervalMs;
  }

  stored(worker: WorkerId, batch: BatchNumber, snapshots: readonly PartitionSnapshot[]): void {
    const pending = this.#pending;
    if (pending === null || pending.batch !== batch || !pending.waiting.delete(worker)) return;
    pending.snapshots.push(...snapshots);
  }

  /** The checkpoint that is complete, once; null: none is, or it is being committed. */
  complete(doneThrough: BatchNumber): CompleteCheckpoint | null {
    const pending = this.#pending;
    if (pending === null || pending.committing || pending.waiting.size > 0) return null;
    if (doneThrough < pending.batch) return null;
    pending.committing = true;
    const { snapshots, savepoint } = pending;
    return { batch: pending.batch, snapshots, savepoint: savepoint?.name ?? null };
  }

  /** It is durable: how long it took from the order, ms; null when it was given up. */
  committed(nowMs: number, batch: BatchNumber): Committed | null {
    const pending = this.#pending;
    if (pending === null || pending.batch !== batch || !pending.committing) return null;
    this.#last = { batch, snapshots: pending.snapshots };
    this.#pending = null;
    this.#settled(nowMs, pending);
    return { elapsedMs: this.#tookMs, savepoint: pending.savepoint };
  }

  /** The savepoint that it was to be; null: none, or another checkpoint is under way. */
  failed(nowMs: number, batch: BatchNumber): Savepoint | null {
    if (this.#pending?.batch !== batch) return null;
    const { savepoint } = this.#pending;
    this.#settled(nowMs, this.#pending);
    this.#pending = null;
    this.#failedBatch = batch;
    return savepoint;
  }

  #settled(nowMs: number, { orderedMs }: Pending): void {
    this.#settledMs = nowMs;
    this.#tookMs = nowMs - orderedMs;
  }

  /** Micro-batches from `end` on are withdrawn. */
  truncate(end: BatchNumber): void {
    if (this.#pending !== null && this.#pending.batch >= end) this.#drop();
  }

  /** After a recovery micro-batches from `end` on are withdrawn, and none has failed. */
  restart(end: BatchNumber): void {
    this.#failedBatch = noBatch;
    this.truncate(end);
  }

  /**
   * Whoever has not stored its part never will. One that is being committed may still become
   * durable: it is complete, and older state is not wanted then.
   */
  giveUp(): void {
    if (this.#pending?.committing !== true) this.#drop();
  }

  /** Nothing is wrong with it, so a savepoint is made of another one. */
  #drop(): void {
    const savepoint = this.#pending?.savepoint ?? null;
    if (savepoint !== null) this.#wanted.unshift(savepoint);
    this.#pending = null;
  }

  get committing(): boolean {
    return this.#pending?.committing === true;
  }
}
