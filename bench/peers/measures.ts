// The four measures, each of any engine: how fast it drains a full topic, how late its results are
// at a steady rate, how soon it starts, and how it takes the loss of a worker.

import type { Engine, EngineName, YsbJob } from './engine.ts';
import type { Percentiles, Recovery } from './latencies.ts';
import { latenciesIn, percentilesOf, recoveryOf } from './latencies.ts';
import type { Filled, Load, Pace } from './load.ts';
import type { Used } from './meter.ts';
import { Meter } from './meter.ts';
import { sleep, until } from './processes.ts';
import type { TallyResult } from './tally.ts';

export const measureNames = ['drain', 'latency', 'startup', 'recovery'] as const;

export type MeasureName = (typeof measureNames)[number];

/** What any row tells. */
type Row<Measure extends MeasureName> = {
  readonly measure: Measure;
  readonly engine: EngineName;
  readonly guarantee: Engine['guarantee'];
  readonly results: Engine['results'];
  readonly windowMs: number;
  /** Of how many windows the last count was not the true one, over the whole run. */
  readonly windows: number;
  readonly wrong: number;
  readonly views: number;
  readonly trueViews: number;
  readonly records: number;
  readonly repeats: number;
  readonly peakRssBytes: number;
  /** Cores that programs used meanwhile which are not part of the benchmark. */
  readonly otherCores: number | null;
};

export type DrainRow = Row<'drain'> & {
  /** On one cluster, one after the other; the first is on a fresh one. */
  readonly job: number;
  readonly events: number;
  /** From when the engine began to process. */
  readonly eventsPerSecond: number;
  /** From the start of the command that submits the job. */
  readonly eventsPerSecondFromSubmit: number;
  /** Of all of the engine's processes, from submission on. */
  readonly cpuSecondsPerMillion: number;
};

export type LatencyRow = Row<'latency'> & {
  readonly rate: number;
  /** From a window's end until its count was in the log for good. */
  readonly appended: Percentiles | null;
  /** … and until a live reader of committed records had it. */
  readonly visible: Percentiles | null;
  readonly coresUsed: number;
  readonly cpuSecondsPerMillion: number;
  /** How late the generator sent an event at most. */
  readonly behindMsMax: number;
};

export type StartupRow = Row<'startup'> & {
  /** On one cluster, one after the other; the first is on a fresh one. */
  readonly job: number;
  /** Until all workers were there; null: there is no cluster. */
  readonly clusterSeconds: number | null;
  readonly firstResultSeconds: number | null;
  readonly cpuSeconds: number;
};

export type RecoveryRow = Row<'recovery'> & {
  readonly rate: number;
  readonly checkpointSeconds: number;
  readonly appended: Recovery | null;
  readonly visible: Recovery | null;
  readonly behindMsMax: number;
};

export type PeerRow = DrainRow | LatencyRow | StartupRow | RecoveryRow;

export type Sizes = {
  readonly windowMs: number;
  /** From one checkpoint to the next, of engines that have them apart from micro-batches. */
  readonly checkpointSeconds: number;
  readonly drain: { readonly events: number; readonly rate: number; readonly windowMs: number };
  /** On one cluster, one after the other. */
  readonly jobs: number;
  readonly latency: {
    readonly warmUp: Pace;
    readonly rates: readonly number[];
    readonly seconds: number;
  };
  /** Seconds of each rate that are left out. */
  readonly skipSeconds: number;
  readonly startup: { readonly events: number; readonly rate: number };
  readonly recovery: Pace & { readonly killAfterSeconds: number };
};

export const fullSizes: Sizes = {
  windowMs: 1000,
  checkpointSeconds: 10,
  drain: { events: 8_000_000, rate: 20_000, windowMs: 10_000 },
  jobs: 2,
  latency: {
    warmUp: { rate: 50_000, seconds: 30 },
    rates: [10_000, 50_000, 100_000],
    seconds: 30,
  },
  skipSeconds: 10,
  startup: { events: 100_000, rate: 10_000 },
  recovery: { rate: 20_000, seconds: 120, killAfterSeconds: 60 },
};

/** To see that it works, in a minute or two. */
export const quickSizes: Sizes = {
  windowMs: 1000,
  checkpointSeconds: 10,
  drain: { events: 400_000, rate: 20_000, windowMs: 10_000 },
  jobs: 1,
  latency: { warmUp: { rate: 5_000, seconds: 3 }, rates: [10_000], seconds: 7 },
  skipSeconds: 2,
  startup: { events: 20_000, rate: 10_000 },
  recovery: { rate: 5_000, seconds: 36, killAfterSeconds: 6 },
};

/** Between the start of a job and that of the load. */
const settleMs = 3_000;
const startSeconds = 180;

export type Measuring = {
  readonly engine: Engine;
  readonly load: Load;
  readonly sizes: Sizes;
  /** Filled topics, by their size, which serve all engines. */
  readonly filled: Map<string, Filled>;
};

export async function drain(measuring: Measuring): Promise<readonly DrainRow[]> {
  const { engine, sizes } = measuring;
  const { events, rate, windowMs } = sizes.drain;
  const topic = await filledTopic(measuring, { events, rate });
  await engine.startCluster();
  const rows: DrainRow[] = [];
  for (let job = 0; job < sizes.jobs; job++) {
    const { result, used, submittedMs, sinceMs } = await runToEnd(measuring, topic, windowMs);
    const perSecond = (fromMs: number): number =>
      result.lastMs === null ? 0 : (events / (result.lastMs - fromMs)) * 1000;
    rows.push({
      ...rowOf('drain', engine, { windowMs, result, used }),
      job,
      events,
      eventsPerSecond: perSecond(sinceMs),
      eventsPerSecondFromSubmit: perSecond(submittedMs),
      cpuSecondsPerMillion: (used.cpuSeconds / events) * 1e6,
    });
  }
  return rows;
}

export async function startup(measuring: Measuring): Promise<readonly StartupRow[]> {
  const { engine, sizes } = measuring;
  const { windowMs } = sizes;
  const topic = await filledTopic(measuring, sizes.startup);
  const beganMs = Date.now();
  const isCluster = await engine.startCluster();
  const clusterSeconds = isCluster ? (Date.now() - beganMs) / 1000 : null;
  const rows: StartupRow[] = [];
  for (let job = 0; job < 2; job++) {
    const { result, used, submittedMs } = await runToEnd(measuring, topic, windowMs);
    rows.push({
      ...rowOf('startup', engine, { windowMs, result, used }),
      job,
      clusterSeconds,
      firstResultSeconds: result.firstMs === null ? null : (result.firstMs - submittedMs) / 1000,
      cpuSeconds: used.cpuSeconds,
    });
  }
  return rows;
}

export async function latency(measuring: Measuring): Promise<readonly LatencyRow[]> {
  const { engine, sizes } = measuring;
  const { warmUp, rates, seconds } = sizes.latency;
  const schedule = [warmUp, ...rates.map((rate) => ({ rate, seconds }))];
  const cores: number[] = [];
  const live = await runLive(measuring, schedule, async ({ startMs, meter }) => {
    let fromMs = startMs + 1000 * warmUp.seconds;
    for (let at = 0; at < rates.length; at++) {
      await sleep(fromMs + 1000 * sizes.skipSeconds - Date.now());
      const [cpuBefore, beforeMs] = [meter.cpuSeconds, Date.now()];
      fromMs += 1000 * seconds;
      await sleep(fromMs - Date.now());
      cores.push(((meter.cpuSeconds - cpuBefore) * 1000) / (Date.now() - beforeMs));
    }
  });
  return rates.map((rate, at): LatencyRow => {
    const beganMs = live.startMs + 1000 * (warmUp.seconds + at * seconds);
    const toMs = beganMs + 1000 * seconds;
    const span = { fromMs: beganMs + 1000 * sizes.skipSeconds, toMs };
    const of = (by: 'appendedMs' | 'visibleMs'): Percentiles | null =>
      percentilesOf(latenciesIn(live.result.seen, { ...span, until: by }));
    return {
      ...rowOf('latency', engine, { windowMs: sizes.windowMs, ...live }),
      rate,
      appended: of('appendedMs'),
      visible: of('visibleMs'),
      coresUsed: cores[at]!,
      cpuSecondsPerMillion: (cores[at]! / rate) * 1e6,
      behindMsMax: live.behindMsMax[at + 1]!,
    };
  });
}

export async function recovery(measuring: Measuring): Promise<readonly RecoveryRow[]> {
  const { engine, sizes } = measuring;
  const { rate, seconds, killAfterSeconds } = sizes.recovery;
  let killedMs = 0;
  const live = await runLive(measuring, [{ rate, seconds }], async ({ startMs }) => {
    await sleep(startMs + 1000 * killAfterSeconds - Date.now());
    killedMs = Date.now();
    await engine.killWorker();
  });
  const fromMs = live.startMs + 1000 * sizes.skipSeconds;
  const toMs = live.startMs + 1000 * seconds;
  const of = (by: 'appendedMs' | 'visibleMs'): Recovery | null =>
    recoveryOf(live.result.seen, { fromMs, killedMs, toMs, until: by });
  return [
    {
      ...rowOf('recovery', engine, { windowMs: sizes.windowMs, ...live }),
      rate,
      checkpointSeconds: sizes.checkpointSeconds,
      appended: of('appendedMs'),
      visible: of('visibleMs'),
      behindMsMax: live.behindMsMax[0]!,
    },
  ];
}

/** A job over a full topic, until its results are all there. */
async function runToEnd(
  measuring: Measuring,
  filled: Filled,
  windowMs: number,
): Promise<{
  readonly result: TallyResult;
  readonly used: Used;
  readonly submittedMs: number;
  readonly sinceMs: number;
}> {
  const { engine, load } = measuring;
  const out = await load.topic('out');
  const meter = new Meter(() => engine.roots());
  const following = load.follow(out);
  following.judgeBy(filled.truth, windowMs);
  await following.ready;
  const submittedMs = Date.now();
  await engine.submit(jobOf(measuring, { in: filled.topic, out, windowMs }));
  const result = await following.end();
  const used = meter.end();
  const sinceMs = await until('the start of the job', 10, () => engine.processingSince());
  await engine.endJob();
  return { result, used, submittedMs, sinceMs };
}

type Live = {
  readonly startMs: number;
  readonly result: TallyResult;
  readonly used: Used;
  readonly behindMsMax: readonly number[];
};

/** A job under a load that comes as it is due. */
async function runLive(
  measuring: Measuring,
  schedule: readonly Pace[],
  during: (now: { readonly startMs: number; readonly meter: Meter }) => Promise<void>,
): Promise<Live> {
  const { engine, load, sizes } = measuring;
  const { windowMs } = sizes;
  const [from, out] = [await load.topic('in'), await load.topic('out')];
  await engine.startCluster();
  await engine.submit(jobOf(measuring, { in: from, out, windowMs }));
  await until('the start of the job', startSeconds, () => engine.processingSince());
  await sleep(settleMs);
  const meter = new Meter(() => engine.roots());
  const following = load.follow(out);
  const { startMs, sent } = await load.pace(from, schedule);
  const [{ behindMsMax }] = await Promise.all([sent, during({ startMs, meter })]);
  following.judgeBy(load.truthFileOf(from), windowMs);
  const result = await following.end();
  const used = meter.end();
  await engine.endJob();
  await load.drop(from);
  return { startMs, result, used, behindMsMax };
}

async function filledTopic(
  { load, filled }: Measuring,
  { events, rate }: { readonly events: number; readonly rate: number },
): Promise<Filled> {
  const size = `${events} at ${rate}`;
  const known = filled.get(size) ?? (await load.fill(events, rate));
  filled.set(size, known);
  return known;
}

function jobOf(
  { load, sizes }: Pick<Measuring, 'load' | 'sizes'>,
  job: Pick<YsbJob, 'in' | 'out' | 'windowMs'>,
): YsbJob {
  const { address: bootstrap, adsFile } = load;
  const { checkpointSeconds } = sizes;
  return { ...job, bootstrap, adsFile, watermarkDelayMs: 0, checkpointSeconds };
}

function rowOf<Measure extends MeasureName>(
  measure: Measure,
  { name, guarantee, results }: Engine,
  of: { readonly windowMs: number; readonly result: TallyResult; readonly used: Used },
): Row<Measure> {
  const { windows, wrong, views, trueViews, records, repeats } = of.result;
  return {
    measure,
    engine: name,
    guarantee,
    results,
    windowMs: of.windowMs,
    windows,
    wrong,
    views,
    trueViews,
    records,
    repeats,
    peakRssBytes: of.used.peakRssBytes,
    otherCores: of.used.otherCores,
  };
}
