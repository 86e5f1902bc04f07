// The two cost models of the figures. (a): what this machine was measured to take. (b): a driver
// that pays for each task what Spark's paid, fitted to the paper's line; see docs/figures.md.

import { runScale } from '../../src/sim/scale/scale-cluster.ts';
import type { ScaleCosts } from '../../src/sim/scale/scale-costs.ts';
import type { MeasuredCosts } from './costs.ts';
import { measuredModel } from './costs.ts';
import { machineCounts, published4a, tasksPerMachine } from './published.ts';
import { oneStage } from './shapes.ts';

/** Work of a micro-batch at a machine, ms: the paper's is "under 1 ms". */
export const smallWorkMs = 0.6;

export type SparkFit = {
  /** Each micro-batch or stage, whatever its tasks. */
  readonly fixedMs: number;
  /** Launch and completion of a task. */
  readonly taskMs: number;
  /** By machine count: how far the fit is from the paper, as a share of the paper's. */
  readonly errors: readonly number[];
  /** The same with a cost per task only: one number cannot follow a line with an intercept. */
  readonly oneNumber: { readonly taskMs: number; readonly errors: readonly number[] };
};

/**
 * What Spark's line needs beyond what the simulated engine takes by its measured costs: least
 * squares of relative errors.
 */
export function fitSpark(measured: MeasuredCosts): SparkFit {
  const costs = measuredModel(measured);
  const points = machineCounts.map((machines, index) => {
    const tasks = machines * tasksPerMachine;
    const run = runScale({
      seed: 1,
      shape: oneStage(tasks),
      workerCount: machines,
      mode: 'bsp',
      pace: { groupSize: 1, intervalMs: 0, lookAhead: false },
      costs,
      workMs: [smallWorkMs / tasksPerMachine],
      jitter,
      blockBytes: 0,
      batches: 30,
    });
    const ownMs = run.steady.elapsedMs / run.steady.batches;
    const paperMs = published4a.spark[index]!;
    return { tasks, ownMs, paperMs };
  });
  // Relative errors: every equation is divided by the paper's value.
  const rows = points.map(({ tasks, ownMs, paperMs }) => ({
    x: tasks / paperMs,
    one: 1 / paperMs,
    y: (paperMs - ownMs) / paperMs,
  }));
  const sum = (of: (row: (typeof rows)[number]) => number): number =>
    rows.reduce((total, row) => total + of(row), 0);
  const xx = sum(({ x }) => x * x);
  const xo = sum(({ x, one }) => x * one);
  const oo = sum(({ one }) => one * one);
  const xy = sum(({ x, y }) => x * y);
  const oy = sum(({ one, y }) => one * y);
  const determinant = xx * oo - xo * xo;
  const taskMs = (xy * oo - oy * xo) / determinant;
  const fixedMs = (xx * oy - xo * xy) / determinant;
  const errorsOf = (fixed: number, task: number): readonly number[] =>
    points.map(({ tasks, ownMs, paperMs }) => (ownMs + fixed + tasks * task) / paperMs - 1);
  return {
    fixedMs,
    taskMs,
    errors: errorsOf(fixedMs, taskMs),
    oneNumber: { taskMs: xy / xx, errors: errorsOf(0, xy / xx) },
  };
}

/** A task's work differs from the usual by up to this share. */
export const jitter = 0.1;

/** Model (b) for `bsp`: a fixed cost for each stage, and one for each task. */
export function sparkModel(measured: MeasuredCosts, fit: SparkFit): ScaleCosts {
  const costs = measuredModel(measured);
  return {
    ...costs,
    driver: {
      ...costs.driver,
      orderMs: fit.fixedMs,
      launchTaskMs: fit.taskMs / 2,
      completeTaskMs: fit.taskMs / 2,
    },
  };
}

/**
 * Model (b) for `drizzle`, where no task is launched or completed by the driver: a message costs
 * what a task costs in `bsp`, and a group what a stage costs.
 */
export function groupModel(measured: MeasuredCosts, fit: SparkFit): ScaleCosts {
  const costs = measuredModel(measured);
  const messageMs = fit.taskMs / 2;
  const driver = { ...costs.driver, orderMs: fit.fixedMs };
  return { ...costs, driver: { ...driver, sendMs: messageMs, receiveMs: messageMs } };
}
