// What a planner is: it says when the driver gives the next order and what the order says. There is
// one for each way of scheduling; which one a job uses is decided once, in `modes.ts`.

import type { BatchNumber, PlacementVersion, Term } from '../protocol/ids.ts';
import type { StartGroup } from '../protocol/messages.ts';

export type Pace = {
  /** Micro-batches in a group. */
  readonly groupSize: number;
  /** 0: as fast as the sources and the processor allow. */
  readonly intervalMs: number;
  readonly lookAhead: boolean;
};

export type OrderContext = {
  readonly nowMs: number;
  readonly term: Term;
  readonly version: PlacementVersion;
  /** State is to be kept as of the last micro-batch of what is planned now. */
  readonly checkpoint: boolean;
  /** What is planned now is one micro-batch, however many a group has: somebody waits for it. */
  readonly single: boolean;
  /** A checkpoint covers everything through here; null: blocks are not kept for one. */
  readonly checkpointed: BatchNumber | null;
  /** Input is held back until a checkpoint has come: orders must not be long. */
  readonly holdsBack: boolean;
};

export type PlannedOrder = {
  readonly order: StartGroup;
  /** How late the triggers were when the driver moved them to the present; 0 when it did not. */
  readonly reanchoredLateMs: number;
};

export type Planner = {
  readonly pace: Pace;
  /** First micro-batch that no order permits yet. */
  readonly end: BatchNumber;
  changePace(change: { readonly groupSize: number; readonly intervalMs: number }): void;
  /** A round trip to the workers and back, ms. */
  measuredBoundary(boundaryMs: number): void;
  /** What workers report: the furthest start, and what is done everywhere. */
  progressed(nowMs: number, started: BatchNumber, done: BatchNumber): void;
  /** Every worker that has a part of the stage has done it for the micro-batch. */
  stageDone(stage: number, batch: BatchNumber): void;
  /** A cut withdrew everything from `end` on. */
  truncate(nowMs: number, end: BatchNumber): void;
  /** After a recovery: goes on at `end`, which is permitted by no order, from now. */
  restart(nowMs: number, end: BatchNumber): void;
  /** Begins no further micro-batch; what was begun is brought to its end. */
  close(): void;
  /** Begins one more micro-batch and then none; with `ends` all sources end in it. */
  finish(how: { readonly ends: boolean }): void;
  /** What `finish` has begun, once it is planned; -1 before, and after a restart. */
  readonly lastBatch: BatchNumber;
  /** The micro-batch in which all sources end, once it is planned; -1 before. */
  readonly finalBatch: BatchNumber;
  /** The order that is due, or null. Ask again after each one. */
  next(context: OrderContext): PlannedOrder | null;
  /** When `next` may turn from null by the passing of time alone, ms; Infinity: only by news. */
  nextDeadlineMs(): number;
};
