// The hook through which `Pipeline.run` reaches an engine: the builder runs nothing and imports no
// runtime; the public entry wires one in.

import { StreamError } from '../base/stream-error.ts';
import type { Job, RunOptions } from './job.ts';
import type { Pipeline } from './pipeline.ts';

/** Starts a valid pipeline. */
export type Runner = (pipeline: Pipeline, options: RunOptions) => Promise<Job>;

let runner: Runner | null = null;

/** Sets what runs pipelines in this thread. */
export function setRunner(next: Runner): void {
  runner = next;
}

export function currentRunner(): Runner {
  if (runner !== null) return runner;
  throw new StreamError({
    code: 'no-runner',
    message: 'could not run the pipeline: no engine is set',
    hint: "import from 'mizzle' rather than from its inner modules",
  });
}
