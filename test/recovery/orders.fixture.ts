// What the tests' pipeline reads, what it must give by plain arithmetic, and how to run it as real
// processes and break in.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Process } from '../cluster/processes.fixture.ts';
import { mizzle, temporaryFolder } from '../cluster/processes.fixture.ts';

export type RecoveryJob = {
  /** A file, or a folder if it ends in `/`. */
  readonly out: string;
  /** Paced by the clock, or files that grow, or what nobody can read twice. */
  readonly from:
    | { readonly events: number; readonly eventsPerSecond: number }
    | { readonly growing: readonly string[] }
    | 'standard input';
  /** Default: orders and revenue of each country and second. */
  readonly aggregate?: 'max' | 'none';
  readonly breaks?: readonly Break[];
};

/** Whoever comes first to this amount is ended, once. */
export type Break = {
  readonly amount: number;
  readonly ends: 'thread' | 'process';
  /** Is there when it has happened. */
  readonly marker: string;
};

export const module = join(import.meta.dirname, 'jobs.fixture.ts');

export type Order = { country: string; amount: number; at: number };

const countries = ['AT', 'BR', 'CA', 'DK', 'EG', 'FR', 'GH'];
const startMs = 1_700_000_000_000;

/** Every order has another amount, so that a sum shows which one is missing or there twice. */
export function orderOf(index: number): Order {
  return { country: countries[(index * 5) % 7]!, amount: index, at: startMs + index * 2 };
}

/** `country@window: orders, revenue` of all windows of so many orders, by a loop over them. */
export function truthOf(count: number): readonly string[] {
  return countedByHand(Array.from({ length: count }, (_, index) => orderOf(index)));
}

export function countedByHand(orders: readonly Order[]): readonly string[] {
  const cells = new Map<string, { orders: number; revenue: number }>();
  for (const { country, amount, at } of orders) {
    const key = `${country}@${at - (at % 1000)}`;
    const cell = cells.get(key) ?? { orders: 0, revenue: 0 };
    cells.set(key, { orders: cell.orders + 1, revenue: cell.revenue + amount });
  }
  return [...cells].map(([key, cell]) => lineOf(key, cell)).toSorted();
}

/** Of a run that aggregates nothing. */
export function orderLine({ country, amount, at }: Order): string {
  return `${country}@${at}: ${amount}`;
}

function lineOf(key: string, { orders, revenue }: { orders: number; revenue: number }): string {
  return `${key}: ${orders}, ${revenue}`;
}

type Row = { country: string; windowStart: number; orders: number; revenue: number } & Order;

/** What can be seen now: one line for each row, so that a row that is there twice is two. */
export function outputOf({ out }: RecoveryJob): readonly string[] {
  const texts = out.endsWith('/')
    ? readdirSync(out, { withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
        .map(({ name }) => readFileSync(join(out, name), 'utf8'))
    : [readFileSync(out, 'utf8')];
  return texts
    .flatMap((text) => text.split('\n').slice(0, -1))
    .map((line) => {
      const row = JSON.parse(line) as Row;
      if (row.windowStart === undefined) return orderLine(row);
      return lineOf(`${row.country}@${row.windowStart}`, row);
    })
    .toSorted();
}

/** Every break has happened, and no count shows it. */
export function assertExact(job: RecoveryJob, truth: readonly string[]): void {
  for (const { marker, amount } of job.breaks ?? []) {
    assert.ok(existsSync(marker), `nobody was ended at ${amount}`);
  }
  assert.deepEqual(outputOf(job), truth);
}

const folder = temporaryFolder();
let names = 0;

/** A place that nobody else has. */
export function freshPath(end: string): string {
  return join(folder, `${names++}${end}`);
}

export function breakAt(amount: number, ends: Break['ends']): Break {
  return { amount, ends, marker: freshPath('.marker') };
}

export function argumentsOf(job: RecoveryJob): readonly string[] {
  return ['--', JSON.stringify(job)];
}

/**
 * Often enough that there are several checkpoints in the seconds that a test takes. A signal closes
 * all windows, so that what is visible then can be held against the truth.
 */
export function keeping(store: string): readonly string[] {
  return [...suspending(store), '--drain-on-stop'];
}

/** As `keeping`, but a signal leaves windows open. */
export function suspending(store: string): readonly string[] {
  return ['--checkpoints', store, '--checkpoint-interval', '200ms'];
}

export function startRun(job: RecoveryJob, options: readonly string[]): Process {
  return mizzle(['run', module, '--quiet', ...options, ...argumentsOf(job)]);
}

export async function endsWell(process: Process): Promise<void> {
  const { code, signal, stderr } = await process.ended;
  assert.equal(code, 0, `${signal}: ${stderr}`);
}

export async function failsWith(process: Process, pattern: RegExp): Promise<void> {
  const { code, stderr } = await process.ended;
  assert.equal(code, 1, stderr);
  assert.match(stderr, pattern);
}
