// Node writes what it has compiled when a process ends by itself, which is too late for whoever
// takes the place of one that was killed.

import { flushCompileCache, getCompileCacheDir } from 'node:module';

/** By then a job has run most of what it is made of, ms. */
const usualMs = 3000;

/** Where Node keeps compiled code, that of this thread is written after so long, ms. */
export function keepCompiled(afterMs = usualMs): void {
  if (getCompileCacheDir() === undefined) return;
  setTimeout(flushCompileCache, afterMs).unref();
}
