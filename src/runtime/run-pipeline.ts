// Runs a pipeline in this process: in worker threads, or all in the calling thread.

import process from 'node:process';
import type { Job, RunOptions } from '../api/job.ts';
import { silent } from './cluster/log.ts';
import { runEmbedded } from './embedded/run-embedded.ts';
import { activeCapture } from './host/job-code.ts';
import { setUpJob, wholeNumber } from './host/job-setup.ts';
import type { Runnable } from './host/runnable.ts';
import { jobModule } from './host/job-module.ts';
import { runInline } from './inline/run-inline.ts';

/** Resolves when the job has been set up; its end is `job.done`. Rejects with StreamError. */
export async function runPipeline(pipeline: Runnable, options: RunOptions = {}): Promise<Job> {
  const capture = activeCapture();
  if (capture !== null) {
    capture(pipeline);
    // In a worker the program stops here; the worker goes on with the pipeline alone.
    return new Promise<never>(() => {});
  }
  const { hosts = 0 } = options;
  if (hosts > 0) return runOnHosts(pipeline, options, hosts);
  const setup = await setUpJob(pipeline, options);
  return setup.threads === 0 ? runInline(setup, options) : runEmbedded(setup, options);
}

/** Loaded when it is called for: bundling takes a package that other jobs can do without. */
async function runOnHosts(pipeline: Runnable, options: RunOptions, hosts: number): Promise<Job> {
  const { bundleJob } = await import('./cluster/bundle-job.ts');
  const { runLocalCluster } = await import('./cluster/local-cluster.ts');
  const workersPerHost = wholeNumber('workers', options.workers ?? 1, [1, 64]);
  const count = wholeNumber('hosts', hosts, [1, 64]);
  const bundle = await bundleJob(jobModule(options));
  const setup = await setUpJob(pipeline, { ...options, workers: count * workersPerHost });
  return runLocalCluster(setup, options, {
    hosts: count,
    workersPerHost,
    bundle,
    argv: process.argv.slice(2),
    log: silent,
  });
}
