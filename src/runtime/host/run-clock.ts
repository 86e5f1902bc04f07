// The run's clock: epoch milliseconds with microsecond resolution that never go back. All threads
// of a process count from the same base, so that their clocks agree exactly.

import { performance } from 'node:perf_hooks';
import process from 'node:process';

/** The same instant on the wall clock and on the process's monotonic clock, ms. */
export type ClockBase = { readonly epochMs: number; readonly monotonicMs: number };

export class RunClock {
  readonly base: ClockBase;
  readonly #offsetMs: number;

  constructor(base?: ClockBase) {
    const monotonicMs = Number(process.hrtime.bigint()) / 1e6;
    const sinceOriginMs = performance.now();
    this.base = base ?? { epochMs: Date.now(), monotonicMs };
    this.#offsetMs = this.base.epochMs + (monotonicMs - this.base.monotonicMs) - sinceOriginMs;
  }

  nowMs(): number {
    return this.#offsetMs + performance.now();
  }
}
