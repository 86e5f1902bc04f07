// From the start of the process to the first result: the built package, a pipeline over a small
// file on two worker threads, `node pipeline.ts` as a user would run it.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { installPackage } from '../test/packaging/installed-package.ts';
import type { BenchOptions } from './main.ts';
import { numberArgument, print, spread, spreadText } from './figures.ts';

const pipelineText = `
import { count, files, forEach, pipeline, schema, string, timestamp, tumbling } from 'mizzle';

const click = schema({ page: string(), at: timestamp('ms') });
const clicks = pipeline('clicks')
  .from(files({ path: 'clicks.jsonl', schema: click }), { time: 'at' })
  .groupBy('page')
  .window(tumbling('1s'))
  .aggregate(() => ({ clicks: count() }))
  .to(forEach((row) => console.log(JSON.stringify(row))));

const job = await clicks.run({ workers: Number(process.argv[2]) });
await job.done;
`;

/** Milliseconds from spawning the process to the first byte of its output. */
function firstResultMs(folder: string, workers: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    const child = spawn(process.execPath, ['pipeline.js', String(workers)], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_COMPILE_CACHE: join(folder, '.cache') },
    });
    let firstMs: number | null = null;
    child.stdout.on('data', () => {
      firstMs ??= performance.now() - startMs;
    });
    child.on('exit', (code) => {
      if (code === 0 && firstMs !== null) resolve(firstMs);
      else reject(new Error(`the pipeline ended with ${code}`));
    });
  });
}

export async function run({ json, args }: BenchOptions): Promise<void> {
  const rounds = numberArgument(args, 'rounds', 9);
  const installed = await installPackage();
  try {
    installed.write('pipeline.js', pipelineText);
    const clicks = Array.from({ length: 1000 }, (_, index) =>
      JSON.stringify({ page: `page-${index % 7}`, at: 1_700_000_000_000 + index * 10 }),
    );
    installed.write('clicks.jsonl', `${clicks.join('\n')}\n`);
    const samples: Record<number, number[]> = { 0: [], 2: [] };
    for (let round = -1; round < rounds; round++) {
      for (const workers of [0, 2]) {
        const ms = await firstResultMs(installed.folder, workers);
        // The first round fills the compile cache.
        if (round >= 0) samples[workers]!.push(ms);
      }
    }
    const result = { inlineMs: spread(samples[0]!), twoWorkersMs: spread(samples[2]!) };
    print(
      [
        `process start to first result, built package, ${rounds} rounds after one to warm caches`,
        `two worker threads  ${spreadText(result.twoWorkersMs, 0)} ms`,
        `in one thread       ${spreadText(result.inlineMs, 0)} ms`,
      ],
      json ? result : null,
    );
  } finally {
    installed.remove();
  }
}
