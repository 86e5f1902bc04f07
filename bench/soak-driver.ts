// The driver of a soak, a process of its own so that it can be killed: the Yahoo Streaming
// Benchmark on host processes, kept in a store. Tells its parent what happens.

import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import process from 'node:process';
import type { RunOptions } from '../src/index.ts';
import { bundleJob } from '../src/runtime/cluster/bundle-job.ts';
import type { DriverShellTrace } from '../src/runtime/host/traces.ts';
import { startOnHosts, takenOf } from './paper/hosts-job.ts';
import type { YsbIntoFolder } from './paper/ysb-into-folder.ts';
import { ysbIntoFolder } from './paper/ysb-into-folder.ts';

export type SoakJob = {
  readonly job: YsbIntoFolder;
  readonly store: string;
  readonly hosts: number;
  readonly checkpointMs: number;
};

export type FromSoakDriver =
  | { readonly kind: 'started' }
  | { readonly kind: 'host'; readonly pid: number }
  | { readonly kind: 'recovered'; readonly elapsedMs: number }
  | { readonly kind: 'memory'; readonly heapBytes: number; readonly stateBytes: number }
  | {
      readonly kind: 'ended';
      readonly startMs: number;
      /** Events taken, by partition of the source. */
      readonly taken: readonly number[];
    };

function tell(message: FromSoakDriver): void {
  process.send!(message);
}

async function main({ job, store, hosts, checkpointMs }: SoakJob): Promise<void> {
  const own: RunOptions = { workers: hosts, checkpoints: { store, interval: checkpointMs } };
  const bundle = await bundleJob(new URL('./paper/ysb-into-folder.ts', import.meta.url).href);
  subscribe('mizzle:driver', (message) => {
    const { effect } = message as DriverShellTrace;
    if (effect?.kind !== 'trace' || effect.trace.kind !== 'recovered') return;
    tell({ kind: 'recovered', elapsedMs: effect.trace.elapsedMs });
  });
  const { running, config } = await startOnHosts(ysbIntoFolder(job), {
    options: own,
    hosts,
    bundle,
    argument: job,
    onHost: (pid) => tell({ kind: 'host', pid }),
  });
  process.on('message', () => void running.stop({ drain: true }));
  // Whoever started it is gone.
  process.on('disconnect', () => process.exit(1));
  const sampling = setInterval(() => {
    const { stateBytes } = running.status();
    tell({ kind: 'memory', heapBytes: process.memoryUsage().heapUsed, stateBytes });
  }, 1_000);
  while (running.status().batches === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  tell({ kind: 'started' });
  const { offsets } = await running.done;
  clearInterval(sampling);
  tell({ kind: 'ended', startMs: config.startMs, taken: takenOf(offsets) });
  process.removeAllListeners('disconnect');
  process.disconnect();
}

// By its arguments it would be taken for the pipeline's module, which hosts import.
const [job] = (await once(process, 'message')) as [SoakJob];
await main(job);
