// The Yahoo Streaming Benchmark on Mizzle as a user's program: two worker threads or, with HOSTS,
// so many host processes of one worker. Runs until SIGTERM, and prints a line of JSON for what the
// benchmark must know.

import process from 'node:process';
import type { RunOptions } from '../../src/index.ts';
import ysb from './mizzle-pipeline.ts';

/** It began to process no earlier than that. */
export type FromMizzle = { readonly kind: 'runs'; readonly sinceMs: number };

const hosts = Number(process.env['HOSTS']);
const options: RunOptions = {
  ...(hosts === 0 ? { workers: 2 } : { hosts, workers: 1 }),
  // As many as Flink's and Spark's keyed stage: each writes by transactions of its own.
  partitions: hosts === 0 ? 2 : hosts,
  interval: '5ms',
  module: new URL('./mizzle-pipeline.ts', import.meta.url),
  checkpoints: {
    store: process.env['CHECKPOINTS']!,
    interval: `${Number(process.env['CHECKPOINT_SECONDS'])}s`,
    rangeLog: { kafka: { brokers: process.env['BOOTSTRAP']! } },
  },
};

// What starts workers and asks for the topic's partitions counts as processing.
const sinceMs = Date.now();
const job = await ysb.run(options);
process.on('SIGTERM', () => void job.stop());
// Hosts join a run that has begun; whoever waits for it means one that works.
while (job.status().batches === 0) await new Promise((resolve) => setTimeout(resolve, 10));
process.stdout.write(`${JSON.stringify({ kind: 'runs', sinceMs } satisfies FromMizzle)}\n`);
await job.done;
