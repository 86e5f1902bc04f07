// The driver of a soak, a process of its own so that it can be killed: the Yahoo Streaming
// Benchmark on host processes, kept in a store. Tells its parent what happens.

import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import process from 'node:process';
import type { RunOptions } from '../src/index.ts';
import { bundleJob } from '../src/runtime/cluster/bundle-job.ts';
import { runLocalCluster } from '../src/runtime/cluster/local-cluster.ts';
import { orRelease } from '../src/runtime/host/durable-start.ts';
import { setUpJob } from '../src/runtime/host/job-setup.ts';
import type { DriverShellTrace } from '../src/runtime/host/traces.ts';
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
  const setup = await setUpJob(ysbIntoFolder(job), own, 'structure');
  subscribe('mizzle:driver', (message) => {
    const { effect } = message as DriverShellTrace;
    if (effect?.kind !== 'trace' || effect.trace.kind !== 'recovered') return;
    tell({ kind: 'recovered', elapsedMs: effect.trace.elapsedMs });
  });
  const running = await orRelease(setup.durable, () =>
    runLocalCluster(setup, own, {
      hosts,
      workersPerHost: 1,
      bundle,
      argv: [JSON.stringify(job)],
      log: (_level, message) => {
        const pid = /^host "[^"]*-(\d+)-[0-9a-f]+" .* (?:joined|came)$/.exec(message)?.[1];
        if (pid !== undefined) tell({ kind: 'host', pid: Number(pid) });
      },
    }),
  );
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
  const taken = offsets.toSorted((a, b) => a.partition - b.partition).map(({ to }) => to);
  tell({ kind: 'ended', startMs: setup.config.startMs, taken });
  process.removeAllListeners('disconnect');
  process.disconnect();
}

// By its arguments it would be taken for the pipeline's module, which hosts import.
const [job] = (await once(process, 'message')) as [SoakJob];
await main(job);
