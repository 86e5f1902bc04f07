// Tries again what failed for a moment: with growing, scattered pauses and within a bound.

import { setTimeout as pause } from 'node:timers/promises';

export type RetryOptions = {
  /** The whole time that may be spent on one operation, ms. */
  readonly limitMs: number;
  readonly firstPauseMs: number;
  readonly pauseMsMax: number;
};

/** Rides out a restart of a store's node; a driver whose lease is shorter gives up on its own. */
export const retryDefaults: RetryOptions = { limitMs: 15_000, firstPauseMs: 20, pauseMsMax: 2000 };

/** `attempt` gets its number, from 0. What it rejects with last is rejected with. */
export async function retried<Result>(
  attempt: (number: number) => Promise<Result>,
  isTransient: (error: unknown) => boolean,
  options: RetryOptions,
): Promise<Result> {
  const endMs = performance.now() + options.limitMs;
  for (let number = 0; ; number++) {
    try {
      return await attempt(number);
    } catch (error) {
      const ceilingMs = Math.min(options.pauseMsMax, options.firstPauseMs * 2 ** number);
      const pauseMs = ceilingMs * (0.5 + Math.random() / 2);
      if (!isTransient(error) || performance.now() + pauseMs > endMs) throw error;
      await pause(pauseMs);
    }
  }
}
