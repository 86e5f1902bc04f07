// How the stores of a simulation are doing: how long calls take, and whether they fail. What must
// not fail is tried again until it succeeds; what may fail is tried once.

import type { Random } from '../base/random.ts';
import type { CostModel } from './simulated-worker.ts';
import type { VirtualClock } from './virtual-clock.ts';

export class StoreConditions {
  readonly #clock: VirtualClock;
  readonly #costs: CostModel;
  #failsUntilMs = -Infinity;
  #slowUntilMs = -Infinity;
  #factor = 1;
  #logsStallUntilMs = -Infinity;

  constructor(clock: VirtualClock, costs: CostModel) {
    this.#clock = clock;
    this.#costs = costs;
  }

  slow(forMs: number, factor: number): void {
    this.#slowUntilMs = Math.max(this.#slowUntilMs, this.#clock.nowMs + forMs);
    this.#factor = factor;
  }

  fail(forMs: number): void {
    this.#failsUntilMs = Math.max(this.#failsUntilMs, this.#clock.nowMs + forMs);
  }

  /** Nothing becomes durable in any log for a time, as while a disk writes back its cache. */
  stallLogs(forMs: number): void {
    this.#logsStallUntilMs = Math.max(this.#logsStallUntilMs, this.#clock.nowMs + forMs);
  }

  /** How long one call takes, ms. */
  callMs(random: Random): number {
    const factor = this.#clock.nowMs < this.#slowUntilMs ? this.#factor : 1;
    return random.float() * this.#costs.storeMsMax * factor;
  }

  /** How long it takes until a call has succeeded, ms. */
  successMs(random: Random): number {
    return Math.max(0, this.#failsUntilMs - this.#clock.nowMs) + this.callMs(random);
  }

  /**
   * How long it takes until something is durable in a log, ms, and when that is; `fromMs`: what was
   * appended before it is.
   */
  appendMs(random: Random, fromMs: number): { readonly takesMs: number; readonly endMs: number } {
    const beginMs = Math.max(this.#clock.nowMs, fromMs);
    const endMs = Math.max(beginMs, this.#logsStallUntilMs) + this.successMs(random);
    return { takesMs: endMs - beginMs, endMs };
  }

  /** A call that is tried once fails. */
  fails(random: Random, share = 1): boolean {
    const usual = random.chance(this.#costs.storeFailChance * share);
    return usual || this.#clock.nowMs < this.#failsUntilMs;
  }
}
