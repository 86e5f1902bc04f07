// Bulk-synchronous scheduling, as of Spark: every stage of every micro-batch is launched by an
// order of its own, after the stages it reads from are done everywhere and have been reported. Kept
// as the baseline that groups are compared with [Drizzle §3.1].

import { reanchorIntervals } from '../limits.ts';
import type { BatchNumber, GroupId } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { OrderContext, Pace, PlannedOrder, Planner } from './planner.ts';
import type { PlanShape } from './placement.ts';

export class StagePlanner implements Planner {
  readonly #shape: PlanShape;
  #pace: Pace;
  #orders = 0;
  /** The micro-batch that runs or ran last. */
  #batch: BatchNumber = noBatch;
  #triggerMs = -Infinity;
  #final = false;
  /** All sources end in the last micro-batch. */
  #ends = false;
  #lastBatch: BatchNumber = noBatch;
  #finalBatch: BatchNumber = noBatch;
  #checkpoint = false;
  #doneThrough: BatchNumber = noBatch;
  readonly #launched = new Set<number>();
  readonly #done = new Set<number>();
  #phase: 'open' | 'finishing' | 'closed' = 'open';

  constructor(shape: PlanShape, pace: Pace) {
    this.#shape = shape;
    this.#pace = pace;
  }

  get pace(): Pace {
    return this.#pace;
  }

  get lastBatch(): BatchNumber {
    return this.#lastBatch;
  }

  get finalBatch(): BatchNumber {
    return this.#finalBatch;
  }

  get end(): BatchNumber {
    return (this.#batch + 1) as BatchNumber;
  }

  changePace(change: { readonly groupSize: number; readonly intervalMs: number }): void {
    this.#pace = { ...this.#pace, ...change };
  }

  measuredBoundary(): void {
    // Every stage is a boundary here; nothing is planned by its cost.
  }

  progressed(_nowMs: number, _started: BatchNumber, done: BatchNumber): void {
    this.#doneThrough = Math.max(this.#doneThrough, done) as BatchNumber;
  }

  stageDone(stage: number, batch: BatchNumber): void {
    // A copy of the news may come when the micro-batch is history.
    if (batch !== this.#batch || !this.#launched.has(stage)) return;
    this.#done.add(stage);
    if (this.#batchDone()) this.#doneThrough = batch;
  }

  truncate(_nowMs: number, end: BatchNumber): void {
    // What was launched nowhere yet may be launched again under the same number.
    if (end <= this.#batch) this.#rewind((end - 1) as BatchNumber);
  }

  restart(nowMs: number, end: BatchNumber): void {
    this.#rewind((end - 1) as BatchNumber);
    this.#doneThrough = Math.min(this.#doneThrough, end - 1) as BatchNumber;
    this.#triggerMs = nowMs - this.#pace.intervalMs;
    this.#phase = 'open';
    this.#lastBatch = noBatch;
    if (this.#finalBatch >= end) this.#finalBatch = noBatch;
  }

  close(): void {
    this.#phase = 'closed';
  }

  finish({ ends }: { readonly ends: boolean }): void {
    this.#phase = 'finishing';
    this.#ends = ends;
  }

  next(context: OrderContext): PlannedOrder | null {
    if (this.#batchDone() && !this.#beginNext(context)) return null;
    const stage = this.#shape.stages.findIndex((_, id) => this.#launchable(id));
    if (stage < 0) return null;
    this.#launched.add(stage);
    const { term, version } = context;
    return {
      reanchoredLateMs: 0,
      order: {
        kind: 'start-group',
        term,
        version,
        group: this.#orders++ as GroupId,
        first: this.#batch,
        count: 1,
        stage,
        intervalMs: this.#batch === this.#lastBatch ? 0 : this.#pace.intervalMs,
        anchorMs: this.#triggerMs,
        // What this planner plans by are the stages that are done: `stageDone`.
        reportAt: noBatch,
        retireThrough: context.checkpointed ?? this.#doneThrough,
        final: this.#final,
        checkpointAt: this.#checkpoint ? this.#batch : noBatch,
      },
    };
  }

  nextDeadlineMs(): number {
    if (this.#phase === 'closed' || !this.#batchDone()) return Infinity;
    return this.#nextTriggerMs();
  }

  #batchDone(): boolean {
    return this.#batch === noBatch || this.#done.size === this.#shape.stages.length;
  }

  #beginNext({ nowMs, checkpoint }: OrderContext): boolean {
    if (this.#phase === 'closed') return false;
    const finishing = this.#phase === 'finishing';
    const triggerMs = this.#nextTriggerMs();
    if (triggerMs > nowMs && !finishing) return false;
    const lateMs = nowMs - triggerMs;
    const late = lateMs > reanchorIntervals * this.#pace.intervalMs;
    this.#triggerMs = late || finishing ? nowMs : triggerMs;
    this.#batch = this.end;
    this.#launched.clear();
    this.#done.clear();
    this.#final = finishing && this.#ends;
    this.#checkpoint = checkpoint;
    if (finishing) this.#lastBatch = this.#batch;
    if (this.#final) this.#finalBatch = this.#batch;
    if (finishing) this.#phase = 'closed';
    return true;
  }

  #nextTriggerMs(): number {
    return this.#triggerMs === -Infinity ? -Infinity : this.#triggerMs + this.#pace.intervalMs;
  }

  #launchable(stage: number): boolean {
    if (this.#launched.has(stage)) return false;
    const { inputs } = this.#shape.stages[stage]!;
    return inputs.every((exchange) => this.#done.has(this.#shape.exchanges[exchange]!.from));
  }

  #rewind(batch: BatchNumber): void {
    this.#batch = batch;
    this.#launched.clear();
    this.#done.clear();
    this.#shape.stages.forEach((_, stage) => {
      this.#launched.add(stage);
      this.#done.add(stage);
    });
  }
}
