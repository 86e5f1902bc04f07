// `npm run torture -- [--seeds N] [--from S] [--minutes M] [--seconds S] [--keep FOLDER]`: runs a
// pipeline from Kafka to Kafka as real processes under a steady load, kills and freezes workers,
// drivers and brokers as each seed says, and compares the output with the input record by record.

import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { endAll } from '../test/cluster/processes.fixture.ts';
import type { KafkaServer } from '../test/kafka/kafka-server.fixture.ts';
import { kafkaMissing } from '../test/kafka/kafka-server.fixture.ts';
import { startTorturable } from '../test/kafka/torture/torture.fixture.ts';
import type { SeededResult } from '../test/kafka/torture/torture-by-seed.fixture.ts';
import { tortureBySeed } from '../test/kafka/torture/torture-by-seed.fixture.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '20' },
    keep: { type: 'string' },
  },
});

const wrongMax = 20;
/** Then a new cluster: topics of seeds before are a burden to brokers that start again. */
const seedsPerCluster = 4;

async function main(): Promise<number> {
  // As for tests: it says so, and fails where Kafka is demanded.
  if (kafkaMissing() !== null) return 0;
  const endMs = performance.now() + Number(values.minutes) * 60_000;
  const from = Number(values.from);
  const end = from + Number(values.seeds ?? Infinity);
  let failed = 0;
  for (let seed = from; seed < end && performance.now() < endMs;) {
    const kafka = await startTorturable();
    try {
      for (let left = seedsPerCluster; left > 0 && seed < end; left--, seed++) {
        const isExact = await run(kafka, seed);
        if (!isExact) failed++;
        if (!isExact || performance.now() > endMs) left = 0;
      }
    } finally {
      await kafka.stop();
    }
  }
  return failed === 0 ? 0 : 1;
}

/** Whether all was right. */
async function run(kafka: KafkaServer, seed: number): Promise<boolean> {
  const beginMs = performance.now();
  const result = await tortureBySeed(kafka, { seed, seconds: Number(values.seconds) });
  const { records, wrong, transcript, drainMs, what } = result;
  const seconds = ((performance.now() - beginMs) / 1000).toFixed(0);
  const outcome = wrong.length === 0 ? 'exact' : 'WRONG';
  const rest = `at rest after ${(drainMs / 1000).toFixed(1)} s`;
  console.log(
    `seed ${seed}, ${what}: ${outcome}, ${records} records, ${rest}, ${seconds} s in all`,
  );
  if (wrong.length === 0 && values.keep === undefined) return true;
  keep(join(values.keep ?? join(tmpdir(), 'mizzle-torture'), `seed-${seed}`), result, kafka);
  if (wrong.length === 0) return true;
  for (const line of [...wrong.slice(0, wrongMax), ...transcript]) console.log(`  ${line}`);
  console.log(`again: npm run torture -- --from ${seed} --seeds 1 --seconds ${values.seconds}`);
  return false;
}

function keep(folder: string, { wrong, transcript, logs }: SeededResult, kafka: KafkaServer): void {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  write('transcript', `${transcript.join('\n')}\n`);
  if (wrong.length > 0) write('wrong', `${wrong.join('\n')}\n`);
  for (const { name, pid, said } of logs) write(`${name.replace(' ', '-')}-${pid}.log`, said);
  for (const { id } of kafka.nodes) write(`broker-${id}.log`, kafka.log(id));
  console.log(`  kept in ${folder}`);
}

// Drivers and hosts would go on without it.
process.on('exit', endAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(1));
}
process.exitCode = await main();
