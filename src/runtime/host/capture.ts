// How a module that runs its pipeline hands it over instead: to a worker, which must have the same
// pipeline, or to the command line, which runs it its own way.

import type { Runnable } from './runnable.ts';

/** The engine may be in a process twice, as a checkout's and a package's. */
const captureKey = Symbol.for('mizzle.capture');

export type Capture = (pipeline: Runnable) => void;

/** What `run` hands its pipeline to, instead of running it. Null: it runs. */
export function activeCapture(): Capture | null {
  return (globalThis as { [captureKey]?: Capture })[captureKey] ?? null;
}

export function setCapture(capture: Capture | undefined): void {
  const holder = globalThis as { [captureKey]?: Capture | undefined };
  holder[captureKey] = capture;
}
