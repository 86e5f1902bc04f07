// J(G): the mean extra latency of a micro-batch by group size, where the environment changes and
// only a new plan cures it. Simulated with the real machines and a driver as slow as Spark's:
// without look-ahead, with it, and with a cut for every change; beside the formula's curve and its
// optimum, reckoned from what an estimator would have seen at the boundaries.

import { Random } from '../../src/base/random.ts';
import { runScale } from '../../src/sim/scale/scale-cluster.ts';
import type { ScaleCosts } from '../../src/sim/scale/scale-costs.ts';
import type { ScaleRun } from '../../src/sim/scale/scale-run.ts';
import type { Spread } from '../figures.ts';
import { spread, spreadText } from '../figures.ts';
import { digits } from './cell.ts';
import type { MeasuredCosts } from './costs.ts';
import type { Figure } from './figure.ts';
import { fitSpark, groupModel } from './models.ts';
import type { LinePlot, Series } from './plot.ts';
import { oneStage } from './shapes.ts';

type Way = 'no look-ahead' | 'look-ahead' | 'look-ahead, cut at once';

export type Point = {
  readonly groupSize: number;
  /** Mean extra latency of a micro-batch, ms; null where the groups cannot keep the interval. */
  readonly extraMs: Spread | null;
};

/** What can be measured at each boundary, by column: of the first hundred. */
export type Trace = {
  readonly way: Way;
  readonly groupSize: number;
  readonly boundaries: {
    readonly atMs: readonly number[];
    /** a: by how much the group's first micro-batch starts late at the last worker. */
    readonly bubbleMs: readonly number[];
    /** e: of the last group's micro-batches, from the last worker's start to the end, median. */
    readonly makespanMs: readonly number[];
    /** d = T − e. */
    readonly slackMs: readonly number[];
    /** 1 where the plan that is given now differs from the last one. */
    readonly changed: readonly number[];
    /** Δ: by how much the last group's end took longer than usual; 0 where nothing changed. */
    readonly excessMs: readonly number[];
  };
  readonly estimates: Estimates;
};

export type Estimates = {
  readonly bubbleMs: number;
  readonly makespanMs: number;
  readonly slackMs: number;
  /** ν, changes a second. */
  readonly changesPerSecond: number;
  readonly excessMs: number;
  /** G* = sqrt(A / B); 1 where there is no bubble. */
  readonly best: number;
};

export type GroupSize = {
  readonly intervalMs: number;
  readonly workMs: number;
  readonly seeds: number;
  /** Of each seed and group size. */
  readonly batches: number;
  readonly truth: { readonly changesPerSecond: number; readonly excessMs: number };
  readonly curves: readonly { readonly way: Way; readonly points: readonly Point[] }[];
  /** J(G) = A/G + B·G + C·G² + K, with A and B of the estimates; nothing fails: C and K are 0. */
  readonly formula: {
    readonly a: number;
    readonly b: number;
    readonly c: number;
    readonly k: number;
    readonly points: readonly { readonly groupSize: number; readonly ms: number }[];
    /** With the share of time in which a plan is stale, which saturates, in place of B·G. */
    readonly saturating: readonly { readonly groupSize: number; readonly ms: number }[];
  };
  readonly traces: readonly Trace[];
  /** Without look-ahead, which the formula's bubble belongs to. */
  readonly optimum: {
    readonly formula: number;
    readonly measured: number;
    /** Measured J at the formula's optimum by the measured least. */
    readonly regret: number;
  };
};

const intervalMs = 100;
const workMs = 80;
const excessMs = 10;
/** One change in fifty micro-batches. */
const changesPerSecond = 1 / (50 * 0.1);
const workers = 4;
/** The machines that the driver's costs stand for. */
const machines = 128;
const sizes = [1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000];
const ways: readonly Way[] = ['no look-ahead', 'look-ahead', 'look-ahead, cut at once'];

/** Boundaries that are written down; the estimates are of all. */
const tracedCount = 100;

type Setting = { readonly way: Way; readonly groupSize: number };

export const groupSize: Figure<GroupSize> = {
  name: 'group-size',
  what: 'extra latency of a micro-batch by group size, in an environment that changes',
  run({ quick, costs }) {
    const seeds = quick ? 1 : 3;
    const batches = quick ? 600 : 4000;
    const chosen = quick ? [3, 10, 30, 100] : sizes;
    const model = slowDriver(costs!);
    const usualMs = baseMs(model);
    const runOf = (setting: Setting, seed: number): ChangingRun => {
      return runChanging({ ...setting, seed, batches, costs: model, changing: true });
    };
    const curves = ways.map((way) => ({
      way,
      points: chosen.map((size): Point => {
        const samples: number[] = [];
        for (let seed = 1; seed <= seeds; seed++) {
          const { run } = runOf({ way, groupSize: size }, seed);
          if (!keepsPace(run)) return { groupSize: size, extraMs: null };
          samples.push(latencyMs(run) - usualMs);
        }
        return { groupSize: size, extraMs: spread(samples) };
      }),
    }));
    const traced: readonly Setting[] = [
      { way: 'no look-ahead', groupSize: quick ? 10 : 20 },
      { way: 'look-ahead', groupSize: 10 },
    ];
    const traces = traced.map((setting) => traceOf(setting, runOf(setting, 1)));
    const formula = formulaOf(traces[0]!.estimates, chosen);
    const { points } = curves[0]!;
    return Promise.resolve({
      intervalMs,
      workMs,
      seeds,
      batches,
      truth: { changesPerSecond, excessMs },
      curves,
      formula,
      traces,
      optimum: optimumOf(points, traces[0]!.estimates.best),
    });
  },
  tell: ({ curves, traces, formula, optimum }) => [
    ...curves.map(({ way, points }) => {
      const texts = points.map(({ groupSize: size, extraMs }) => {
        return `${size}: ${extraMs === null ? 'too slow' : spreadText(extraMs)}`;
      });
      return `${way}: ${texts.join(', ')} ms`;
    }),
    `A = ${formula.a.toFixed(1)}, B = ${formula.b.toFixed(4)}`,
    ...traces.map(({ way, estimates }) => {
      const { bubbleMs, makespanMs, changesPerSecond: rate, excessMs: excess, best } = estimates;
      return (
        `estimated, ${way}: a ${bubbleMs.toFixed(1)} ms, e ${makespanMs.toFixed(1)} ms, ν ` +
        `${rate.toFixed(3)}/s (${changesPerSecond}), Δ ${excess.toFixed(1)} ms (${excessMs}): ` +
        `G* = ${best.toFixed(1)}`
      );
    }),
    `measured optimum ${optimum.measured}, formula ${optimum.formula.toFixed(1)}: there ` +
      `${(100 * optimum.regret).toFixed(1)} % more than the least`,
  ],
  shows({ curves, traces, optimum }) {
    const at = (way: Way, size: number): string => {
      const { points } = curves.find((curve) => curve.way === way)!;
      const point = points.find(({ groupSize: own }) => own === size);
      return point?.extraMs == null ? 'too slow' : digits(point.extraMs.median);
    };
    const { bubbleMs, slackMs, changesPerSecond: rate, excessMs: excess } = traces[0]!.estimates;
    const ahead = traces[1]!.estimates;
    return (
      `Without look-ahead the formula's optimum is G* = ${optimum.formula.toFixed(0)}, the ` +
      `measured ` +
      `one ${optimum.measured}; at G* a micro-batch waits ${(100 * optimum.regret).toFixed(1)} % ` +
      `longer than at the best. Estimated from boundaries: a = ${digits(bubbleMs)} ms, d = ` +
      `${digits(slackMs)} ms, ν = ${rate.toFixed(2)}/s (true: ${changesPerSecond}), Δ = ` +
      `${digits(excess)} ms (true: ${excessMs}). Extra latency at G = 10, 100, 1000: without ` +
      `look-ahead ${at('no look-ahead', 10)}, ${at('no look-ahead', 100)}, ` +
      `${at('no look-ahead', 1000)} ms; with it (a = ${digits(ahead.bubbleMs)} ms, G* = ` +
      `${ahead.best.toFixed(0)}) ${at('look-ahead', 10)}, ${at('look-ahead', 100)}, ` +
      `${at('look-ahead', 1000)}; with a cut for each change ` +
      `${at('look-ahead, cut at once', 10)}, ${at('look-ahead, cut at once', 100)}, ` +
      `${at('look-ahead, cut at once', 1000)}.`
    );
  },
  plot: (figure) => [plotOf(figure)],
};

/** A message costs so much more as there are more machines than are simulated. */
function slowDriver(measured: MeasuredCosts): ScaleCosts {
  const costs = groupModel(measured, fitSpark(measured));
  const { sendMs, receiveMs } = costs.driver;
  const times = machines / workers;
  return {
    ...costs,
    driver: { ...costs.driver, sendMs: times * sendMs, receiveMs: times * receiveMs, wakeMs: 0 },
  };
}

type Change = { readonly atMs: number; readonly worker: number };

type ChangingRun = { readonly run: ScaleRun; readonly changes: readonly Change[] };

function runChanging(options: {
  readonly way: Way;
  readonly groupSize: number;
  readonly seed: number;
  readonly batches: number;
  readonly costs: ScaleCosts;
  readonly changing: boolean;
}): ChangingRun {
  const { way, seed, batches, costs } = options;
  const changes = options.changing ? changesOf(seed, batches * intervalMs) : [];
  const byWorker = Array.from({ length: workers }, (_, index) => {
    return changes.filter(({ worker }) => worker === index).map(({ atMs }) => atMs);
  });
  const run = runScale({
    seed,
    shape: oneStage(workers),
    workerCount: workers,
    mode: 'drizzle',
    pace: { groupSize: options.groupSize, intervalMs, lookAhead: way !== 'no look-ahead' },
    costs,
    workMs: [workMs],
    jitter: 0.02,
    blockBytes: 0,
    batches,
    warmUpBatches: 0,
    planChanges:
      way === 'look-ahead, cut at once' ? changes.map(({ atMs }) => ({ atMs, urgent: true })) : [],
    // A change makes one worker slow until a plan is in force that was made after it.
    slowdown: (worker, nowMs, permittedMs) => {
      const stale = byWorker[worker]!.some((atMs) => permittedMs < atMs && atMs <= nowMs);
      return stale ? 1 + excessMs / workMs : 1;
    },
  });
  return { run, changes };
}

/** A Poisson process, the same for all group sizes and ways. */
function changesOf(seed: number, untilMs: number): readonly Change[] {
  const random = new Random(100 + seed);
  const changes: Change[] = [];
  for (let atMs = 0; ;) {
    atMs += (-Math.log(1 - random.float()) * 1000) / changesPerSecond;
    if (atMs > untilMs) return changes;
    changes.push({ atMs, worker: random.integer(0, workers - 1) });
  }
}

/** Without changes and bubbles, from planned trigger to the end of the last task, ms. */
function baseMs(costs: ScaleCosts): number {
  const still = { way: 'look-ahead', groupSize: 100, seed: 1, changing: false } as const;
  return latencyMs(runChanging({ ...still, batches: 300, costs }).run);
}

function latencyMs({ triggerMs, doneMs }: ScaleRun): number {
  let sum = 0;
  for (let batch = 0; batch < doneMs.length; batch++) sum += doneMs[batch]! - triggerMs[batch]!;
  return sum / doneMs.length;
}

/** Where the driver has to move the triggers, micro-batches take longer than the interval. */
function keepsPace({ elapsedMs, doneMs }: ScaleRun): boolean {
  return elapsedMs < 1.01 * doneMs.length * intervalMs + 10 * intervalMs;
}

function traceOf(setting: Setting, { run, changes }: ChangingRun): Trace {
  const { groups, triggerMs, lastStartMs, doneMs } = run;
  const inRun = groups.filter(({ first, count }) => first + count <= doneMs.length);
  const makespans = (from: number, count: number): readonly number[] =>
    Array.from({ length: count }, (_, index) => doneMs[from + index]! - lastStartMs[from + index]!);
  const whole = spread(makespans(0, doneMs.length)).median;
  const rows = inRun.slice(1).map(({ atMs, first }, index) => {
    const last = inRun[index]!;
    const own = makespans(last.first, last.count);
    const changed = changes.some((change) => change.atMs > last.atMs && change.atMs <= atMs);
    const makespanMs = spread(own).median;
    return {
      atMs,
      bubbleMs: Math.max(0, lastStartMs[first]! - triggerMs[first]!),
      makespanMs,
      slackMs: intervalMs - makespanMs,
      changed: changed ? 1 : 0,
      excessMs: changed ? Math.max(0, own.at(-1)! - whole) : 0,
    };
  });
  const column = (key: keyof (typeof rows)[number]): readonly number[] =>
    rows.slice(0, tracedCount).map((row) => Number(row[key].toFixed(3)));
  return {
    ...setting,
    boundaries: {
      atMs: column('atMs'),
      bubbleMs: column('bubbleMs'),
      makespanMs: column('makespanMs'),
      slackMs: column('slackMs'),
      changed: column('changed'),
      excessMs: column('excessMs'),
    },
    estimates: estimate(setting.groupSize, rows),
  };
}

function estimate(
  size: number,
  rows: readonly {
    readonly bubbleMs: number;
    readonly makespanMs: number;
    readonly changed: number;
    readonly excessMs: number;
  }[],
): Estimates {
  const bubbleMs = spread(rows.map((row) => row.bubbleMs)).median;
  const makespanMs = spread(rows.map((row) => row.makespanMs)).median;
  const slackMs = intervalMs - makespanMs;
  const excesses = rows.map((row) => row.excessMs).filter((ms) => ms > 0);
  const excess = excesses.length === 0 ? 0 : spread(excesses).median;
  // Several changes within a group look like one.
  const changed = rows.reduce((sum, row) => sum + row.changed, 0);
  const share = (changed + 0.5) / (rows.length + 1);
  const perSecond = (-Math.log(1 - share) * 1000) / (size * intervalMs);
  const { a, b } = coefficients({ bubbleMs, slackMs, perSecond, excess });
  const best = Math.max(1, Math.sqrt(a / b));
  return {
    bubbleMs,
    makespanMs,
    slackMs,
    changesPerSecond: perSecond,
    excessMs: excess,
    best,
  };
}

/** A = a(a + d) / 2d, B = νTΔ / 2. */
function coefficients(of: {
  readonly bubbleMs: number;
  readonly slackMs: number;
  readonly perSecond: number;
  readonly excess: number;
}): { readonly a: number; readonly b: number } {
  const { bubbleMs, slackMs, perSecond, excess } = of;
  return {
    a: (bubbleMs * (bubbleMs + slackMs)) / (2 * slackMs),
    b: ((perSecond / 1000) * intervalMs * excess) / 2,
  };
}

function formulaOf(estimates: Estimates, chosen: readonly number[]): GroupSize['formula'] {
  const { bubbleMs, slackMs, changesPerSecond: perSecond, excessMs: excess } = estimates;
  const { a, b } = coefficients({ bubbleMs, slackMs, perSecond, excess });
  const stale = (size: number): number => {
    const y = (perSecond / 1000) * size * intervalMs;
    return 1 - (1 - Math.exp(-y)) / y;
  };
  return {
    a,
    b,
    c: 0,
    k: 0,
    points: chosen.map((size) => ({ groupSize: size, ms: a / size + b * size })),
    saturating: chosen.map((size) => ({ groupSize: size, ms: a / size + excess * stale(size) })),
  };
}

function optimumOf(points: readonly Point[], best: number): GroupSize['optimum'] {
  const known = points.flatMap(({ groupSize: size, extraMs }) =>
    extraMs === null ? [] : [{ size, ms: extraMs.median }],
  );
  const least = known.reduce((found, point) => (point.ms < found.ms ? point : found));
  const next = known.findIndex(({ size }) => size >= best);
  const [low, high] = [known[Math.max(0, next - 1)]!, known[next === -1 ? 0 : next]!];
  // Between two points of the sweep, by the logarithm of the group size.
  const part =
    low === high ? 0 : (Math.log(best) - Math.log(low.size)) / Math.log(high.size / low.size);
  const there = low.ms + Math.min(1, Math.max(0, part)) * (high.ms - low.ms);
  return { formula: best, measured: least.size, regret: there / least.ms - 1 };
}

function plotOf({ curves, formula, optimum }: GroupSize): LinePlot {
  const yMax = 60;
  const line = (
    name: string,
    points: GroupSize['formula']['points'],
    style: Series['style'],
  ): Series => ({
    name,
    color: 6,
    style,
    points: points.map(({ groupSize: size, ms }) => ({ x: size, y: ms })),
  });
  return {
    kind: 'lines',
    title: 'Mean extra latency of a micro-batch by group size',
    subtitle: `A driver as slow as Spark’s, ${machines} machines; every 5 s one becomes slow`,
    x: { label: 'micro-batches in a group', scale: 'log', min: 0.9, max: 1200 },
    y: {
      label: 'ms of extra latency',
      scale: 'log',
      min: 0.5,
      max: yMax,
      ticks: [0.5, 1, 2, 5, 10, 20, 50],
    },
    series: [
      ...curves.map(({ way, points }, index): Series => ({
        name: way,
        color: index,
        style: 'line',
        points: points.flatMap(({ groupSize: size, extraMs }) =>
          extraMs === null ? [] : [{ x: size, y: Math.max(0.01, extraMs.median) }],
        ),
      })),
      line('formula: A/G + B·G', formula.points, 'floor'),
      line('… with saturating staleness', formula.saturating, 'dashed'),
      {
        name: `formula’s optimum, G* = ${optimum.formula.toFixed(0)}`,
        color: 7,
        style: 'floor',
        points: [0.5, yMax].map((y) => ({ x: optimum.formula, y })),
      },
    ],
  };
}
