// What takes too long for every change: `npm run test:long` runs 10,000 seeds of the simulator, all
// known bugs, a short soak of real processes, Kafka's sink on old and new clusters, Kafka on three
// brokers that are killed, the torture, and the laws of the machines with many more cases. Prints
// each part's outcome.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

type Part = {
  readonly name: string;
  readonly args: readonly string[];
  readonly environment?: { readonly [name: string]: string };
};

const parts: readonly Part[] = [
  { name: '10,000 seeds', args: ['tools/simulate.ts', '--seeds', '10000'] },
  { name: 'known bugs', args: ['tools/simulate.ts', '--mutations'] },
  {
    name: 'soak of three minutes',
    args: ['--expose-gc', 'bench/main.ts', 'soak', '--minutes', '3'],
  },
  {
    name: "Kafka's sink on brokers, at any step, and all logins",
    args: ['--test', 'test/kafka/sink.test.ts', 'test/kafka/secure.test.ts'],
    environment: { MIZZLE_LONG: '1' },
  },
  {
    name: 'Kafka on three brokers',
    args: ['--test', 'test/kafka/three-brokers.test.ts'],
    environment: { MIZZLE_LONG: '1' },
  },
  { name: 'torture of five minutes', args: ['tools/torture.ts', '--minutes', '5'] },
  {
    name: 'machines under faults',
    args: ['--test', 'src/sim/recovery.prop.test.ts'],
    environment: { RUNS: '10000' },
  },
];

const failed = parts.filter(({ name, args, environment }) => {
  const startMs = performance.now();
  const env = { ...process.env, ...environment };
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env });
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
  console.error(`test:long: ${name} ${status === 0 ? 'passed' : 'FAILED'} in ${seconds} s`);
  return status !== 0;
});
if (failed.length > 0) process.exitCode = 1;
