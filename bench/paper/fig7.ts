// `fig7`: what a lost machine does to latency. The Yahoo Streaming Benchmark on three host
// processes of this machine at a steady rate; one of them gets SIGKILL. Recovery in `drizzle` mode
// beside the two baselines, at the same checkpoint interval. [Drizzle §5.3]

import { availableParallelism } from 'node:os';
import type { ExecutionMode } from '../../src/index.ts';
import { bundleJob } from '../../src/runtime/cluster/bundle-job.ts';
import type { Spread } from '../figures.ts';
import { spread, spreadText } from '../figures.ts';
import type { Figure } from './figure.ts';
import type { KilledRun, KilledRunOptions, WindowSeen } from './killed-host.ts';
import { killedRun } from './killed-host.ts';
import type { LinePlot } from './plot.ts';

type Setting = Omit<KilledRunOptions, 'mode' | 'bundle'>;

export type RunFigures = {
  readonly detectionMs: number;
  readonly medianBeforeMs: number;
  readonly peakMs: number;
  /** From the kill until latency is within 1.5 × of the median before; null: never. */
  readonly backMs: number | null;
  /** The same, from when the driver knew. */
  readonly backAfterDetectionMs: number | null;
  readonly busyBefore: number;
  readonly wrongCounts: number;
};

type ModeFigures = {
  readonly mode: ExecutionMode;
  readonly runs: readonly RunFigures[];
  readonly detectionMs: Spread;
  readonly medianBeforeMs: Spread;
  readonly peakMs: Spread;
  readonly backAfterDetectionMs: Spread;
  /** Of the run with the median peak: end of each window in seconds after the kill, latency, ms. */
  readonly shown: readonly (readonly [number, number])[];
};

export type Figure7 = {
  readonly cores: number;
  readonly setting: Setting;
  readonly modes: readonly ModeFigures[];
};

const modes: readonly ExecutionMode[] = ['drizzle', 'bsp', 'continuous'];

/** A rate that leaves each worker idle most of the time, also when two do the work of three. */
const full: Setting = {
  hosts: 3,
  eventsPerSecond: 20_000,
  windowMs: 100,
  checkpointMs: 10_000,
  // In the middle between two checkpoints.
  beforeMs: 15_000,
  afterMs: 15_000,
};
const small: Setting = { ...full, checkpointMs: 2_000, beforeMs: 5_000, afterMs: 5_000 };

export const figure7: Figure<Figure7> = {
  name: 'fig7',
  what: 'latency when one of three host processes gets SIGKILL',
  async run({ quick, runs = quick ? 1 : 5 }) {
    const setting = quick ? small : full;
    const bundle = await bundleJob(new URL('./ysb-into-folder.ts', import.meta.url).href);
    const all = modes.map((): KilledRun[] => []);
    // Modes take turns, so that what else the machine does meets all of them.
    for (let run = 0; run < runs; run++) {
      for (const [index, mode] of modes.entries()) {
        all[index]!.push(await killedRun({ ...setting, mode, bundle }));
      }
    }
    const figures = modes.map((mode, index) => modeFigures(mode, all[index]!, setting));
    return { cores: availableParallelism(), setting, modes: figures };
  },
  tell({ setting, modes: all }) {
    const { eventsPerSecond, hosts, checkpointMs, windowMs } = setting;
    const kept = all.flatMap(({ runs }) => runs.map(({ busyBefore }) => busyBefore));
    const share = (Math.max(...kept) * hosts * 100) / (hosts - 1);
    return [
      `${eventsPerSecond} events/s, windows of ${windowMs} ms, ${hosts} hosts of one worker, ` +
        `checkpoints every ${checkpointMs / 1000} s; at most ${share.toFixed(0)} % of what is left`,
      ...all.map(({ mode, runs, ...figures }) => {
        const wrong = runs.reduce((sum, { wrongCounts }) => sum + wrongCounts, 0);
        const exact = wrong === 0 ? 'exact' : `${wrong} WRONG COUNTS`;
        const never = runs.filter(({ backMs }) => backMs === null).length;
        return (
          `${mode.padEnd(11)}${runs.length} run(s), ${exact}: detected after ` +
          `${spreadText(figures.detectionMs, 1)} ms, median before ` +
          `${spreadText(figures.medianBeforeMs, 1)}, peak ${spreadText(figures.peakMs, 0)}, ` +
          `back ${spreadText(figures.backAfterDetectionMs, 0)} ms after detection` +
          (never === 0 ? '' : `; ${never} NEVER BACK`)
        );
      }),
    ];
  },
  shows: ({ setting, modes: all }) =>
    `checkpoints every ${setting.checkpointMs / 1000} s. ` +
    all
      .map(({ mode, medianBeforeMs, peakMs, backAfterDetectionMs }) => {
        const [before, peak] = [spreadText(medianBeforeMs, 1), spreadText(peakMs, 0)];
        const back = spreadText(backAfterDetectionMs, 0);
        return `\`${mode}\`: median ${before} ms, peak ${peak}, back after ${back} ms`;
      })
      .join('; '),
  plot: (result) => [plotOf(result)],
};

function modeFigures(
  mode: ExecutionMode,
  all: readonly KilledRun[],
  setting: Setting,
): ModeFigures {
  const runs = all.map((run) => runFigures(run, setting));
  const of = (value: (run: RunFigures) => number): Spread => spread(runs.map(value));
  const byPeak = runs.map(({ peakMs }, index) => ({ peakMs, index }));
  const ordered = byPeak.toSorted((a, b) => a.peakMs - b.peakMs);
  const shown = all[ordered[ordered.length >> 1]!.index]!;
  return {
    mode,
    runs,
    detectionMs: of(({ detectionMs }) => detectionMs),
    medianBeforeMs: of(({ medianBeforeMs }) => medianBeforeMs),
    peakMs: of(({ peakMs }) => peakMs),
    // Who is never back counts with all the time that there was.
    backAfterDetectionMs: of(({ backAfterDetectionMs }) => backAfterDetectionMs ?? setting.afterMs),
    shown: shown.windows.map(({ endMs, latencyMs }) => [endMs / 1000, latencyMs] as const),
  };
}

/** Windows that ended within this time after the first micro-batch are warm-up. */
const warmUpMs = 3_000;
const backFactor = 1.5;
const backForMs = 1_000;

export function runFigures(run: KilledRun, { beforeMs }: Pick<Setting, 'beforeMs'>): RunFigures {
  const { detectionMs, windows, wrong, busy } = run;
  const before = windows.filter(({ endMs, latencyMs }) => {
    return endMs > warmUpMs - beforeMs && endMs + latencyMs < 0;
  });
  const after = windows.filter(({ endMs, latencyMs }) => endMs + latencyMs >= 0);
  const medianBeforeMs = spread(before.map(({ latencyMs }) => latencyMs)).median;
  const backMs = backAt(after, medianBeforeMs * backFactor);
  return {
    detectionMs,
    medianBeforeMs,
    peakMs: Math.max(...after.map(({ latencyMs }) => latencyMs)),
    backMs,
    backAfterDetectionMs: backMs === null ? null : Math.max(0, backMs - detectionMs),
    busyBefore: busy,
    wrongCounts: wrong,
  };
}

/**
 * When the first window was visible that is quick enough and begins a second whose median is: where
 * windows become visible only at barriers, they are never all as quick.
 */
function backAt(windows: readonly WindowSeen[], quickMs: number): number | null {
  const lastEndMs = windows.at(-1)?.endMs ?? 0;
  for (const { endMs, latencyMs } of windows) {
    if (endMs + backForMs > lastEndMs) return null;
    if (latencyMs > quickMs) continue;
    const second = windows.filter((other) => {
      return other.endMs >= endMs && other.endMs < endMs + backForMs;
    });
    if (spread(second.map((window) => window.latencyMs)).median > quickMs) continue;
    return endMs + latencyMs;
  }
  return null;
}

function plotOf({ cores, setting, modes: all }: Figure7): LinePlot {
  const { hosts, eventsPerSecond, checkpointMs, windowMs } = setting;
  const greatest = Math.max(...all.flatMap(({ shown }) => shown.map(([, ms]) => ms)));
  return {
    kind: 'lines',
    title: 'One of three hosts gets SIGKILL',
    subtitle:
      `YSB, ${eventsPerSecond.toLocaleString('en-US')} events/s, windows of ${windowMs} ms, ` +
      `checkpoints every ${checkpointMs / 1000} s, ${hosts} processes on ${cores} cores`,
    x: { label: 'end of the window, seconds after the kill', scale: 'linear', min: -3, max: 10 },
    y: {
      label: 'ms from the window’s end until it is visible',
      scale: 'log',
      min: 1,
      max: Math.max(1_000, greatest * 1.2),
    },
    series: all.map(({ mode, shown, peakMs }, color) => ({
      name: `${mode}: peak ${peakMs.median.toFixed(0)} ms`,
      color,
      style: 'trace' as const,
      points: shown.filter(([x]) => x >= -3 && x <= 10).map(([x, y]) => ({ x, y })),
    })),
  };
}
