// `npm run bench -- NAME [--json] [options]`: measurements, never tests. Each says what it
// measured, over how many rounds and with what spread; ratios are taken within one run.

import process from 'node:process';

export type BenchOptions = {
  /** One JSON object on the last line of standard output. */
  readonly json: boolean;
  readonly args: readonly string[];
};

type BenchModule = { run(options: BenchOptions): Promise<void> };

const benches: Readonly<Record<string, readonly [string, () => Promise<BenchModule>]>> = {
  kernel: ['a stage kernel against the same job over JSON.parse', () => import('./kernel.ts')],
  'kafka-decode': ['fetched Kafka batches to lines', () => import('./kafka-decode.ts')],
  scan: ['the JSON scanner alone', () => import('./scan.ts')],
  drain: ['the whole engine against its kernels alone', () => import('./drain.ts')],
  scheduling: ['a micro-batch without data', () => import('./scheduling.ts')],
  'cluster-scheduling': [
    'a micro-batch without data over four processes',
    () => import('./cluster-scheduling.ts'),
  ],
  snapshot: ['cutting and restoring a million groups', () => import('./snapshot.ts')],
  latency: ["a window's end to its visible result", () => import('./latency.ts')],
  durability: ['what checkpoints cost: throughput and latency', () => import('./durability.ts')],
  soak: ['exact counts while processes are killed, memory that stays', () => import('./soak.ts')],
  'range-log': ['an append to the range log', () => import('./range-log.ts')],
  peers: ['from Kafka to Kafka, beside Apache Flink and Spark', () => import('./peers.ts')],
  startup: ['process start to first result', () => import('./startup.ts')],
  typecheck: ['type-checking the examples', () => import('./typecheck.ts')],
};

const [name, ...rest] = process.argv.slice(2);
const bench = name === undefined ? undefined : benches[name];
if (bench === undefined) {
  const lines = Object.entries(benches).map(([each, [what]]) => `  ${each.padEnd(20)}${what}`);
  process.stderr.write(`npm run bench -- NAME [--json]\n\n${lines.join('\n')}\n`);
  process.exitCode = 2;
} else {
  const module = await bench[1]();
  await module.run({
    json: rest.includes('--json'),
    args: rest.filter((argument) => argument !== '--json'),
  });
}
