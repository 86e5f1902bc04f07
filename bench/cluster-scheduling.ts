// A two-stage job without data on four host processes over TCP: what one micro-batch costs in
// coordination and in messages between processes. Every consumer waits for every producer's (empty)
// block, so a micro-batch takes at least one frame from each process to each other.

import process from 'node:process';
import { StreamError } from '../src/index.ts';
import type { Job } from '../src/index.ts';
import type { BenchOptions } from './main.ts';
import { numberArgument, print, spread, spreadText } from './figures.ts';
import { empty } from './scheduling.ts';

type Cell = { readonly groupSize: number; readonly lookAhead: boolean };

type Measured = { readonly meanMs: number; readonly p50: number; readonly p99: number };

async function measure(cell: Cell, hosts: number, measureMs: number): Promise<Measured> {
  const job = await empty.run({
    hosts,
    workers: 1,
    interval: 0,
    module: new URL('./scheduling.ts', import.meta.url),
    ...cell,
  });
  await until(job, 50);
  await sleep(500);
  const before = job.status();
  await sleep(measureMs);
  const after = job.status();
  await job.stop();
  const { p50, p99 } = after.batchMs;
  const meanMs = (after.elapsedMs - before.elapsedMs) / (after.batches - before.batches);
  return { meanMs, p50, p99 };
}

async function until(job: Job, batches: number): Promise<void> {
  for (let waited = 0; job.status().batches < batches; waited += 50) {
    if (waited > 30_000) throw new StreamError({ code: 'bench', message: 'the job never began' });
    await sleep(50);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function run({ json, args }: BenchOptions): Promise<void> {
  // The host processes import this module's pipeline, and see the same arguments.
  process.argv.splice(2);
  const hosts = numberArgument(args, 'hosts', 4);
  const rounds = numberArgument(args, 'rounds', 3);
  const measureMs = numberArgument(args, 'ms', 2000);
  const cells: Cell[] = [1, 10, 100].flatMap((groupSize) => [
    { groupSize, lookAhead: true },
    { groupSize, lookAhead: false },
  ]);
  const samples = cells.map((): Measured[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, cell] of cells.entries()) {
      samples[index]!.push(await measure(cell, hosts, measureMs));
    }
  }
  const results = cells.map((cell, index) => ({
    ...cell,
    batchMs: spread(samples[index]!.map(({ meanMs }) => meanMs)),
    latencyMsP50: spread(samples[index]!.map(({ p50 }) => p50)),
    latencyMsP99: spread(samples[index]!.map(({ p99 }) => p99)),
  }));
  const lines = results.map(
    ({ groupSize, lookAhead, batchMs, latencyMsP50, latencyMsP99 }) =>
      `G = ${String(groupSize).padStart(3)}, look-ahead ${lookAhead ? 'on ' : 'off'}: ` +
      `${spreadText(batchMs, 3)} ms a micro-batch, trigger to completion p50 ` +
      `${spreadText(latencyMsP50, 3)}, p99 ${spreadText(latencyMsP99, 3)} ms`,
  );
  print(
    [`two stages, ${hosts} host processes of one worker, no data, ${rounds} rounds`, ...lines],
    json ? { results } : null,
  );
}
