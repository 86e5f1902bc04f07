// One simulated measurement: a steady run of groups, and what a micro-batch took in it.

import { runScale } from '../../src/sim/scale/scale-cluster.ts';
import type { ScaleCosts } from '../../src/sim/scale/scale-costs.ts';
import type { ScaleRun } from '../../src/sim/scale/scale-run.ts';
import { isOverloaded } from '../../src/sim/scale/scale-run.ts';
import type { PlanShape } from '../../src/control/driver/placement.ts';
import { jitter } from './models.ts';

export type Schedule =
  | { readonly mode: 'bsp' }
  | { readonly mode: 'drizzle'; readonly groupSize: number; readonly lookAhead: boolean };

export type CellOptions = {
  readonly machines: number;
  readonly shape: PlanShape;
  readonly schedule: Schedule;
  readonly costs: ScaleCosts;
  readonly workMs: readonly number[];
  readonly intervalMs?: number;
  readonly groupsPayPerTask?: boolean;
  readonly groups?: number;
  readonly cores?: number;
  readonly workersPerHost?: number;
};

export type Cell = {
  readonly machines: number;
  readonly batchMs: number;
  /** Planned trigger (interval 0: first start) to the end of the last task, mean. */
  readonly latencyMs: number;
  /** Of all processors together. */
  readonly cpuMs: number;
  /** Share of the driver's processor. */
  readonly driverShare: number;
  /** The driver was asked for more than it can do. */
  readonly overloaded: boolean;
  /** Where the time of a micro-batch goes, ms. */
  readonly parts: Parts;
  readonly driverQueueMax: number;
  readonly workerQueueMax: number;
};

export type Parts = {
  /** The driver works while workers wait for it. */
  readonly schedulingMs: number;
  /** Messages fly, and workers take and send them. */
  readonly transferMs: number;
  readonly computeMs: number;
  /** Workers wait for each other, or for a driver that is not busy. */
  readonly idleMs: number;
};

export function runCell(options: CellOptions): Cell {
  const { machines, shape, schedule, costs, workMs } = options;
  const groupSize = schedule.mode === 'bsp' ? 1 : schedule.groupSize;
  // Whole groups, the first of which warms up.
  const count = schedule.mode === 'bsp' ? 12 : Math.max(3, Math.ceil(300 / groupSize));
  const groups = Math.max(2, options.groups ?? count);
  const run = runScale({
    seed: 1,
    shape,
    workerCount: machines,
    mode: schedule.mode,
    pace: {
      groupSize,
      intervalMs: options.intervalMs ?? 0,
      lookAhead: schedule.mode === 'drizzle' && schedule.lookAhead,
    },
    costs,
    workMs,
    jitter,
    blockBytes: 200,
    batches: groups * groupSize,
    warmUpBatches: Math.max(1, Math.floor(groups / 3)) * groupSize,
    ...(options.groupsPayPerTask === true ? { groupsPayPerTask: true } : {}),
    ...(options.cores === undefined ? {} : { cores: options.cores }),
    workersPerHost: options.workersPerHost ?? 1,
  });
  return cellOf(run, machines);
}

function cellOf(run: ScaleRun, machines: number): Cell {
  const { steady, queues } = run;
  const batchMs = steady.elapsedMs / steady.batches;
  const from = run.doneMs.length - steady.batches;
  let latencyMs = 0;
  for (let batch = from; batch < run.doneMs.length; batch++) {
    latencyMs += (run.doneMs[batch]! - run.triggerMs[batch]!) / steady.batches;
  }
  return {
    machines,
    batchMs,
    latencyMs,
    cpuMs:
      (steady.driverBusyMs + run.hosts * steady.hostBusyMs + run.workers * steady.workerBusyMs) /
      steady.batches,
    driverShare: steady.driverBusyMs / steady.elapsedMs,
    overloaded: isOverloaded(run),
    parts: partsOf(steady),
    driverQueueMax: Math.max(queues.driverFirstHalf, queues.driverSecondHalf),
    workerQueueMax: queues.worker,
  };
}

function partsOf(steady: ScaleRun['steady']): Parts {
  const per = (ms: number): number => ms / steady.batches;
  const batchMs = per(steady.elapsedMs);
  const computeMs = Math.min(batchMs, per(steady.workMs));
  const messagesMs = per(steady.workerBusyMs - steady.workMs);
  const waitMs = Math.max(0, batchMs - computeMs - messagesMs);
  // Messages that fly, or a driver that works, while the worker has tasks to do cost nothing.
  const flightMs = Math.min(waitMs, per(steady.flightMs));
  const schedulingMs = Math.min(waitMs - flightMs, per(steady.driverBusyMs));
  return {
    schedulingMs,
    transferMs: messagesMs + flightMs,
    computeMs,
    idleMs: Math.max(0, waitMs - flightMs - schedulingMs),
  };
}

/** `193 ms`, `4.1 ms`, `0.62 ms`. */
export function msText(ms: number): string {
  return `${digits(ms)} ms`;
}

/** `193`, `4.1`, `0.62`. */
export function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(value >= 10 ? 3 : 2);
}

/** `bsp`, `G = 25`, `G = 10, look-ahead`. */
export function scheduleName(schedule: Schedule): string {
  if (schedule.mode === 'bsp') return 'bsp';
  return `G = ${schedule.groupSize}${schedule.lookAhead ? ', look-ahead' : ''}`;
}
