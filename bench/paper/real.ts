// `real`: jobs without data on real processes of this machine, beside what the simulation says of
// them at costs measured at the same time, when all processes share the cores that the machine has.

import { availableParallelism } from 'node:os';
import type { Pipeline } from '../../src/api/pipeline.ts';
import type { Job } from '../../src/index.ts';
import { machine, spread, spreadText } from '../figures.ts';
import type { Spread } from '../figures.ts';
import { empty } from '../scheduling.ts';
import type { Schedule } from './cell.ts';
import { msText, runCell, scheduleName } from './cell.ts';
import { measureCosts, measuredModel } from './costs.ts';
import type { MeasuredCosts } from './costs.ts';
import type { Figure } from './figure.ts';
import { idleOneStage, tasksPerWorker } from './idle-one-stage.ts';
import { idleTwoStages } from './idle-two-stages.ts';
import type { LinePlot, Series } from './plot.ts';
import { coresUsed, othersText, processorUse } from './processor-use.ts';
import type { CoresUsed } from './processor-use.ts';
import { oneStage, twoStages } from './shapes.ts';

export type RealCell = {
  readonly stages: 1 | 2;
  readonly schedule: Schedule;
  readonly hosts: number;
  readonly workers: number;
  readonly real: Measured;
  readonly simulated: Simulated;
  /** Simulated by real: of the time of a micro-batch, and of the processor time that it takes. */
  readonly ratio: number;
  readonly cpuRatio: number | null;
};

export type Simulated = { readonly batchMs: number; readonly cpuMs: number };

export type Measured = {
  /** Of a micro-batch, one after another, over spans of the run. */
  readonly batchMs: Spread;
  /** Processor time of all processes; null where the system does not tell. */
  readonly cpuMs: number | null;
  readonly cores: CoresUsed;
};

export type Real = {
  readonly machine: string;
  readonly cores: number;
  readonly costs: MeasuredCosts;
  readonly cells: readonly RealCell[];
  readonly ratio: Ratio;
  readonly cpuRatio: Ratio | null;
  /** Two stages without data on four processes of one worker, one source task each. */
  readonly fourProcesses: {
    readonly groupSize: number;
    readonly back: Measured;
    readonly simulated: Simulated;
    /** At an interval, from planned trigger to completion at a worker. */
    readonly intervalMs: number;
    readonly latencyMsP50: Spread;
    readonly latencyMsP99: Spread;
    readonly simulatedLatencyMs: number;
    readonly cores: CoresUsed;
  };
};

/** Over all cells: the geometric mean of the ratios, and the least and the greatest. */
export type Ratio = { readonly mean: number; readonly min: number; readonly max: number };

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

const consumers = 8;
const spans = 5;

export const real: Figure<Real> = {
  name: 'real',
  what: 'micro-batches without data on real processes, beside the simulation',
  async run({ quick, costs: earlier }) {
    // What this machine takes now: it may have been busier, or less busy, when costs were measured.
    const costs = quick ? earlier! : await measureCosts({ rounds: 3, quick });
    const cells: RealCell[] = [];
    for (const stages of quick ? ([2] as const) : ([1, 2] as const)) {
      for (const schedule of quick ? schedules.slice(2) : schedules) {
        for (const size of quick ? sizes.slice(0, 1) : sizes) {
          const measured = await measure({ stages, schedule, size, quick });
          cells.push(cellOf({ stages, schedule, size }, measured, costs));
        }
      }
    }
    const fourProcesses = await fourProcessesOf(quick, costs);
    const cores = availableParallelism();
    const cpuRatios = cells.flatMap(({ cpuRatio }) => (cpuRatio === null ? [] : [cpuRatio]));
    return {
      machine: machine(),
      cores,
      costs,
      cells,
      ratio: ratioOf(cells.map(({ ratio }) => ratio)),
      cpuRatio: cpuRatios.length === 0 ? null : ratioOf(cpuRatios),
      fourProcesses,
    };
  },
  tell: ({ cells, ratio, cpuRatio, fourProcesses: four }) => [
    ...cells.map(cellText),
    `simulated by real: time ${ratioText(ratio)}` +
      (cpuRatio === null ? '' : `, processor time ${ratioText(cpuRatio)}`),
    `two stages, 4 processes, one task each, G = ${four.groupSize}: ` +
      `${spreadText(four.back.batchMs, 3)} ms a micro-batch, simulated ` +
      `${msText(four.simulated.batchMs)}${othersText(four.back.cores)}`,
    `every ${four.intervalMs} ms, planned trigger to completion: p50 ` +
      `${spreadText(four.latencyMsP50)} ms, p99 ${spreadText(four.latencyMsP99)} ms, simulated ` +
      `${msText(four.simulatedLatencyMs)}${othersText(four.cores)}`,
  ],
  shows({ cells, ratio, cpuRatio, fourProcesses: four }) {
    const of = (mode: Schedule['mode']): string => {
      const some = cells.filter(({ schedule }) => schedule.mode === mode);
      return some.length === 0 ? '(not run)' : ratioText(ratioOf(some.map((cell) => cell.ratio)));
    };
    const cpu = cpuRatio === null ? '' : `, of its processor time ${ratioText(cpuRatio)}`;
    return (
      `The simulation gives ${ratioText(ratio)} of the real time of a micro-batch (mean of ` +
      `${cells.length} cells, least and greatest)${cpu}; in groups ${of('drizzle')}, ` +
      `in \`bsp\` ${of('bsp')}. Two stages without data on four processes, groups of ` +
      `${four.groupSize}: ${spreadText(four.back.batchMs, 3)} ms a micro-batch back to back; ` +
      `every ${four.intervalMs} ms, trigger to completion ${spreadText(four.latencyMsP50)} ms in ` +
      `the median, simulated ${msText(four.simulatedLatencyMs)}${othersText(four.cores)}.`
    );
  },
  plot: ({ cores, cells }) => ([1, 2] as const).map((stages) => plotOf(stages, { cores, cells })),
};

function cellOf(setting: Setting, measured: Measured, costs: MeasuredCosts): RealCell {
  const { stages, schedule, size } = setting;
  const { hosts } = size;
  const own = simulated(setting, costs);
  return {
    stages,
    schedule,
    hosts,
    workers: hosts * size.perHost,
    real: measured,
    simulated: own,
    ratio: own.batchMs / measured.batchMs.median,
    cpuRatio: measured.cpuMs === null ? null : own.cpuMs / measured.cpuMs,
  };
}

function ratioOf(ratios: readonly number[]): Ratio {
  const logs = ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0);
  return {
    mean: Math.exp(logs / ratios.length),
    min: Math.min(...ratios),
    max: Math.max(...ratios),
  };
}

type Setting = { readonly stages: 1 | 2; readonly schedule: Schedule; readonly size: Size };

function measure({
  stages,
  schedule,
  size,
  quick,
}: Setting & { readonly quick: boolean }): Promise<Measured> {
  const pipeline: Pick<Pipeline, 'run'> = stages === 1 ? idleOneStage : idleTwoStages;
  const file = stages === 1 ? './idle-one-stage.ts' : './idle-two-stages.ts';
  return running(
    pipeline.run({
      hosts: size.hosts,
      workers: size.perHost,
      interval: 0,
      partitions: consumers,
      module: new URL(file, import.meta.url),
      mode: schedule.mode,
      ...(schedule.mode === 'bsp'
        ? {}
        : { groupSize: schedule.groupSize, lookAhead: schedule.lookAhead }),
    }),
    (job) => backToBack(job, quick),
  );
}

/** Measures a job that has warmed up, and stops it. */
async function running<Result>(
  starting: Promise<Job>,
  measureIt: (job: Job) => Promise<Result>,
): Promise<Result> {
  const job = await starting;
  for (let waitedMs = 0; job.status().batches < 20; waitedMs += 50) {
    if (waitedMs > 60_000) throw new Error('the job never began');
    await sleep(50);
  }
  const result = await measureIt(job);
  await job.stop();
  return result;
}

async function backToBack(job: Job, quick: boolean): Promise<Measured> {
  // Code that has run a thousand times is compiled.
  const warmUpMs = quick ? 100 : 2000;
  for (let ms = 0; ms < warmUpMs && job.status().batches < 3000; ms += 50) await sleep(50);
  const from = processorUse();
  const batchesFrom = job.status().batches;
  const samples: number[] = [];
  for (let span = 0; span < (quick ? 1 : spans); span++) {
    const before = job.status();
    await sleep(quick ? 200 : 300);
    const after = job.status();
    const batches = after.batches - before.batches;
    if (batches > 0) samples.push((after.elapsedMs - before.elapsedMs) / batches);
  }
  if (samples.length === 0) throw new Error('the job stands still');
  const to = processorUse();
  const cores = coresUsed(from, to);
  const batches = job.status().batches - batchesFrom;
  const cpuMs = cores.own === null ? null : (cores.own * (to.atMs - from.atMs)) / batches;
  return { batchMs: spread(samples), cpuMs, cores };
}

function simulated({ stages, schedule, size }: Setting, costs: MeasuredCosts): Simulated {
  const machines = size.hosts * size.perHost;
  const producers = machines * tasksPerWorker;
  const shape = stages === 1 ? oneStage(producers) : twoStages(producers, consumers);
  return simulate({ machines, perHost: size.perHost, shape, schedule }, costs);
}

/** The processes talk over loopback and share the machine's cores. */
function simulate(
  cell: Pick<Parameters<typeof runCell>[0], 'machines' | 'shape' | 'schedule' | 'intervalMs'> & {
    readonly perHost: number;
  },
  costs: MeasuredCosts,
): Simulated & { readonly latencyMs: number } {
  const model = measuredModel(costs);
  const { perHost, ...own } = cell;
  const { batchMs, cpuMs, latencyMs } = runCell({
    ...own,
    workersPerHost: perHost,
    costs: { ...model, link: { ...model.link, delayMs: costs.oneWayDelayUs.median / 1000 } },
    workMs: [0, 0],
    cores: availableParallelism(),
  });
  return { batchMs, cpuMs, latencyMs };
}

async function fourProcessesOf(
  quick: boolean,
  costs: MeasuredCosts,
): Promise<Real['fourProcesses']> {
  const groupSize = 10;
  const intervalMs = 10;
  const options = {
    hosts: quick ? 2 : 4,
    workers: 1,
    interval: 0,
    partitions: consumers,
    groupSize,
    module: new URL('../scheduling.ts', import.meta.url),
  };
  const cell = {
    machines: 4,
    perHost: 1,
    shape: twoStages(4, consumers),
    schedule: { mode: 'drizzle', groupSize, lookAhead: true } as const,
  };
  const measured = await running(empty.run(options), async (job) => {
    const back = await backToBack(job, quick);
    job.setPace({ interval: intervalMs });
    return { back, ...(await paced(job, quick)) };
  });
  return {
    groupSize,
    ...measured,
    simulated: simulate(cell, costs),
    intervalMs,
    simulatedLatencyMs: simulate({ ...cell, intervalMs }, costs).latencyMs,
  };
}

async function paced(
  job: Job,
  quick: boolean,
): Promise<Pick<Real['fourProcesses'], 'latencyMsP50' | 'latencyMsP99' | 'cores'>> {
  const p50: number[] = [];
  const p99: number[] = [];
  // `status` tells the last one to two seconds: what was back to back is then forgotten.
  await sleep(quick ? 100 : 2500);
  const from = processorUse();
  for (let span = 0; span < (quick ? 1 : spans); span++) {
    await sleep(quick ? 200 : 1000);
    const { batchMs } = job.status();
    p50.push(batchMs.p50);
    p99.push(batchMs.p99);
  }
  const cores = coresUsed(from, processorUse());
  return { latencyMsP50: spread(p50), latencyMsP99: spread(p99), cores };
}

function cellText({ stages, schedule, hosts, workers, real: own, ...cell }: RealCell): string {
  return (
    `${stages} stage(s), ${scheduleName(schedule).padEnd(20)} ${hosts} processes, ` +
    `${String(workers).padStart(2)} workers: ${spreadText(own.batchMs, 3)} ms, simulated ` +
    `${msText(cell.simulated.batchMs)}, ${cell.ratio.toFixed(2)} ×` +
    (cell.cpuRatio === null ? '' : `, processor time ${cell.cpuRatio.toFixed(2)} ×`) +
    othersText(own.cores)
  );
}

function ratioText({ mean, min, max }: Ratio): string {
  return `${mean.toFixed(2)} × (${min.toFixed(2)}–${max.toFixed(2)})`;
}

function plotOf(stages: 1 | 2, { cores, cells }: Pick<Real, 'cores' | 'cells'>): LinePlot {
  const series = schedules.flatMap((schedule, index): Series[] => {
    const own = cells.filter((cell) => {
      return cell.stages === stages && scheduleName(cell.schedule) === scheduleName(schedule);
    });
    const name = scheduleName(schedule);
    const points = (of: (cell: RealCell) => number): Series['points'] =>
      own.map((cell) => ({ x: cell.workers, y: of(cell) }));
    return [
      {
        name: `${name}: real`,
        color: index,
        style: 'line',
        points: points((cell) => cell.real.batchMs.median),
      },
      {
        name: `${name}: simulated`,
        color: index,
        style: 'paper',
        points: points((cell) => cell.simulated.batchMs),
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
      max: 100,
      ticks: [0.01, 0.1, 1, 10, 100],
    },
    series,
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
