// How long an append to the range log takes until it is durable: a file of this host with
// synchronised writes, numbered objects in a folder, and in the store that `--store` names. One
// append at a time, as from a worker whose micro-batches are long; `--writers N` at once share the
// disk.

import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { Histogram } from '../src/base/histogram.ts';
import type { LoggedRange, RangeLog } from '../src/ports/range-log.ts';
import { DirectoryStore } from '../src/runtime/storage/directory-store.ts';
import { FileRangeLog } from '../src/runtime/storage/file-range-log.ts';
import { ObjectRangeLog } from '../src/runtime/storage/object-range-log.ts';
import { openStore } from '../src/runtime/storage/open-store.ts';
import { numberArgument, print, spread, spreadText } from './figures.ts';
import type { BenchOptions } from './main.ts';

type Contender = { readonly name: string; readonly log: RangeLog };

/** As encoded now: a dozen numbers. */
const recordBytes = 60;

export async function run({ json, args }: BenchOptions): Promise<void> {
  const rounds = numberArgument(args, 'rounds', 5);
  const appends = numberArgument(args, 'appends', 300);
  const writers = numberArgument(args, 'writers', 1);
  const partitions = numberArgument(args, 'partitions', 8);
  const address = args.includes('--store') ? args[args.indexOf('--store') + 1] : undefined;
  // `--folder`: a disk other than the one for temporary files.
  const parent = args.includes('--folder') ? args[args.indexOf('--folder') + 1]! : tmpdir();
  const folder = mkdtempSync(join(parent, 'mizzle-range-log-'));
  try {
    const contenders: Contender[] = [
      { name: 'file', log: new FileRangeLog(join(folder, 'file')) },
      { name: 'objects in a folder', log: objects(new DirectoryStore(join(folder, 'objects'))) },
    ];
    if (address !== undefined) {
      const store = await openStore(address);
      contenders.push({ name: `objects in ${store.description}`, log: objects(store) });
    }
    const figures = contenders.map(({ name }) => ({ name, p50: noMs(), p99: noMs() }));
    for (let round = -1; round < rounds; round++) {
      for (const [index, { log }] of contenders.entries()) {
        const latency = await measured(log, { round, appends, writers, partitions });
        // The first round makes folders and connections.
        if (round < 0) continue;
        figures[index]!.p50.push(latency.quantile(0.5));
        figures[index]!.p99.push(latency.quantile(0.99));
      }
    }
    const all = figures.map(({ name, p50, p99 }) => ({
      name,
      p50Ms: spread(p50),
      p99Ms: spread(p99),
    }));
    const each = `${appends} appends of ${partitions} records`;
    const work = `${writers} writers, ${each}, ${rounds} rounds`;
    const lines = all.map(
      ({ name, p50Ms, p99Ms }) =>
        `${name.padEnd(32)} p50 ${spreadText(p50Ms)} ms, p99 ${spreadText(p99Ms)} ms`,
    );
    const load = `load average ${loadavg()[0]!.toFixed(1)}`;
    print([work, load, ...lines], json ? { writers, appends, partitions, logs: all } : null);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function noMs(): number[] {
  return [];
}

function objects(store: ConstructorParameters<typeof ObjectRangeLog>[0]): RangeLog {
  return new ObjectRangeLog(store, `bench-${process.pid}`, Date.now);
}

async function measured(
  log: RangeLog,
  work: {
    readonly round: number;
    readonly appends: number;
    readonly writers: number;
    readonly partitions: number;
  },
): Promise<Histogram> {
  const { round, appends, writers, partitions } = work;
  const latency = new Histogram();
  const write = async (number: number): Promise<void> => {
    const writer = log.writer(`1-${number}-${round + 1}`, 1);
    for (let batch = 0; batch < appends; batch++) {
      const records = Array.from({ length: partitions }, (_, partition): LoggedRange => ({
        source: 'source-clicks',
        partition: number * partitions + partition,
        batch,
        record: new Uint8Array(recordBytes),
      }));
      const startMs = performance.now();
      await writer.append(records);
      latency.add(performance.now() - startMs);
    }
    await writer.close();
  };
  await Promise.all(Array.from({ length: writers }, (_, number) => write(number)));
  await log.release(appends);
  return latency;
}
