// What the flights example takes from the command line, and the table that it prints.

import process from 'node:process';
import { parseArgs } from 'node:util';
import { formatCount, formatTable } from '../../src/base/format.ts';

export type AirportWeek = {
  readonly origin: string;
  readonly windowStart: number;
  readonly flights: number;
  readonly miles: number;
  readonly meanDelay: number;
  readonly maxDelay: number;
};

export type Week = {
  readonly windowStart: number;
  readonly airports: number;
  readonly flights: number;
  readonly maxDelay: number;
  readonly mostDelayed: readonly string[];
};

/** The number after `--limit`; null: all flights. Ends the process with 2 on anything else. */
export function limitOption(argv: readonly string[]): number | null {
  try {
    const { values } = parseArgs({ args: [...argv], options: { limit: { type: 'string' } } });
    if (values.limit === undefined) return null;
    const limit = Number(values.limit);
    if (Number.isSafeInteger(limit) && limit > 0) return limit;
    throw new Error(`--limit takes a number of flights, not "${values.limit}"`);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${message}\nusage: npx node examples/flights.ts [--limit N]\n`);
    process.exit(2);
  }
}

export function weekTable(weeks: readonly Week[], airportWeeks: readonly AirportWeek[]): string {
  const meanDelays = new Map(
    airportWeeks.map((row) => [`${row.origin} ${row.windowStart}`, row.meanDelay]),
  );
  const cells = weeks
    .toSorted((a, b) => a.windowStart - b.windowStart)
    .map(({ windowStart, airports, flights, maxDelay, mostDelayed }) => [
      new Date(windowStart).toISOString().slice(0, 10),
      formatCount(airports),
      formatCount(flights),
      formatCount(maxDelay),
      mostDelayed
        .map((origin) => `${origin} ${meanDelays.get(`${origin} ${windowStart}`)?.toFixed(1)}`)
        .join('  '),
    ]);
  const head = ['week of', 'airports', 'flights', 'longest, min', 'longest mean delays, min'];
  return `Airports with at least 500 flights in the week\n\n${formatTable(head, cells)}\n`;
}
