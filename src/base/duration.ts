// Lengths of time as people write them: `'10s'`, `'500ms'`, `'30m'`, or a number of milliseconds.

/** A number is milliseconds. */
export type Duration =
  | number
  | `${number}ms`
  | `${number}s`
  | `${number}m`
  | `${number}h`
  | `${number}d`;

const unitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Whole milliseconds, zero or more; null when it is no such thing. */
export function parseDurationMs(duration: Duration | string): number | null {
  const ms = typeof duration === 'number' ? duration : parseText(duration);
  // Rounded because 0.1 s is not a whole number of ms in binary; a true fraction is refused.
  const whole = Math.round(ms);
  const fits = Number.isSafeInteger(whole) && whole >= 0 && Math.abs(ms - whole) < 1e-6;
  return fits ? whole : null;
}

function parseText(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(String(text).trim());
  return match ? Number(match[1]) * (unitsMs[match[2] ?? ''] ?? Number.NaN) : Number.NaN;
}
