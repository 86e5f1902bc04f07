// When the next group is permitted and what its order says. With look-ahead a group is sent while
// the one before it still runs, early enough that no worker ever waits for it; without, as in
// [Drizzle §3.1], after the last one is done everywhere, which leaves a bubble at each boundary.

import { assert } from '../../base/assert.ts';
import {
  groupSizeMax,
  groupsOutstandingMax,
  heldBackGroupMax,
  lookAheadMargin,
  reanchorIntervals,
} from '../limits.ts';
import type { BatchNumber, GroupId } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { StartGroup } from '../protocol/messages.ts';
import type { OrderContext, Pace, PlannedOrder, Planner } from './planner.ts';

type Outstanding = { readonly first: BatchNumber; readonly end: BatchNumber };

export class GroupPlanner implements Planner {
  #pace: Pace;
  #groups = 0;
  /** First micro-batch that no group permits yet. */
  #end = 0 as BatchNumber;
  /** Planned trigger of `#end`, ms. */
  #nextAnchorMs = -Infinity;
  #outstanding: Outstanding[] = [];
  #startedThrough: BatchNumber = noBatch;
  #doneThrough: BatchNumber = noBatch;
  /** What a boundary costs: order to first effect and back, ms. */
  #boundaryMs = 1;
  #batchMs: number | null = null;
  #measuredAtMs = -Infinity;
  #measuredBatch: BatchNumber = noBatch;
  #phase: 'open' | 'finishing' | 'closed' = 'open';
  /** All sources end in the last micro-batch. */
  #ends = false;
  #lastBatch: BatchNumber = noBatch;
  #finalBatch: BatchNumber = noBatch;

  constructor(pace: Pace) {
    this.#pace = checkedPace(pace);
  }

  get lastBatch(): BatchNumber {
    return this.#lastBatch;
  }

  get finalBatch(): BatchNumber {
    return this.#finalBatch;
  }

  get pace(): Pace {
    return this.#pace;
  }

  get end(): BatchNumber {
    return this.#end;
  }

  changePace(change: { readonly groupSize: number; readonly intervalMs: number }): void {
    this.#pace = checkedPace({ ...this.#pace, ...change });
  }

  measuredBoundary(boundaryMs: number): void {
    this.#boundaryMs = boundaryMs;
  }

  /** What workers report: the furthest start, and what is done everywhere. */
  progressed(nowMs: number, started: BatchNumber, done: BatchNumber): void {
    this.#startedThrough = Math.max(this.#startedThrough, started) as BatchNumber;
    if (done <= this.#doneThrough) return;
    this.#doneThrough = done;
    this.#outstanding = this.#outstanding.filter((group) => group.end - 1 > done);
    const elapsedMs = nowMs - this.#measuredAtMs;
    if (this.#measuredBatch !== noBatch && elapsedMs > 0) {
      const sample = elapsedMs / (done - this.#measuredBatch);
      this.#batchMs = this.#batchMs === null ? sample : 0.8 * this.#batchMs + 0.2 * sample;
    }
    this.#measuredAtMs = nowMs;
    this.#measuredBatch = done;
  }

  /** A cut withdrew everything from `end` on. */
  truncate(nowMs: number, end: BatchNumber): void {
    this.#end = end;
    this.#outstanding = this.#outstanding
      .filter((group) => group.first < end)
      .map((group) => (group.end > end ? { ...group, end } : group))
      .filter((group) => group.end - 1 > this.#doneThrough);
    this.#nextAnchorMs = nowMs;
  }

  restart(nowMs: number, end: BatchNumber): void {
    this.#end = end;
    this.#outstanding = [];
    this.#startedThrough = (end - 1) as BatchNumber;
    this.#doneThrough = Math.min(this.#doneThrough, end - 1) as BatchNumber;
    this.#measuredBatch = noBatch;
    this.#nextAnchorMs = nowMs;
    this.#phase = 'open';
    this.#lastBatch = noBatch;
    if (this.#finalBatch >= end) this.#finalBatch = noBatch;
  }

  /** Micro-batches that must be permitted beyond the furthest one started. */
  lookAhead(): number {
    if (!this.#pace.lookAhead) return 0;
    const batchMs = this.#pace.intervalMs > 0 ? this.#pace.intervalMs : this.#batchMs;
    if (batchMs === null) return lookAheadMargin;
    return Math.min(Math.ceil(this.#boundaryMs / batchMs), 64) + lookAheadMargin;
  }

  stageDone(): void {
    // Stages follow one another without the driver.
  }

  close(): void {
    this.#phase = 'closed';
  }

  finish({ ends }: { readonly ends: boolean }): void {
    this.#phase = 'finishing';
    this.#ends = ends;
  }

  #wantsGroup(nowMs: number): boolean {
    if (this.#phase !== 'open') return this.#phase === 'finishing';
    const outstanding = this.#outstanding.length;
    if (!this.#pace.lookAhead) return outstanding === 0;
    const ahead = this.lookAhead();
    const enough = Math.ceil(ahead / this.#pace.groupSize) + 1;
    if (outstanding > Math.min(enough, groupsOutstandingMax)) return false;
    return this.#end - 1 - this.#startedThrough <= ahead || nowMs >= this.#permitAtMs();
  }

  nextDeadlineMs(): number {
    return this.#phase === 'open' ? this.#permitAtMs() : Infinity;
  }

  /** When the next group is wanted by the passing of time alone, ms. */
  #permitAtMs(): number {
    const { intervalMs, lookAhead } = this.#pace;
    if (intervalMs === 0 || !lookAhead || this.#nextAnchorMs === -Infinity) return Infinity;
    return this.#nextAnchorMs - (this.lookAhead() + 1) * intervalMs;
  }

  next(context: OrderContext): PlannedOrder | null {
    const { nowMs, term, version } = context;
    if (!this.#wantsGroup(nowMs)) return null;
    const last = this.#phase === 'finishing';
    const final = last && this.#ends;
    if (last) this.#phase = 'closed';
    const { intervalMs } = this.#pace;
    const countMax = context.holdsBack ? heldBackGroupMax : groupSizeMax;
    const single = last || context.single;
    const count = single ? 1 : Math.min(this.#pace.groupSize, countMax);
    const first = this.#end;
    const end = (first + count) as BatchNumber;
    if (last) this.#lastBatch = first;
    if (final) this.#finalBatch = first;
    const lateMs = nowMs - this.#nextAnchorMs;
    const reanchors = lateMs > reanchorIntervals * intervalMs;
    if (reanchors) this.#nextAnchorMs = nowMs;
    const order: StartGroup = {
      kind: 'start-group',
      term,
      version,
      group: this.#groups as GroupId,
      first,
      count,
      stage: null,
      intervalMs: last ? 0 : intervalMs,
      anchorMs: this.#nextAnchorMs,
      reportAt: Math.max(first, end - 1 - this.lookAhead()) as BatchNumber,
      retireThrough: context.checkpointed ?? this.#doneThrough,
      final,
      checkpointAt: (context.checkpoint ? end - 1 : noBatch) as BatchNumber,
    };
    this.#groups++;
    this.#outstanding.push({ first, end });
    this.#end = end;
    this.#nextAnchorMs += count * intervalMs;
    // Without an interval every group starts in the present; the first has nothing to be late for.
    const late = reanchors && intervalMs > 0 && Number.isFinite(lateMs);
    return { order, reanchoredLateMs: late ? lateMs : 0 };
  }
}

function checkedPace(pace: Pace): Pace {
  assert(
    Number.isInteger(pace.groupSize) && pace.groupSize >= 1 && pace.groupSize <= groupSizeMax,
    'group size out of range',
  );
  assert(pace.intervalMs >= 0 && Number.isFinite(pace.intervalMs), 'interval out of range');
  return pace;
}
