// `peers`: the Yahoo Streaming Benchmark from Kafka to Kafka on Mizzle, Apache Flink and Apache
// Spark, one after another on the same machine, broker and events (docs/peers.md). What is not
// there yet is downloaded; the full run takes an hour, and wants the machine for itself.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { ysbAds } from '../src/index.ts';
import type { BenchOptions } from './main.ts';
import { machine, numberArgument, print, textArgument } from './figures.ts';
import { drawSvg } from './paper/plot.ts';
import { startBroker } from './peers/broker.ts';
import type { Engine, EngineName } from './peers/engine.ts';
import { engineNames } from './peers/engine.ts';
import { FlinkEngine } from './peers/flink.ts';
import { PeersHome } from './peers/home.ts';
import type { Part } from './peers/home.ts';
import { Load } from './peers/load.ts';
import type { MeasureName, Measuring, PeerRow, Sizes } from './peers/measures.ts';
import { drain, fullSizes, latency, measureNames, quickSizes } from './peers/measures.ts';
import { recovery, startup } from './peers/measures.ts';
import { MizzleEngine } from './peers/mizzle.ts';
import type { MizzlePackage } from './peers/mizzle-package.ts';
import { installMizzle } from './peers/mizzle-package.ts';
import { plotsOf } from './peers/plots.ts';
import { Processes } from './peers/processes.ts';
import { SparkEngine } from './peers/spark.ts';
import { tablesOf } from './peers/tables.ts';

const committed = join(import.meta.dirname, '..', 'results');
const seed = 7;

export type PeersResult = {
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly rows: readonly (PeerRow & { readonly at: string })[];
};

const measures: Readonly<
  Record<MeasureName, (measuring: Measuring) => Promise<readonly PeerRow[]>>
> = { drain, latency, startup, recovery };

export async function run({ json, args }: BenchOptions): Promise<void> {
  const quick = args.includes('--quick');
  const engines = chosen(args, 'engines', engineNames) ?? defaultEngines(quick);
  const only = chosen(args, 'only', measureNames) ?? measureNames;
  const sizes = sizesOf(args, quick ? quickSizes : fullSizes);
  const home = new PeersHome();
  await home.prepare(partsOf(engines), say);
  const folder = mkdtempSync(home.path('run-'));
  const processes = new Processes(folder);
  const results = quick ? join(tmpdir(), 'mizzle-figures') : committed;
  const rows: PeersResult['rows'][number][] = [];
  let failures = 0;
  const installed = await installMizzle();
  const broker = await startBroker(home);
  try {
    const adsFile = join(folder, 'ads.csv');
    const ads = ysbAds({ seed }).map(({ ad_id, campaign_id }) => `${ad_id},${campaign_id}\n`);
    writeFileSync(adsFile, ads.join(''));
    const load = new Load(home, processes, { address: broker.bootstrap, adsFile, seed });
    const filled: Measuring['filled'] = new Map();
    for (const measure of only) {
      for (const name of engines) {
        say(`${measure} of ${name}`);
        const engine = engineOf(name, measure, { home, processes, installed, sizes });
        try {
          const measured = await measures[measure]({ engine, load, sizes, filled });
          const at = new Date().toISOString();
          rows.push(...measured.map((row) => ({ ...row, at })));
          save(results, { machine: machine(), versions: home.versions, rows });
        } catch (error) {
          // The others may well do; what has been measured is kept.
          failures++;
          say(`${measure} of ${name} failed: ${error instanceof Error ? error.stack : error}`);
        } finally {
          await engine.stopCluster();
          processes.killAll();
        }
      }
    }
  } finally {
    await broker.stop();
    installed.remove();
  }
  const all = { machine: machine(), versions: home.versions, rows };
  print([...tablesOf(rows), `in ${join(results, 'peers.json')}`], json ? all : null);
  if (failures === 0 && rows.every(({ wrong }) => wrong === 0)) {
    rmSync(folder, { recursive: true, force: true });
  } else {
    process.exitCode = 1;
    say(`logs are in ${folder}`);
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function defaultEngines(quick: boolean): readonly EngineName[] {
  if (quick) return ['mizzle'];
  return ['mizzle', 'mizzle-at-least-once', 'flink', 'spark', 'spark-rtm'];
}

function partsOf(engines: readonly EngineName[]): readonly Part[] {
  const peers = (['flink', 'spark'] as const).filter((part) => {
    return engines.some((name) => name.startsWith(part));
  });
  return ['broker', ...peers];
}

function engineOf(
  name: EngineName,
  measure: MeasureName,
  {
    home,
    processes,
    installed,
    sizes,
  }: {
    readonly home: PeersHome;
    readonly processes: Processes;
    readonly installed: MizzlePackage;
    readonly sizes: Sizes;
  },
): Engine {
  // Only a process can be killed without the others.
  const hosts = measure === 'recovery' ? 2 : 0;
  const { checkpointSeconds } = sizes;
  switch (name) {
    case 'mizzle':
      return new MizzleEngine(processes, installed, { guarantee: 'exactly-once', hosts });
    case 'mizzle-at-least-once':
      return new MizzleEngine(processes, installed, { guarantee: 'at-least-once', hosts });
    case 'flink':
      return new FlinkEngine(home, processes, { guarantee: 'at-least-once', checkpointSeconds });
    case 'flink-exactly-once':
      return new FlinkEngine(home, processes, { guarantee: 'exactly-once', checkpointSeconds });
    case 'spark':
      return new SparkEngine(home, processes, 'append');
    case 'spark-update':
      return new SparkEngine(home, processes, 'update');
    case 'spark-rtm':
      return new SparkEngine(home, processes, 'rtm');
  }
}

function sizesOf(args: readonly string[], sizes: Sizes): Sizes {
  const { latency: paced, recovery: killed } = sizes;
  return {
    ...sizes,
    checkpointSeconds: numberArgument(args, 'checkpoints', sizes.checkpointSeconds),
    drain: { ...sizes.drain, events: numberArgument(args, 'events', sizes.drain.events) },
    latency: { ...paced, seconds: numberArgument(args, 'seconds', paced.seconds) },
    recovery: { ...killed, rate: numberArgument(args, 'rate', killed.rate) },
  };
}

/** Names with commas between; null: the option is not there. */
function chosen<Name extends string>(
  args: readonly string[],
  option: string,
  known: readonly Name[],
): readonly Name[] | null {
  const text = textArgument(args, option);
  if (text === null) return null;
  return text.split(',').map((name) => {
    const found = known.find((each) => each === name);
    if (found === undefined)
      throw new Error(`--${option} takes ${known.join(', ')}, not "${name}"`);
    return found;
  });
}

/** Rows of other measures and engines stay, so that each may be measured anew by itself. */
function save(folder: string, result: PeersResult): void {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'peers.json');
  const isNew = (row: PeerRow): boolean =>
    result.rows.some((each) => {
      const { measure, engine } = each;
      return (
        measure === row.measure && engine === row.engine && intervalOf(each) === intervalOf(row)
      );
    });
  const kept = (before(file)?.rows ?? []).filter((row) => !isNew(row));
  const order = (row: PeerRow): number =>
    measureNames.indexOf(row.measure) * engineNames.length + engineNames.indexOf(row.engine);
  const rows = [...kept, ...result.rows].toSorted((a, b) => order(a) - order(b));
  writeFileSync(file, `${JSON.stringify({ ...result, rows }, rounded, 1)}\n`);
  const plots = plotsOf(rows);
  if (plots.length > 0) writeFileSync(join(folder, 'peers.svg'), drawSvg(plots));
}

/** Recovery is told for each interval between checkpoints. */
function intervalOf(row: PeerRow): number | null {
  return row.measure === 'recovery' ? row.checkpointSeconds : null;
}

function before(file: string): PeersResult | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as PeersResult;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value)
    ? Number(value.toPrecision(5))
    : value;
}
