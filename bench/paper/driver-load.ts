// What groups cost the driver. Its real machine is timed for each worker and group while workers,
// partitions and group size vary; its share of a core at ten thousand workers follows from that and
// from what messages cost, is simulated at some group sizes, and is measured on real processes.

import process from 'node:process';
import { reportIntervalMs, reportsPerSecondMax } from '../../src/control/limits.ts';
import { runScale } from '../../src/sim/scale/scale-cluster.ts';
import type { Spread } from '../figures.ts';
import { machine, spread, spreadText } from '../figures.ts';
import { measuredModel } from './costs.ts';
import type { MeasuredCosts } from './costs.ts';
import { timeDriver } from './driver-steps.ts';
import type { Figure } from './figure.ts';
import { idleOneStage } from './idle-one-stage.ts';
import type { LinePlot } from './plot.ts';
import { oneStage, twoStages } from './shapes.ts';

type Varied = 'workers' | 'partitions' | 'groupSize' | 'stages';

export type StepTime = {
  readonly varied: Varied;
  readonly workers: number;
  readonly stages: 1 | 2;
  readonly partitionsPerWorker: number;
  readonly groupSize: number;
  readonly intervalMs: number;
  /** All for each worker and group, µs of a processor: of the machine alone. */
  readonly machineUs: Spread;
  /** With the job's monitor. */
  readonly monitoredUs: Spread;
  /** With coding, sockets and the event loop, as `costs` measured them for each message. */
  readonly wholeUs: number;
  readonly orders: number;
  readonly reports: number;
};

export type Load = {
  readonly intervalMs: number;
  readonly groupSize: number;
  /** Share of a core; above 1 what is asked for, which no driver can do. */
  readonly share: number;
};

export type DriverLoad = {
  readonly machine: string;
  readonly rounds: number;
  readonly workers: number;
  readonly steps: readonly StepTime[];
  readonly loads: readonly Load[];
  /** By interval: the least group size that keeps the driver under half a core. */
  readonly underHalf: readonly { readonly intervalMs: number; readonly groupSize: number }[];
  /** By how long a group lasts, which is all that the driver's share depends on. */
  readonly simulated: readonly {
    readonly groupMs: number;
    readonly share: number;
    readonly reckoned: number;
  }[];
  /** The whole process of a driver with real hosts, µs of a processor for each worker and group. */
  readonly real: {
    readonly hosts: number;
    readonly workers: number;
    readonly groupSize: number;
    readonly intervalMs: number;
    readonly us: Spread;
    readonly reckonedUs: number;
  };
};

const intervalsMs = [10, 100];
const groupSizes = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
const rounds = 5;

type Cell = Pick<
  StepTime,
  'varied' | 'workers' | 'stages' | 'partitionsPerWorker' | 'groupSize' | 'intervalMs'
>;

/** Groups last as long in all of them but the first, in which workers vary. */
const usual = { workers: 1000, stages: 1, partitionsPerWorker: 1, groupSize: 10, intervalMs: 10 };
const cells: readonly Cell[] = [
  ...[100, 1000, 10_000].map((workers) => cellOf('workers', { workers, intervalMs: 100 })),
  ...[1, 4, 16, 64].map((partitionsPerWorker) => cellOf('partitions', { partitionsPerWorker })),
  ...[1, 10, 100, 1000].map((groupSize) => {
    return cellOf('groupSize', { groupSize, intervalMs: 100 / groupSize });
  }),
  cellOf('stages', { stages: 2, partitionsPerWorker: 4 }),
];

function cellOf(varied: Varied, changed: Partial<Omit<Cell, 'varied'>>): Cell {
  return { varied, ...(usual as Omit<Cell, 'varied'>), ...changed };
}

export const driverLoad: Figure<DriverLoad> = {
  name: 'driver-load',
  what: 'what groups cost the driver, and its share of a core at 10,000 workers',
  async run({ quick, costs }) {
    const workers = quick ? 50 : 10_000;
    const measured = quick ? cells.slice(0, 1) : cells;
    return {
      machine: machine(),
      rounds: quick ? 1 : rounds,
      workers,
      steps: timeSteps(measured, quick ? 1 : rounds, costs!),
      loads: intervalsMs.flatMap((intervalMs) =>
        groupSizes.map((groupSize) => {
          const share = shareOf(workers, intervalMs * groupSize, costs!);
          return { intervalMs, groupSize, share };
        }),
      ),
      underHalf: intervalsMs.map((intervalMs) => {
        const share = (groupSize: number): number =>
          shareOf(workers, intervalMs * groupSize, costs!);
        let groupSize = 1;
        while (share(groupSize) >= 0.5) groupSize++;
        return { intervalMs, groupSize };
      }),
      simulated: (quick ? [100] : [500, 1000, 2000]).map((groupMs) => ({
        groupMs,
        share: simulatedShare(workers, groupMs, costs!),
        reckoned: shareOf(workers, groupMs, costs!),
      })),
      real: await realDriver(quick, costs!),
    };
  },
  tell: (figure) => [
    ...figure.steps.map(stepText),
    ...intervalsMs.map((interval) => {
      const shares = figure.loads
        .filter(({ intervalMs }) => intervalMs === interval)
        .map(({ groupSize, share }) => `${groupSize}: ${percent(share)}`);
      return `${figure.workers} workers, every ${interval} ms: G = ${shares.join(', ')}`;
    }),
    ...figure.underHalf.map(
      ({ intervalMs, groupSize }) => `under half a core at ${intervalMs} ms: G >= ${groupSize}`,
    ),
    ...figure.simulated.map(
      ({ groupMs, share, reckoned }) =>
        `groups of ${groupMs} ms: simulated ${percent(share)}, reckoned ${percent(reckoned)}`,
    ),
    realText(figure.real),
  ],
  shows({ steps, workers, underHalf, simulated, real: own }) {
    const range = (of: (step: StepTime) => number): string => {
      const values = steps.map(of);
      return `${Math.min(...values).toFixed(1)}–${Math.max(...values).toFixed(1)}`;
    };
    const least = steps.toSorted((a, b) => a.reports - b.reports)[0]!;
    const enough = underHalf.map(({ intervalMs, groupSize }) => `${groupSize} at ${intervalMs} ms`);
    const ratios = simulated.map(({ share, reckoned }) => (share / reckoned).toFixed(2));
    return (
      `The driver's machine takes ${range(({ machineUs }) => machineUs.median)} µs of a ` +
      `processor for each worker and group, with the monitor ` +
      `${range(({ monitoredUs }) => monitoredUs.median)}, at 100 to 10,000 workers, 1 to 64 ` +
      `source ` +
      `partitions each, one stage or two, groups of 1 to 1,000: none of them makes it dearer ` +
      `than ` +
      `its messages. An order and ${least.reports.toFixed(0)} reports take ` +
      `${least.wholeUs.toFixed(1)} µs with ` +
      `coding ` +
      `and sockets (target: 20). ${workers.toLocaleString('en-US')} workers take under half a ` +
      `core from G = ${enough.join(', ')} on; simulated by reckoned ${ratios.join(', ')}. A real ` +
      `driver of ${own.workers} workers, which wakes for most messages, takes ` +
      `${spreadText(own.us, 0)} µs a worker and group.`
    );
  },
  plot: (figure) => [loadPlot(figure), ...stepPlots(figure)],
};

/** Rounds are interleaved, so that what disturbs the machine disturbs all cells alike. */
function timeSteps(
  measured: readonly Cell[],
  times: number,
  costs: MeasuredCosts,
): readonly StepTime[] {
  const samples = measured.map((): ReturnType<typeof timeDriver>[] => []);
  for (let round = 0; round < times; round++) {
    measured.forEach((cell, index) => samples[index]!.push(timeCell(cell)));
  }
  return measured.map((cell, index): StepTime => {
    const own = samples[index]!;
    const { orders, reports } = own[0]!;
    return {
      ...cell,
      machineUs: spread(own.map(({ machineUs }) => machineUs)),
      monitoredUs: spread(own.map(({ monitoredUs }) => monitoredUs)),
      wholeUs: wholeUs({ orders, reports }, costs),
      orders,
      reports,
    };
  });
}

function timeCell({ workers, stages, partitionsPerWorker, ...pace }: Cell) {
  const partitions = workers * partitionsPerWorker;
  const shape = stages === 1 ? oneStage(partitions) : twoStages(partitions, workers);
  const groups = Math.max(4, Math.min(100, Math.ceil(30_000 / workers)));
  return timeDriver({ shape, workers, ...pace, groups });
}

type Messages = Pick<StepTime, 'orders' | 'reports'>;

function wholeUs({ orders, reports }: Messages, costs: MeasuredCosts): number {
  const { sendMs, receiveMs } = measuredModel(costs).driver;
  return 1000 * (orders * sendMs + reports * receiveMs);
}

/** Time between two reports that nobody asked for, ms. */
function reportsMs(workers: number): number {
  return Math.max(reportIntervalMs, (workers * 1000) / reportsPerSecondMax);
}

/**
 * An order, a report towards the group's end and one at its end, and those by time: of a group that
 * lasts longer than the time between two of them. Their clock starts anew with every report.
 */
function shareOf(workers: number, groupMs: number, costs: MeasuredCosts): number {
  const byTime = Math.max(0, groupMs / reportsMs(workers) - 1);
  const us = wholeUs({ orders: 1, reports: 2 + byTime }, costs);
  return (workers * us) / 1000 / groupMs;
}

/** The driver cannot tell a group from one of as long that has three longer micro-batches. */
function simulatedShare(workers: number, groupMs: number, costs: MeasuredCosts): number {
  const groupSize = 3;
  const { steady } = runScale({
    seed: 1,
    shape: oneStage(workers),
    workerCount: workers,
    mode: 'drizzle',
    pace: { groupSize, intervalMs: groupMs / groupSize, lookAhead: true },
    costs: measuredModel(costs),
    workMs: [0.5],
    jitter: 0.1,
    blockBytes: 0,
    batches: 4 * groupSize,
    warmUpBatches: groupSize,
  });
  return steady.driverBusyMs / steady.elapsedMs;
}

/** This process is the driver of a job without data; what it uses is all the driver's. */
async function realDriver(quick: boolean, costs: MeasuredCosts): Promise<DriverLoad['real']> {
  const hosts = quick ? 2 : 4;
  const perHost = quick ? 1 : 4;
  const pace = { groupSize: 10, intervalMs: 20 };
  const job = await idleOneStage.run({
    hosts,
    workers: perHost,
    interval: pace.intervalMs,
    groupSize: pace.groupSize,
    module: new URL('./idle-one-stage.ts', import.meta.url),
  });
  while (job.status().batches < (quick ? 10 : 100)) await sleep(50);
  const workers = hosts * perHost;
  const samples: number[] = [];
  for (let round = 0; round < (quick ? 1 : rounds); round++) {
    const from = job.status().groups;
    const before = process.cpuUsage();
    await sleep(quick ? 400 : 2000);
    const { user, system } = process.cpuUsage(before);
    samples.push((user + system) / (job.status().groups - from) / workers);
  }
  await job.stop();
  const byTime = (pace.groupSize * pace.intervalMs) / reportsMs(workers) - 1;
  const reckonedUs = wholeUs({ orders: 1, reports: 2 + byTime }, costs);
  return { hosts, workers, ...pace, us: spread(samples), reckonedUs };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function stepText(step: StepTime): string {
  const { workers, stages, partitionsPerWorker, groupSize, reports } = step;
  return (
    `${String(workers).padStart(5)} workers, ${stages} stage(s), ${partitionsPerWorker} ` +
    `partitions each, G = ${String(groupSize).padStart(4)}: machine ` +
    `${spreadText(step.machineUs)} µs a worker and group, with monitor ` +
    `${spreadText(step.monitoredUs)}, with its order and ${reports.toFixed(1)} reports ` +
    `${step.wholeUs.toFixed(1)}`
  );
}

function realText({ hosts, workers, groupSize, intervalMs, us, reckonedUs }: DriverLoad['real']) {
  return (
    `a real driver, ${workers} workers on ${hosts} hosts, G = ${groupSize}, ${intervalMs} ms: ` +
    `${spreadText(us, 1)} µs a worker and group, reckoned ${reckonedUs.toFixed(1)}`
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function loadPlot({ workers, loads, simulated }: DriverLoad): LinePlot {
  const most = 1200;
  return {
    kind: 'lines',
    title: `What groups cost the driver, ${workers.toLocaleString('en-US')} workers`,
    subtitle: 'Share of one core at measured costs, with look-ahead; above 100 %: asked for',
    x: { label: 'micro-batches in a group', scale: 'log', min: 0.9, max: most },
    y: {
      label: 'share of a core, %',
      scale: 'log',
      min: 1,
      max: 10_000,
      ticks: [1, 5, 10, 50, 100, 1000, 10_000],
    },
    series: [
      ...intervalsMs.flatMap((interval, index) => [
        {
          name: `a micro-batch every ${interval} ms`,
          color: index,
          style: 'line' as const,
          points: loads
            .filter(({ intervalMs }) => intervalMs === interval)
            .map(({ groupSize, share }) => ({ x: groupSize, y: 100 * share })),
        },
        {
          name: `every ${interval} ms, simulated`,
          color: index,
          style: 'paper' as const,
          points: simulated.map(({ groupMs, share }) => ({
            x: groupMs / interval,
            y: 100 * share,
          })),
        },
      ]),
      {
        name: 'half a core',
        color: 7,
        style: 'floor',
        points: [0.9, most].map((x) => ({ x, y: 50 })),
      },
    ],
  };
}

function stepPlots({ steps }: DriverLoad): readonly LinePlot[] {
  const of = (varied: Varied, x: (step: StepTime) => number, us: (step: StepTime) => number) =>
    steps.filter((step) => step.varied === varied).map((step) => ({ x: x(step), y: us(step) }));
  const axes = [
    { varied: 'workers', name: 'workers', x: ({ workers }: StepTime) => workers },
    {
      varied: 'partitions',
      name: 'source partitions a worker, 1,000 workers',
      x: ({ partitionsPerWorker }: StepTime) => partitionsPerWorker,
    },
    {
      varied: 'groupSize',
      name: 'micro-batches in a group of 100 ms, 1,000 workers',
      x: ({ groupSize }: StepTime) => groupSize,
    },
  ] as const;
  const series = axes.flatMap(({ varied, name, x }, index) => [
    {
      name: `${name}`,
      color: index,
      style: 'line' as const,
      points: of(varied, x, ({ monitoredUs }) => monitoredUs.median),
    },
    {
      name: '… the machine alone',
      color: index,
      style: 'dashed' as const,
      points: of(varied, x, ({ machineUs }) => machineUs.median),
    },
  ]);
  return [
    {
      kind: 'lines',
      title: 'Processor time of the real driver for each worker and group',
      subtitle: 'Machine and monitor, without sockets, as one thing grows and the others do not',
      x: { label: 'workers, or partitions, or micro-batches', scale: 'log', min: 0.9, max: 12_000 },
      y: { label: 'µs a worker and group', scale: 'linear', min: 0, max: 20 },
      series: [
        ...series,
        {
          name: 'the bound: 20 µs',
          color: 7,
          style: 'floor',
          points: [0.9, 12_000].map((x) => ({ x, y: 19.95 })),
        },
      ],
    },
  ];
}
