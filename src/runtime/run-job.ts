// Runs a pipeline in worker threads, all in the calling thread, or on host processes. Each way is
// loaded when it is taken.

import process from 'node:process';
import type { Job, RunOptions } from '../api/job.ts';
import { silent } from './cluster/log.ts';
import type { JobBundle } from './cluster/bundle-job.ts';
import { orRelease } from './host/durable-start.ts';
import type { JobConfig } from './host/job-config.ts';
import { setUpJob, threadCount, wholeNumber } from './host/job-setup.ts';
import type { Runnable } from './host/runnable.ts';
import { jobModule } from './host/job-module.ts';

/** Resolves when the job has been set up; its end is `job.done`. Rejects with StreamError. */
export async function runJob(pipeline: Runnable, options: RunOptions): Promise<Job> {
  if (wholeNumber('hosts', options.hosts ?? 0, [0, 64]) > 0) {
    const { bundleJob } = await import('./cluster/bundle-job.ts');
    return runOnHosts(pipeline, options, await bundleJob(jobModule(options)), 'structure');
  }
  const threads = threadCount(options);
  return threads === 0 ? inThisThread(pipeline, options) : inThreads(pipeline, options, threads);
}

async function inThisThread(pipeline: Runnable, options: RunOptions): Promise<Job> {
  const setup = await setUpJob(pipeline, options);
  const { runInline } = await import('./inline/run-inline.ts');
  return orRelease(setup.durable, () => runInline(setup, options));
}

async function inThreads(pipeline: Runnable, options: RunOptions, count: number): Promise<Job> {
  const { ThreadPool } = await import('./embedded/thread-pool.ts');
  const pool = new ThreadPool(jobModule(options), count);
  try {
    const setup = await setUpJob(pipeline, options);
    const { runEmbedded } = await import('./embedded/run-embedded.ts');
    return await orRelease(setup.durable, () => runEmbedded(setup, options, pool));
  } catch (error) {
    await pool.end();
    throw error;
  }
}

/**
 * Runs a pipeline on host processes of this machine. A pipeline that does not come from the bundle
 * has other texts of the same functions, so that plans can be compared by their structure only.
 */
export async function runOnHosts(
  pipeline: Runnable,
  options: RunOptions,
  bundle: JobBundle,
  compares: JobConfig['compares'] = 'plan',
): Promise<Job> {
  const { runLocalCluster } = await import('./cluster/local-cluster.ts');
  const hosts = wholeNumber('hosts', options.hosts ?? 1, [1, 64]);
  const workersPerHost = wholeNumber('workers', options.workers ?? 2, [1, 64]);
  const own = { ...options, workers: hosts * workersPerHost };
  const setup = await setUpJob(pipeline, own, compares);
  const argv = process.argv.slice(2);
  return orRelease(setup.durable, () =>
    runLocalCluster(setup, options, { hosts, workersPerHost, bundle, argv, log: silent }),
  );
}
