// The Yahoo Streaming Benchmark on Mizzle as a command: two worker threads or, with HOSTS, so many
// host processes of one worker. Runs until SIGTERM, and prints a line of JSON for what the
// benchmark must know.

import process from 'node:process';
import type { RunOptions } from '../../src/index.ts';
import { bundleJob } from '../../src/runtime/cluster/bundle-job.ts';
import { startOnHosts } from '../paper/hosts-job.ts';
import ysb from './mizzle-pipeline.ts';

export type FromMizzle =
  /** It began to process no earlier than that. */
  | { readonly kind: 'runs'; readonly sinceMs: number }
  /** A host process has joined. */
  | { readonly kind: 'host'; readonly pid: number };

const hosts = Number(process.env['HOSTS']);
const module = new URL('./mizzle-pipeline.ts', import.meta.url);
const options: RunOptions = {
  workers: hosts === 0 ? 2 : hosts,
  // As many as Flink's and Spark's keyed stage: each writes by transactions of its own.
  partitions: hosts === 0 ? 2 : hosts,
  interval: '5ms',
  module,
  checkpoints: { store: process.env['CHECKPOINTS']!, interval: '10s' },
};

// What starts workers and asks for the topic's partitions counts as processing.
const sinceMs = Date.now();
const job = await (hosts === 0 ? ysb.run(options) : runOnHosts());
process.on('SIGTERM', () => void job.stop());
// Hosts join a run that has begun; whoever waits for it means one that works.
while (job.status().batches === 0) await new Promise((resolve) => setTimeout(resolve, 10));
tell({ kind: 'runs', sinceMs });
await job.done;

async function runOnHosts(): Promise<Awaited<ReturnType<typeof ysb.run>>> {
  const { running } = await startOnHosts(ysb, {
    options,
    hosts,
    bundle: await bundleJob(module.href),
    argument: null,
    onHost: (pid) => tell({ kind: 'host', pid }),
  });
  return running;
}

function tell(message: FromMizzle): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
