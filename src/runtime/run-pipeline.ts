// What `run` of a pipeline calls. The engine behind it is loaded when there is something to run: a
// worker imports the same entry for the pipeline alone.

import type { Job, RunOptions } from '../api/job.ts';
import { activeCapture } from './host/capture.ts';
import type { Runnable } from './host/runnable.ts';

/** Resolves when the job has been set up; its end is `job.done`. Rejects with StreamError. */
export async function runPipeline(pipeline: Runnable, options: RunOptions = {}): Promise<Job> {
  const capture = activeCapture();
  if (capture !== null) {
    capture(pipeline);
    // In a worker the program stops here; the worker goes on with the pipeline alone.
    return new Promise<never>(() => {});
  }
  const { runJob } = await import('./run-job.ts');
  return runJob(pipeline, options);
}
