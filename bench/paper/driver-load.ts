// What groups cost the driver: its share of a core by group size at ten thousand workers, and the
// real time of its machine's steps for each worker and group, which must grow with nothing else.

import { reportIntervalMs, reportsPerSecondMax } from '../../src/control/limits.ts';
import { runScale } from '../../src/sim/scale/scale-cluster.ts';
import { measuredModel } from './costs.ts';
import type { MeasuredCosts } from './costs.ts';
import type { Figure } from './figure.ts';
import type { LinePlot } from './plot.ts';
import { oneStage } from './shapes.ts';

export type Load = {
  readonly intervalMs: number;
  readonly groupSize: number;
  /** Share of a core; above 1 what is asked for, which no driver can do. */
  readonly share: number;
  /** By simulation; otherwise reckoned from the messages of a group and the reports by time. */
  readonly simulated: boolean;
};

export type StepTime = {
  readonly workers: number;
  readonly groupSize: number;
  readonly tasksPerWorker: number;
  /** Real time of the driver machine, µs a worker and group. */
  readonly stepUs: number;
  readonly messages: number;
  /** With the measured cost of encoding, decoding and sockets, µs a worker and group. */
  readonly wholeUs: number;
  readonly batches: number;
  /** How long the simulation took. */
  readonly realMs: number;
};

export type DriverLoad = {
  readonly workers: number;
  readonly loads: readonly Load[];
  /** By interval: the least group size that keeps the driver under half a core. */
  readonly underHalf: readonly { readonly intervalMs: number; readonly groupSize: number }[];
  readonly steps: readonly StepTime[];
};

const intervalsMs = [10, 100, 1000];
const groupSizes = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** Groups that last longer are reckoned, ms. */
const simulatedMsMax = 1500;

/** A longer group is simulated as so many longer micro-batches: its driver cannot tell. */
const batchesMax = 5;

export const driverLoad: Figure<DriverLoad> = {
  name: 'driver-load',
  what: 'the driver’s share of a core by group size, at 10,000 workers',
  run({ quick, costs }) {
    const workers = quick ? 50 : 10_000;
    const sizes = quick ? groupSizes.slice(0, 3) : groupSizes;
    const cells = quick
      ? [{ workers, groupSize: 5, tasksPerWorker: 1 }]
      : [
          { workers: 100, groupSize: 10, tasksPerWorker: 1 },
          { workers: 1000, groupSize: 10, tasksPerWorker: 1 },
          { workers, groupSize: 10, tasksPerWorker: 1 },
          { workers, groupSize: 10, tasksPerWorker: 4 },
          { workers, groupSize: 50, tasksPerWorker: 1 },
        ];
    return Promise.resolve({
      workers,
      loads: intervalsMs.flatMap((intervalMs) =>
        sizes.map((groupSize) => loadOf(workers, { intervalMs, groupSize }, costs!)),
      ),
      underHalf: intervalsMs.map((intervalMs) => ({
        intervalMs,
        groupSize: Math.ceil(
          offered(workers, { intervalMs, groupSize: 1 }, costs!) / (0.5 - byTime(workers, costs!)),
        ),
      })),
      steps: cells.map((cell) => stepTime(cell, costs!)),
    });
  },
  tell: ({ workers, loads, underHalf, steps }) => [
    ...intervalsMs.map((interval) => {
      const shares = loads
        .filter(({ intervalMs }) => intervalMs === interval)
        .map(({ groupSize, share }) => `${groupSize}: ${(100 * share).toFixed(1)} %`);
      return `${workers} workers, every ${interval} ms: G = ${shares.join(', ')}`;
    }),
    ...underHalf.map(
      ({ intervalMs, groupSize }) => `under half a core at ${intervalMs} ms: G >= ${groupSize}`,
    ),
    ...steps.map(
      (step) =>
        `${step.workers} workers, G = ${step.groupSize}, ${step.tasksPerWorker} tasks a worker: ` +
        `${step.stepUs.toFixed(2)} µs a worker and group in the machine, ` +
        `${step.wholeUs.toFixed(1)} with its ${step.messages.toFixed(1)} messages; ` +
        `${step.batches} micro-batches simulated in ${(step.realMs / 1000).toFixed(1)} s`,
    ),
  ],
  plot({ workers, loads }): readonly LinePlot[] {
    return [
      {
        kind: 'lines',
        title: `What groups cost the driver, ${workers.toLocaleString('en-US')} workers`,
        subtitle: 'Share of one core at measured costs, with look-ahead; above 100 %: asked for',
        x: { label: 'micro-batches in a group', scale: 'log', min: 0.9, max: 1100 },
        y: {
          label: 'share of a core, %',
          scale: 'log',
          min: 1,
          max: 10_000,
          ticks: [1, 5, 10, 50, 100, 1000, 10_000],
        },
        series: [
          ...intervalsMs.map((interval, index) => ({
            name: `a micro-batch every ${interval} ms`,
            color: index,
            style: 'line' as const,
            points: loads
              .filter(({ intervalMs }) => intervalMs === interval)
              .map(({ groupSize, share }) => ({ x: groupSize, y: 100 * share })),
          })),
          {
            name: 'half a core',
            color: 7,
            style: 'floor',
            points: [0.9, 1100].map((x) => ({ x, y: 50 })),
          },
        ],
      },
    ];
  },
};

type Pace = { readonly intervalMs: number; readonly groupSize: number };

/** An order, a report at the start of its last micro-batches and one at its end. */
function offered(workers: number, { intervalMs, groupSize }: Pace, costs: MeasuredCosts): number {
  const { sendMs, receiveMs } = measuredModel(costs).driver;
  return (workers * (sendMs + 2 * receiveMs)) / (groupSize * intervalMs);
}

/** What the reports take that come by time, where groups are long. */
function byTime(workers: number, costs: MeasuredCosts): number {
  const perMs = Math.min(workers / reportIntervalMs, reportsPerSecondMax / 1000);
  return perMs * measuredModel(costs).driver.receiveMs;
}

function loadOf(workers: number, pace: Pace, costs: MeasuredCosts): Load {
  const groupMs = pace.intervalMs * pace.groupSize;
  const asked = offered(workers, pace, costs);
  if (asked > 0.95) return { ...pace, share: asked, simulated: false };
  if (groupMs > simulatedMsMax) {
    return { ...pace, share: asked + byTime(workers, costs), simulated: false };
  }
  const count = Math.min(pace.groupSize, batchesMax);
  const groups = Math.max(3, Math.min(12, Math.ceil(3000 / groupMs)));
  const { steady } = runScale({
    seed: 1,
    shape: oneStage(workers),
    workerCount: workers,
    mode: 'drizzle',
    pace: { groupSize: count, intervalMs: groupMs / count, lookAhead: true },
    costs: measuredModel(costs),
    workMs: [0.5],
    jitter: 0.1,
    blockBytes: 0,
    batches: groups * count,
  });
  return { ...pace, share: steady.driverBusyMs / steady.elapsedMs, simulated: true };
}

function stepTime(
  cell: Pick<StepTime, 'workers' | 'groupSize' | 'tasksPerWorker'>,
  costs: MeasuredCosts,
): StepTime {
  const { workers, groupSize, tasksPerWorker } = cell;
  const batches = Math.max(100, 2 * groupSize);
  let stepMs = 0;
  // Joining and installing happen once.
  let skipped = 2 * workers;
  const startMs = performance.now();
  const { groups, steady } = runScale({
    seed: 1,
    shape: oneStage(workers * tasksPerWorker),
    workerCount: workers,
    mode: 'drizzle',
    pace: { groupSize, intervalMs: Math.max(10, workers / 20 / groupSize), lookAhead: true },
    costs: measuredModel(costs),
    workMs: [0.6 / tasksPerWorker],
    jitter: 0.1,
    blockBytes: 0,
    batches,
    machineStep: (machine, step) => {
      if (machine === 'worker' || skipped > 0) {
        if (machine === 'driver') skipped--;
        return step();
      }
      const from = performance.now();
      step();
      stepMs += performance.now() - from;
    },
  });
  const realMs = performance.now() - startMs;
  const workerGroups = (steady.batches / groupSize) * workers;
  return {
    ...cell,
    stepUs: (1000 * stepMs) / (groups.length * workers),
    messages: steady.driverMessages / workerGroups,
    wholeUs: (1000 * steady.driverBusyMs) / workerGroups,
    batches,
    realMs,
  };
}
