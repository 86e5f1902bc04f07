// A two-stage job without data on two worker threads: what one micro-batch costs in coordination,
// by group size, with look-ahead and without. Every consumer waits for every producer's (empty)
// block, so a micro-batch takes at least one message from each worker to the other.

import { collect, count, pipeline, schema, string } from '../src/index.ts';
import type { ExecutionMode, Job } from '../src/index.ts';
import { endless } from './endless-source.ts';
import type { BenchOptions } from './main.ts';
import { numberArgument, print, spread, spreadText } from './figures.ts';

const quiet = endless(schema({ key: string() }));

export const empty = pipeline('scheduling')
  .from(quiet)
  .groupBy('key')
  .aggregate(() => ({ rows: count() }))
  .to(collect());

export default empty;

type Cell = {
  readonly mode: ExecutionMode;
  readonly groupSize: number;
  readonly lookAhead: boolean;
};

/** Micro-batches per millisecond over `measureMs`, after a warm-up. */
async function measure(cell: Cell, measureMs: number): Promise<number> {
  const job = await empty.run({
    workers: 2,
    interval: 0,
    module: import.meta.url,
    ...cell,
  });
  await sleep(600);
  const before = await settled(job);
  await sleep(measureMs);
  const after = await settled(job);
  await job.stop();
  return (after.atMs - before.atMs) / (after.batches - before.batches);
}

async function settled(job: Job): Promise<{ readonly atMs: number; readonly batches: number }> {
  const { elapsedMs, batches } = job.status();
  return { atMs: elapsedMs, batches };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function run({ json, args }: BenchOptions): Promise<void> {
  const rounds = numberArgument(args, 'rounds', 3);
  const measureMs = numberArgument(args, 'ms', 1000);
  const cells: Cell[] = [1, 10, 100].flatMap((groupSize) => [
    { mode: 'drizzle', groupSize, lookAhead: true },
    { mode: 'drizzle', groupSize, lookAhead: false },
  ]);
  cells.push({ mode: 'bsp', groupSize: 1, lookAhead: false });
  const samples = cells.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, cell] of cells.entries()) {
      samples[index]!.push(await measure(cell, measureMs));
    }
  }
  const results = cells.map((cell, index) => ({ ...cell, batchMs: spread(samples[index]!) }));
  const lines = results.map(
    ({ mode, groupSize, lookAhead, batchMs }) =>
      (mode === 'bsp'
        ? 'stage by stage (bsp)    : '
        : `G = ${String(groupSize).padStart(3)}, look-ahead ${lookAhead ? 'on ' : 'off'}: `) +
      `${spreadText(batchMs, 3)} ms a micro-batch`,
  );
  print([`two stages, 2 workers, no data, ${rounds} rounds`, ...lines], json ? { results } : null);
}
