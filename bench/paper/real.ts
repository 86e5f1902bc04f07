// `real`: jobs without data on real processes of this machine, beside what the simulation says of
// them at the measured costs when all processes share the cores that the machine has.

import { availableParallelism } from 'node:os';
import type { Pipeline } from '../../src/api/pipeline.ts';
import type { Schedule } from './cell.ts';
import { msText, runCell, scheduleName } from './cell.ts';
import { measuredModel } from './costs.ts';
import type { MeasuredCosts } from './costs.ts';
import type { Figure } from './figure.ts';
import { idleOneStage, tasksPerWorker } from './idle-one-stage.ts';
import { idleTwoStages } from './idle-two-stages.ts';
import type { LinePlot, Series } from './plot.ts';
import { oneStage, twoStages } from './shapes.ts';

export type RealCell = {
  readonly stages: 1 | 2;
  readonly schedule: Schedule;
  readonly hosts: number;
  readonly workers: number;
  readonly realMs: number;
  /** Planned trigger to completion at a worker, the median. */
  readonly latencyMsP50: number;
  readonly simulatedMs: number;
  /** Simulated by real. */
  readonly ratio: number;
};

export type Real = {
  readonly cores: number;
  readonly cells: readonly RealCell[];
};

const schedules: readonly Schedule[] = [
  { mode: 'bsp' },
  { mode: 'drizzle', groupSize: 100, lookAhead: false },
  { mode: 'drizzle', groupSize: 10, lookAhead: true },
];

type Size = { readonly hosts: number; readonly perHost: number };

const sizes: readonly Size[] = [
  { hosts: 2, perHost: 1 },
  { hosts: 4, perHost: 1 },
  { hosts: 4, perHost: 2 },
  { hosts: 4, perHost: 4 },
];

export const real: Figure<Real> = {
  name: 'real',
  what: 'micro-batches without data on real processes, beside the simulation',
  async run({ quick, costs }) {
    const cells: RealCell[] = [];
    for (const stages of [1, 2] as const) {
      for (const schedule of quick ? schedules.slice(2) : schedules) {
        for (const size of quick ? sizes.slice(0, 1) : sizes) {
          const measured = await measure({ stages, schedule, size, ms: quick ? 200 : 1500 });
          const simulatedMs = simulated({ stages, schedule, size }, costs!);
          const workers = size.hosts * size.perHost;
          const ratio = simulatedMs / measured.realMs;
          const { hosts } = size;
          cells.push({ stages, schedule, hosts, workers, ...measured, simulatedMs, ratio });
        }
      }
    }
    return { cores: availableParallelism(), cells };
  },
  tell: ({ cells }) =>
    cells.map(
      ({ stages, schedule, hosts, workers, realMs, latencyMsP50, simulatedMs, ratio }) =>
        `${stages} stage(s), ${scheduleName(schedule).padEnd(20)} ${hosts} processes, ` +
        `${String(workers).padStart(2)} workers: ${msText(realMs)}, latency p50 ` +
        `${msText(latencyMsP50)}; simulated ${msText(simulatedMs)}, ${ratio.toFixed(2)} ×`,
    ),
  plot: ({ cores, cells }) => ([1, 2] as const).map((stages) => plotOf(stages, { cores, cells })),
};

type Setting = { readonly stages: 1 | 2; readonly schedule: Schedule; readonly size: Size };

async function measure(
  setting: Setting & { readonly ms: number },
): Promise<Pick<RealCell, 'realMs' | 'latencyMsP50'>> {
  const { stages, schedule, size, ms } = setting;
  const pipeline: Pick<Pipeline, 'run'> = stages === 1 ? idleOneStage : idleTwoStages;
  const file = stages === 1 ? './idle-one-stage.ts' : './idle-two-stages.ts';
  const job = await pipeline.run({
    hosts: size.hosts,
    workers: size.perHost,
    interval: 0,
    partitions: consumers,
    module: new URL(file, import.meta.url),
    mode: schedule.mode,
    ...(schedule.mode === 'bsp'
      ? {}
      : { groupSize: schedule.groupSize, lookAhead: schedule.lookAhead }),
  });
  for (let waited = 0; job.status().batches < 20; waited += 50) {
    if (waited > 30_000) throw new Error('the job never began');
    await sleep(50);
  }
  await sleep(ms / 3);
  const before = job.status();
  await sleep(ms);
  const after = job.status();
  await job.stop();
  const realMs = (after.elapsedMs - before.elapsedMs) / (after.batches - before.batches);
  return { realMs, latencyMsP50: after.batchMs.p50 };
}

const consumers = 8;

function simulated({ stages, schedule, size }: Setting, costs: MeasuredCosts): number {
  const model = measuredModel(costs);
  const machines = size.hosts * size.perHost;
  const producers = machines * tasksPerWorker;
  const { batchMs } = runCell({
    machines,
    shape: stages === 1 ? oneStage(producers) : twoStages(producers, consumers),
    schedule,
    // The processes talk over loopback.
    costs: { ...model, link: { ...model.link, delayMs: costs.oneWayDelayUs.median / 1000 } },
    workMs: [0, 0],
    cores: availableParallelism(),
  });
  return batchMs;
}

function plotOf(stages: 1 | 2, { cores, cells }: Real): LinePlot {
  const series = schedules.flatMap((schedule, index): Series[] => {
    const own = cells.filter((cell) => {
      return cell.stages === stages && scheduleName(cell.schedule) === scheduleName(schedule);
    });
    const name = scheduleName(schedule);
    const points = (of: (cell: RealCell) => number): Series['points'] =>
      own.map((cell) => ({ x: cell.workers, y: of(cell) }));
    return [
      { name: `${name}: real`, color: index, style: 'line', points: points((c) => c.realMs) },
      {
        name: `${name}: simulated`,
        color: index,
        style: 'paper',
        points: points((c) => c.simulatedMs),
      },
    ];
  });
  return {
    kind: 'lines',
    title: `Real processes and the simulation: ${stages === 1 ? 'one stage' : 'two stages'}`,
    subtitle: `No data; 2 or 4 processes and the driver share ${cores} cores; measured costs`,
    x: { label: 'workers', scale: 'log', min: 1.8, max: 18, ticks: [2, 4, 8, 16] },
    y: {
      label: 'ms a micro-batch',
      scale: 'log',
      min: 0.003,
      max: 30,
      ticks: [0.01, 0.1, 1, 10],
    },
    series,
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
