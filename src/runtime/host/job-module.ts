// Which module defines the pipeline, for those who must import it themselves.

import process from 'node:process';
import { pathToFileURL } from 'node:url';
import type { RunOptions } from '../../api/job.ts';
import { StreamError } from '../../base/stream-error.ts';

/** URL of the option `module`, or else of the program's main module. */
export function jobModule(options: RunOptions): string {
  const { module } = options;
  // A path is meant from the working directory, not from the engine's own folder.
  if (module !== undefined) {
    const text = String(module);
    return URL.canParse(text) ? text : pathToFileURL(text).href;
  }
  const main = process.argv[1];
  if (main !== undefined) return pathToFileURL(main).href;
  throw new StreamError({
    code: 'no-module',
    message: 'could not tell which module defines the pipeline: the process has no main module',
    hint: 'name it by the option `module`, or run in the calling thread by `workers: 0`',
  });
}
