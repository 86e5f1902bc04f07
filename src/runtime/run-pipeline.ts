// Runs a pipeline in this process: in worker threads, or all in the calling thread.

import type { Job, RunOptions } from '../api/job.ts';
import { runEmbedded } from './embedded/run-embedded.ts';
import { activeCapture } from './host/job-code.ts';
import { setUpJob } from './host/job-setup.ts';
import type { Runnable } from './host/runnable.ts';
import { runInline } from './inline/run-inline.ts';

/** Resolves when the job has been set up; its end is `job.done`. Rejects with StreamError. */
export async function runPipeline(pipeline: Runnable, options: RunOptions = {}): Promise<Job> {
  const capture = activeCapture();
  if (capture !== null) {
    capture(pipeline);
    // In a worker the program stops here; the worker goes on with the pipeline alone.
    return new Promise<never>(() => {});
  }
  const setup = await setUpJob(pipeline, options);
  return setup.threads === 0 ? runInline(setup, options) : runEmbedded(setup, options);
}
