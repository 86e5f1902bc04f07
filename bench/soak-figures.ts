// What a soak shows: when latency was back after each kill, and whether memory grew.

import type { WindowSeen } from './paper/killed-host.ts';

export type KillKind = 'host' | 'driver' | 'all';

/** Times are ms of one clock, that of the windows. */
export type Kill = { readonly atMs: number; readonly what: KillKind };

export type Return = Kill & {
  /** From the kill until latency was back; null: the next kill, or the end, came before. */
  readonly backMs: number | null;
};

const backFactor = 1.5;

/**
 * Latency is back with the first window that ended after the kill, was visible within 1.5 × of the
 * median of all windows, and before which nothing is missing any more: not a window that slipped
 * through.
 */
export function returnsAfter(
  kills: readonly Kill[],
  windows: readonly WindowSeen[],
): readonly Return[] {
  const latencies = windows.map(({ latencyMs }) => latencyMs);
  const quickMs = percentile(latencies, 0.5) * backFactor;
  return kills.map((kill, index) => {
    const untilMs = kills[index + 1]?.atMs ?? Infinity;
    let allVisibleMs = -Infinity;
    for (const { endMs, latencyMs } of windows) {
      const visibleMs = endMs + latencyMs;
      allVisibleMs = Math.max(allVisibleMs, visibleMs);
      if (endMs <= kill.atMs || latencyMs > quickMs || allVisibleMs > visibleMs) continue;
      const backMs = visibleMs <= untilMs ? visibleMs - kill.atMs : null;
      return { ...kill, backMs };
    }
    return { ...kill, backMs: null };
  });
}

/** Of what is at least that many of all; 0 where there is none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

export type Sample = { readonly atMs: number; readonly bytes: number };

export type Growth = {
  readonly minutes: number;
  /** Medians of the first and the last tenth of the samples. */
  readonly fromMb: number;
  readonly toMb: number;
  readonly mbPerMinute: number;
};

/**
 * The median of the slopes between all pairs of samples (Theil and Sen), which what a garbage
 * collector frees at once does not move. Null: too few samples.
 */
export function growthOf(samples: readonly Sample[]): Growth | null {
  const tenth = Math.floor(samples.length / 10);
  if (tenth === 0) return null;
  const slopes: number[] = [];
  const step = Math.ceil(samples.length / 1_000);
  const some = samples.filter((_, index) => index % step === 0);
  for (const [index, a] of some.entries()) {
    for (const b of some.slice(index + 1)) slopes.push((b.bytes - a.bytes) / (b.atMs - a.atMs));
  }
  const median = (of: readonly Sample[]): number => {
    return (
      percentile(
        of.map(({ bytes }) => bytes),
        0.5,
      ) / mb
    );
  };
  return {
    minutes: (samples.at(-1)!.atMs - samples[0]!.atMs) / 60_000,
    fromMb: median(samples.slice(0, tenth)),
    toMb: median(samples.slice(-tenth)),
    mbPerMinute: (percentile(slopes, 0.5) * 60_000) / mb,
  };
}

const mb = 1024 * 1024;
