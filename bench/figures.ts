// Figures of several rounds: the least, the median and the greatest, and the machine.

import { availableParallelism, cpus } from 'node:os';
import process from 'node:process';

export type Spread = { readonly min: number; readonly median: number; readonly max: number };

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const median =
    sorted.length % 2 === 1
      ? sorted[Math.floor(middle)]!
      : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { min: sorted[0]!, median, max: sorted.at(-1)! };
}

/** `4.31 (4.02–4.55)`: the median and, in brackets, the least and the greatest. */
export function spreadText({ min, median, max }: Spread, digits = 2): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

export function machine(): string {
  const model = cpus()[0]?.model ?? 'unknown processor';
  return `${availableParallelism()} × ${model}, node ${process.versions.node}`;
}

/** Prints the figures as text, and as one JSON object on the last line when asked. */
export function print(lines: readonly string[], json: object | null): void {
  process.stdout.write(`${lines.join('\n')}\nmachine: ${machine()}\n`);
  if (json !== null) process.stdout.write(`${JSON.stringify(json)}\n`);
}

/** The text behind `--name`; null: it is not there. */
export function textArgument(args: readonly string[], name: string): string | null {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? null : (args[at + 1] ?? null);
}

/** The number behind `--name`, or what it is by default. */
export function numberArgument(args: readonly string[], name: string, fallback: number): number {
  const at = args.indexOf(`--${name}`);
  if (at < 0) return fallback;
  const value = Number(args[at + 1]);
  if (!Number.isFinite(value)) throw new Error(`--${name} takes a number`);
  return value;
}
