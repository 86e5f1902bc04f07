// When state is kept, and what must be there before it counts: every partition's snapshot, and all
// output up to it visible. A checkpoint never overtakes its sinks.

import { pressureGapMs } from '../limits.ts';
import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { PartitionSnapshot } from '../protocol/messages.ts';
import type { Checkpoint } from './recovery-round.ts';

type Pending = {
  readonly batch: BatchNumber;
  readonly orderedMs: number;
  readonly waiting: Set<WorkerId>;
  readonly snapshots: PartitionSnapshot[];
  committing: boolean;
};

export class CheckpointSchedule {
  readonly #intervalMs: number;
  #last: Checkpoint;
  #nextMs = -Infinity;
  #pending: Pending | null = null;
  /** When the last one was committed or failed, and how long it took, ms. */
  #settledMs = -Infinity;
  #tookMs = 0;

  /** `intervalMs`: from one checkpoint to the next; Infinity: none. */
  constructor(intervalMs: number, last: Checkpoint) {
    this.#intervalMs = intervalMs;
    this.#last = last;
  }

  /** The newest one that counts. */
  get last(): Checkpoint {
    return this.#last;
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
    if (batch === noBatch || this.#pending?.batch === batch) return;
    const waiting = new Set(workers);
    this.#pending = { batch, orderedMs: nowMs, waiting, snapshots: [], committing: false };
    this.#nextMs = nowMs + this.#intervalMs;
  }

  stored(worker: WorkerId, batch: BatchNumber, snapshots: readonly PartitionSnapshot[]): void {
    const pending = this.#pending;
    if (pending === null || pending.batch !== batch || !pending.waiting.delete(worker)) return;
    pending.snapshots.push(...snapshots);
  }

  /** The checkpoint that is complete, once; null: none is, or it is being committed. */
  complete(doneThrough: BatchNumber): Checkpoint | null {
    const pending = this.#pending;
    if (pending === null || pending.committing || pending.waiting.size > 0) return null;
    if (doneThrough < pending.batch) return null;
    pending.committing = true;
    return { batch: pending.batch, snapshots: pending.snapshots };
  }

  /** It is durable: how long it took from the order, ms; null when it was given up. */
  committed(nowMs: number, batch: BatchNumber): number | null {
    const pending = this.#pending;
    if (pending === null || pending.batch !== batch || !pending.committing) return null;
    this.#last = { batch, snapshots: pending.snapshots };
    this.#pending = null;
    this.#settled(nowMs, pending);
    return this.#tookMs;
  }

  failed(nowMs: number, batch: BatchNumber): void {
    if (this.#pending?.batch !== batch) return;
    this.#settled(nowMs, this.#pending);
    this.#pending = null;
  }

  #settled(nowMs: number, { orderedMs }: Pending): void {
    this.#settledMs = nowMs;
    this.#tookMs = nowMs - orderedMs;
  }

  /** Micro-batches from `end` on are withdrawn. */
  truncate(end: BatchNumber): void {
    if (this.#pending !== null && this.#pending.batch >= end) this.#pending = null;
  }

  /**
   * Whoever has not stored its part never will. One that is being committed may still become
   * durable: it is complete, and older state is not wanted then.
   */
  giveUp(): void {
    if (this.#pending?.committing !== true) this.#pending = null;
  }

  get committing(): boolean {
    return this.#pending?.committing === true;
  }
}
