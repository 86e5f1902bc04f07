// The run's clock: epoch milliseconds with microsecond resolution that never go back. All threads
// of a process count from the same base, so that their clocks agree exactly; on other machines they
// are corrected to the driver's.

import { performance } from 'node:perf_hooks';
import process from 'node:process';

/** The same instant on the wall clock and on the process's monotonic clock, ms. */
export type ClockBase = { readonly epochMs: number; readonly monotonicMs: number };

export class RunClock {
  readonly base: ClockBase;
  #offsetMs: number;
  #lastMs = -Infinity;

  constructor(base?: ClockBase) {
    const monotonicMs = Number(process.hrtime.bigint()) / 1e6;
    const sinceOriginMs = performance.now();
    this.base = base ?? { epochMs: Date.now(), monotonicMs };
    this.#offsetMs = this.base.epochMs + (monotonicMs - this.base.monotonicMs) - sinceOriginMs;
  }

  nowMs(): number {
    const nowMs = this.#offsetMs + performance.now();
    if (nowMs > this.#lastMs) this.#lastMs = nowMs;
    return this.#lastMs;
  }

  /** The driver's clock is so far ahead of this one. If it is behind, time stands still a bit. */
  correct(byMs: number): void {
    this.#offsetMs += byMs;
  }
}
