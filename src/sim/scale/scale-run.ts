// What a simulation of scale is asked for, and what it gives.

import type { Pace } from '../../control/driver/planner.ts';
import type { PlanShape } from '../../control/driver/placement.ts';
import type { ExecutionMode } from '../../plan/execution-mode.ts';
import type { ScaleCosts } from './scale-costs.ts';

export type ScaleOptions = {
  readonly seed: number;
  readonly shape: PlanShape;
  readonly workerCount: number;
  /** Default: 1. Threads of a host share its main thread, and talk to each other directly. */
  readonly workersPerHost?: number;
  readonly mode: ExecutionMode;
  readonly pace: Pace;
  readonly costs: ScaleCosts;
  /** Once a group the driver pays for every task at the receiver, as in [Drizzle §3.1]. */
  readonly groupsPayPerTask?: boolean;
  /** By stage: the work of one task, ms. */
  readonly workMs: readonly number[];
  /** A task's work differs from the usual by up to this share. */
  readonly jitter: number;
  /** What one producer gives one consumer partition. */
  readonly blockBytes: number;
  /** The run ends when so many micro-batches are done everywhere. */
  readonly batches: number;
  /** Micro-batches before the steady part. Default: a third of them. */
  readonly warmUpBatches?: number;
  /** All processors share so many cores; null: each has its own, and so has each host. */
  readonly cores?: number | null;
  /** By how much a worker's tasks take longer, by worker (from 0), time, and when permitted. */
  readonly slowdown?: (worker: number, nowMs: number, permittedMs: number) => number;
  /** When the driver is told to plan anew, at the same pace: with the next group, or by a cut. */
  readonly planChanges?: readonly { readonly atMs: number; readonly urgent: boolean }[];
  /** Nobody hears of the driver, nor it of anybody, once this group's order is everywhere. */
  readonly cutOffAfterGroup?: number;
  /** The job keeps state, and a worker is lost; absent: neither. */
  readonly loss?: ScaleLoss;
  /** Runs a worker machine's step for a message; a caller with a clock can time it. */
  readonly timeStep?: (step: () => void) => void;
};

/** A job that keeps state, and loses a worker. All times are ms. */
export type ScaleLoss = {
  /** Counted from 0. */
  readonly worker: number;
  /** From the commit of the first checkpoint until it ends. */
  readonly behindMs: number;
  /** From its end until the driver knows. */
  readonly detectionMs: number;
  readonly checkpointIntervalMs: number;
  /** In `continuous` mode: time between two parts. */
  readonly partMs: number;
  /** By stage: what making a partition's state of its snapshot takes of its worker's processor. */
  readonly restoreMs: readonly number[];
  /** The same of taking a snapshot. */
  readonly snapshotMs: readonly number[];
  /** From an order to its end, without a processor's time: of the range log, of the checkpoints. */
  readonly appendMs: number;
  readonly storeMs: number;
  /** Of a sink. */
  readonly commitMs: number;
};

export type PermittedAt = {
  readonly atMs: number;
  readonly first: number;
  readonly count: number;
};

/** Times are virtual, ms since the start; arrays are by micro-batch. */
export type ScaleRun = {
  readonly workers: number;
  readonly hosts: number;
  /** When the first task of the micro-batch started, or was to start by plan. */
  readonly triggerMs: Float64Array;
  readonly firstStartMs: Float64Array;
  readonly lastStartMs: Float64Array;
  /** When its last task ended; with a loss, when all of its output was visible. */
  readonly doneMs: Float64Array;
  readonly elapsedMs: number;
  readonly groups: readonly PermittedAt[];
  /** When the worker was lost, and when the order was given by which the job went on; else null. */
  readonly lostMs: number | null;
  readonly recoveredMs: number | null;
  readonly tasks: number;
  /** Messages by kind. */
  readonly messages: Readonly<Record<string, number>>;
  /** From the end of the last micro-batch of the warm-up to the end of all. */
  readonly steady: {
    readonly batches: number;
    readonly elapsedMs: number;
    readonly driverBusyMs: number;
    readonly driverMessages: number;
    /** Means over workers. */
    readonly workMs: number;
    readonly workerBusyMs: number;
    /** Of messages to and from the worker. */
    readonly flightMs: number;
    /** Mean over hosts. */
    readonly hostBusyMs: number;
  };
  readonly queues: {
    /** Messages that waited for the driver, in the first half of the micro-batches and after. */
    readonly driverFirstHalf: number;
    readonly driverSecondHalf: number;
    /** What waited for a worker, at most. */
    readonly worker: number;
    /** Micro-batches a worker kept a record of, at most. */
    readonly batchesHeld: number;
  };
};

/**
 * The driver was asked for more than it can do: what waits for it grows beyond what comes at
 * once.
 */
export function isOverloaded({ workers, queues, steady }: ScaleRun): boolean {
  const { driverFirstHalf, driverSecondHalf } = queues;
  const grows = driverSecondHalf > 1.5 * driverFirstHalf + 16 && driverSecondHalf > 2 * workers;
  return grows && steady.driverBusyMs > 0.9 * steady.elapsedMs;
}
