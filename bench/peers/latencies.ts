// What latencies of windows amount to: percentiles of a span of time, and how long after a loss
// they are back.

import { spread } from '../figures.ts';
import type { WindowSeen } from './tally.ts';

/** `appendedMs`: until the result was in the log; `visibleMs`: until a live reader had it. */
export type Until = 'appendedMs' | 'visibleMs';

export type Percentiles = {
  readonly samples: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
};

/** By nearest rank: each is a value that was measured. Null: there is none. */
export function percentilesOf(values: readonly number[]): Percentiles | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const rank = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1]!;
  const [p50, p95, p99] = [rank(0.5), rank(0.95), rank(0.99)];
  return { samples: sorted.length, p50, p95, p99, max: sorted.at(-1)! };
}

/** Of windows that end after `fromMs`, and no later than `toMs`. */
export function latenciesIn(
  seen: readonly WindowSeen[],
  {
    fromMs,
    toMs,
    until,
  }: { readonly fromMs: number; readonly toMs: number; readonly until: Until },
): readonly number[] {
  return seen
    .filter(({ windowEndMs }) => windowEndMs > fromMs && windowEndMs <= toMs)
    .map((each) => each[until]);
}

export type Recovery = {
  readonly medianBeforeMs: number;
  /** Of windows that were not visible when the worker was killed. */
  readonly peakMs: number;
  /** From the kill until latency was within 1.5 × what it was; null: never. */
  readonly backMs: number | null;
  /** Likewise within 100 ms above what it was. */
  readonly nearMs: number | null;
  /** Median of each window's campaigns; ends count from the kill. */
  readonly series: readonly { readonly endMs: number; readonly latencyMs: number }[];
};

/** Of this many windows on end … */
const steadyWindows = 10;
/** … so many are within the limit once latency is back. */
const steadyWithin = 9;
const backFactor = 1.5;
const nearMs = 100;

/** Windows from `fromMs` on count as steady before; those after `toMs` have no full load. */
export function recoveryOf(
  seen: readonly WindowSeen[],
  options: {
    readonly fromMs: number;
    readonly killedMs: number;
    readonly toMs: number;
    readonly until: Until;
  },
): Recovery | null {
  const { fromMs, killedMs, toMs, until } = options;
  const byEnd = Map.groupBy(seen, ({ windowEndMs }) => windowEndMs);
  const windows = [...byEnd]
    .filter(([end]) => end <= toMs)
    .map(([end, group]) => ({ end, ...spread(group.map((each) => each[until])) }))
    .toSorted((a, b) => a.end - b.end);
  const before = windows.filter(({ end }) => end > fromMs && end <= killedMs);
  const after = windows.filter(({ end }) => end > killedMs);
  const late = windows.filter(({ end, max }) => end + max > killedMs);
  if (before.length === 0 || late.length === 0) return null;
  const medianBeforeMs = spread(before.map(({ median }) => median)).median;
  const backWithin = (limitMs: number): number | null => {
    for (let at = 0; at + steadyWindows <= after.length; at++) {
      const { end, median } = after[at]!;
      const next = after.slice(at, at + steadyWindows);
      const within = next.filter((each) => each.median <= limitMs).length;
      if (median <= limitMs && within >= steadyWithin) return end + median - killedMs;
    }
    return null;
  };
  return {
    medianBeforeMs,
    peakMs: Math.max(...late.map(({ max }) => max)),
    backMs: backWithin(backFactor * medianBeforeMs),
    nearMs: backWithin(medianBeforeMs + nearMs),
    series: windows.map(({ end, median }) => ({ endMs: end - killedMs, latencyMs: median })),
  };
}
