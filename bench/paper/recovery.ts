// `recovery`: how long recovery takes by the size of the state and by the number of survivors. Real
// on host processes of this machine; simulated to 128 workers, each of which has the same work and
// the same state however many there are. `drizzle` beside `continuous`, which rolls everybody back.
// [Drizzle §3.3]

import { availableParallelism } from 'node:os';
import { bundleJob } from '../../src/runtime/cluster/bundle-job.ts';
import { runScale } from '../../src/sim/scale/scale-cluster.ts';
import type { ScaleRun } from '../../src/sim/scale/scale-run.ts';
import type { Spread } from '../figures.ts';
import { spread, spreadText } from '../figures.ts';
import { restoreUsPerGroup } from '../snapshot.ts';
import { digits } from './cell.ts';
import type { MeasuredCosts } from './costs.ts';
import { measuredModel } from './costs.ts';
import type { Figure } from './figure.ts';
import { jitter } from './models.ts';
import type { LinePlot, Series } from './plot.ts';
import { coresUsed, othersText, processorUse } from './processor-use.ts';
import type { CoresUsed } from './processor-use.ts';
import type { RecoveryRun, RecoveryRunOptions } from './recovery-run.ts';
import { recoveryRun } from './recovery-run.ts';

type Mode = 'drizzle' | 'continuous';
const modes: readonly Mode[] = ['drizzle', 'continuous'];

type RealCell = {
  readonly mode: Mode;
  readonly hosts: number;
  readonly groups: number;
  readonly runs: readonly RecoveryRun[];
  readonly backMs: Spread;
  readonly roundMs: Spread;
};

type SimulatedCell = {
  readonly mode: Mode;
  readonly survivors: number;
  readonly roundMs: number;
  /** From when the driver knew until what is visible is as fresh as before. */
  readonly backMs: number;
  readonly peakMs: number;
};

export type RecoveryFigure = {
  readonly cores: number;
  readonly coresUsed: CoresUsed;
  readonly setting: Omit<RecoveryRunOptions, 'mode' | 'bundle' | 'hosts' | 'groups'>;
  readonly simulation: typeof simulation & { readonly restoreUsPerGroup: number };
  readonly bySize: readonly RealCell[];
  readonly bySurvivors: readonly RealCell[];
  readonly simulated: readonly SimulatedCell[];
};

const setting: RecoveryFigure['setting'] = {
  eventsPerSecond: 20_000,
  intervalMs: 50,
  checkpointMs: 3_000,
  behindMs: 1_500,
};

/** Per worker; half of its time is work. */
const simulation = {
  sourcePartitions: 2,
  sourceTaskMs: 36,
  keyedPartitions: 8,
  keyedTaskMs: 2,
  groups: 100_000,
  intervalMs: 200,
  /** As long as the interval: what opens and what closes a micro-batch are its parts. */
  partMs: 200,
  checkpointIntervalMs: 2_500,
  /** Of the kill, behind a checkpoint. */
  behindMs: 2_000,
  detectionMs: 10,
  /** A write and an fdatasync; a read or write of the store. */
  appendMs: 2,
  storeMs: 5,
  commitMs: 2,
  /** How much is simulated behind the kill. */
  afterMs: { drizzle: 3_500, continuous: 7_000 },
} as const;

export const recovery: Figure<RecoveryFigure> = {
  name: 'recovery',
  what: 'time of recovery by size of the state and by number of survivors',
  async run({ quick, costs, runs = quick ? 1 : 3 }) {
    const from = processorUse();
    const restoreUs = restoreUsPerGroup(quick ? 20_000 : 200_000);
    const counts = quick ? [4, 12] : [4, 8, 16, 32, 64, 128];
    const simulated = modes.flatMap((mode) =>
      counts.map((workers) => simulate({ mode, workers, costs: costs!, restoreUs })),
    );
    const bundle = await bundleJob(new URL('./keyed-job.ts', import.meta.url).href);
    const cells = async (
      asked: readonly { readonly hosts: number; readonly groups: number }[],
    ): Promise<readonly RealCell[]> => {
      const kinds = asked.flatMap((cell) => modes.map((mode) => ({ ...cell, mode })));
      const all = kinds.map((): RecoveryRun[] => []);
      // They take turns, so that what else the machine does meets all of them.
      for (let run = 0; run < runs; run++) {
        for (const [index, kind] of kinds.entries()) {
          all[index]!.push(await recoveryRun({ ...own, ...kind, bundle }));
        }
      }
      return kinds.map((kind, index) => realCell(kind, all[index]!));
    };
    const own = quick ? { ...setting, checkpointMs: 500, behindMs: 200 } : setting;
    const bySize = quick
      ? await cells([{ hosts: 3, groups: 10_000 }])
      : await cells([10_000, 100_000, 1_000_000].map((groups) => ({ hosts: 3, groups })));
    const bySurvivors = quick
      ? []
      : await cells([2, 3, 4, 6, 7].map((hosts) => ({ hosts, groups: 300_000 })));
    return {
      cores: availableParallelism(),
      coresUsed: coresUsed(from, processorUse()),
      setting: own,
      simulation: { ...simulation, restoreUsPerGroup: restoreUs },
      bySize,
      bySurvivors,
      simulated,
    };
  },
  tell({ bySize, bySurvivors, simulated }) {
    return [
      ...bySize.map((cell) => `${realText(cell)}, ${cell.groups} groups`),
      ...bySurvivors.map((cell) => `${realText(cell)}, 300,000 groups of all`),
      ...simulated.map(({ mode, survivors, backMs, roundMs, peakMs }) => {
        return (
          `simulated ${mode.padEnd(11)}${survivors} survivors: back ${digits(backMs)} ms after ` +
          `detection, round ${digits(roundMs)}, peak ${digits(peakMs)}`
        );
      }),
    ];
  },
  shows({ bySize, bySurvivors, simulated, coresUsed: used }) {
    const sizes = (mode: Mode): string =>
      bySize
        .filter((cell) => cell.mode === mode)
        .map(({ groups, backMs }) => `${groups / 1000}k groups ${spreadText(backMs, 0)}`)
        .join(', ');
    const real = (mode: Mode): string =>
      bySurvivors
        .filter((cell) => cell.mode === mode)
        .map(({ hosts, backMs }) => `${hosts - 1}: ${backMs.median.toFixed(0)}`)
        .join(', ');
    const steps = (mode: Mode): string =>
      simulated
        .filter((cell) => cell.mode === mode)
        .map(({ survivors, backMs }) => `${survivors}: ${digits(backMs)}`)
        .join(', ');
    return (
      `Back as fresh as before, ms after detection. Real, two survivors: \`drizzle\` ` +
      `${sizes('drizzle')}; \`continuous\` ${sizes('continuous')}. Real, by survivors, ` +
      `300k groups of all: \`drizzle\` ${real('drizzle')}; \`continuous\` ` +
      `${real('continuous')}${othersText(used)}. Simulated, by survivors, the same work for ` +
      `each: \`drizzle\` ${steps('drizzle')}; \`continuous\` ${steps('continuous')}.`
    );
  },
  plot({ bySize, bySurvivors, simulated, cores, setting: own }) {
    const y = { label: 'ms after detection', scale: 'log', min: 10, max: 20_000 } as const;
    const real = (cells: readonly RealCell[], x: (cell: RealCell) => number): readonly Series[] =>
      modes.map((mode, color) => ({
        name: `${mode}, real`,
        color,
        style: 'line',
        points: cells
          .filter((cell) => cell.mode === mode)
          .map((cell) => ({ x: x(cell), y: cell.backMs.median })),
      }));
    const behind = `killed ${own.behindMs} ms after a checkpoint`;
    const plots: LinePlot[] = [
      {
        kind: 'lines',
        title: 'Time of recovery by the size of the state',
        subtitle: `One of three hosts on ${cores} cores ${behind}`,
        x: { label: 'groups', scale: 'log', min: 8_000, max: 1_200_000 },
        y,
        series: real(bySize, ({ groups }) => groups),
      },
      {
        kind: 'lines',
        title: 'Time of recovery by the number of survivors',
        subtitle:
          `Simulated: each worker has the same work. Real: ${cores} cores and one job, ` +
          'however many share it',
        x: { label: 'survivors', scale: 'log', min: 0.9, max: 150, ticks },
        y,
        series: [
          ...modes.map((mode, color) => ({
            name: `${mode}, simulated`,
            color,
            style: 'dashed' as const,
            points: simulated
              .filter((cell) => cell.mode === mode)
              .map(({ survivors, backMs }) => ({ x: survivors, y: backMs })),
          })),
          ...real(bySurvivors, ({ hosts }) => hosts - 1),
        ],
      },
    ];
    return plots;
  },
};

const ticks = [1, 2, 3, 5, 7, 15, 31, 63, 127];

function realCell(
  kind: Pick<RealCell, 'mode' | 'hosts' | 'groups'>,
  runs: readonly RecoveryRun[],
): RealCell {
  const wrong = runs.reduce((sum, run) => sum + run.wrong, 0);
  if (wrong > 0) throw new Error(`${wrong} groups have wrong counts: this is no measurement`);
  return {
    ...kind,
    runs,
    backMs: spread(runs.map(({ backMs }) => backMs)),
    roundMs: spread(runs.map(({ roundMs }) => roundMs)),
  };
}

function realText({ mode, hosts, backMs, roundMs }: RealCell): string {
  return (
    `real ${mode.padEnd(11)}${hosts - 1} survivors: back ${spreadText(backMs, 0)} ms after ` +
    `detection, round ${spreadText(roundMs, 0)}`
  );
}

function simulate(of: {
  readonly mode: Mode;
  readonly workers: number;
  readonly costs: MeasuredCosts;
  readonly restoreUs: number;
}): SimulatedCell {
  const { mode, workers, costs, restoreUs } = of;
  const { intervalMs, checkpointIntervalMs, behindMs, detectionMs, afterMs } = simulation;
  const { sourcePartitions, keyedPartitions, groups } = simulation;
  const stateMs = (restoreUs * groups) / keyedPartitions / 1000;
  // The first checkpoint is taken in the group that begins after its time.
  const beforeMs = checkpointIntervalMs + 2 * groupSize * intervalMs + behindMs;
  const run = runScale({
    seed: 1,
    shape: {
      planHash: 'recovery',
      exchanges: [{ from: 0, to: 1 }],
      stages: [
        stage({ source: true, partitionCount: sourcePartitions * workers }),
        stage({ source: false, partitionCount: keyedPartitions * workers }),
      ],
    },
    workerCount: workers,
    mode,
    pace: { groupSize, intervalMs, lookAhead: true },
    costs: measuredModel(costs),
    workMs: [simulation.sourceTaskMs, simulation.keyedTaskMs],
    jitter,
    blockBytes: 500,
    batches: Math.ceil((beforeMs + afterMs[mode]) / intervalMs),
    loss: {
      ...simulation,
      worker: workers - 1,
      restoreMs: [0, stateMs],
      // Half of what restoring takes, and mostly a delta.
      snapshotMs: [0, stateMs / 4],
    },
  });
  const atMs = run.lostMs ?? Infinity;
  const knownMs = atMs + detectionMs;
  const latencies = latenciesOf(run, intervalMs);
  const before = latencies.filter(({ visibleMs }) => visibleMs < atMs).slice(-20);
  const quickMs = backFactor * spread(before.map(({ latencyMs }) => latencyMs)).median;
  const after = latencies.filter(({ visibleMs }) => visibleMs >= atMs);
  const back = after.find(({ endMs, latencyMs }) => endMs > atMs && latencyMs <= quickMs);
  if (back === undefined) throw new Error(`${mode} with ${workers} workers is never back`);
  return {
    mode,
    survivors: workers - 1,
    roundMs: (run.recoveredMs ?? Infinity) - knownMs,
    backMs: Math.max(0, back.visibleMs - knownMs),
    peakMs: Math.max(...after.map(({ latencyMs }) => latencyMs)),
  };
}

const backFactor = 1.5;
const groupSize = 5;

function stage({ source, partitionCount }: { source: boolean; partitionCount: number }) {
  const ends = source ? { inputs: [], outputs: [0] } : { inputs: [0], outputs: [] };
  return { source, sinks: !source, partitionCount, ...ends };
}

/**
 * What ends at a time is visible with the first micro-batch that was read after it, however late
 * that was triggered.
 */
function latenciesOf(run: ScaleRun, everyMs: number) {
  const latencies: {
    readonly endMs: number;
    readonly visibleMs: number;
    readonly latencyMs: number;
  }[] = [];
  let batch = 0;
  for (let endMs = everyMs / 2; ; endMs += everyMs) {
    while (batch < run.doneMs.length && run.firstStartMs[batch]! < endMs) batch++;
    if (batch === run.doneMs.length) return latencies;
    const visibleMs = run.doneMs[batch]!;
    latencies.push({ endMs, visibleMs, latencyMs: visibleMs - endMs });
  }
}
