// Files that grow as a test pleases: a run over them is in the middle for as long as a test wants,
// however slow the machine is.

import { appendFileSync } from 'node:fs';
import assert from 'node:assert/strict';
import type { Process } from '../cluster/processes.fixture.ts';
import { sleep } from '../cluster/processes.fixture.ts';
import type { Order, RecoveryJob } from './orders.fixture.ts';
import { countedByHand, freshPath, orderLine, orderOf, outputOf } from './orders.fixture.ts';

/** Closes the windows of all orders before it, and is in the last one itself. */
const end: Order = { country: 'ZZ', amount: 0, at: orderOf(0).at + 1_000_000_000 };

export class Feed {
  readonly paths = [freshPath('.jsonl'), freshPath('.jsonl'), freshPath('.jsonl')];
  readonly #orders: Order[] = [];

  constructor() {
    this.feed(10);
  }

  /** Orders so far. */
  get count(): number {
    return this.#orders.length;
  }

  feed(count: number): void {
    const first = this.#orders.length;
    this.#append(Array.from({ length: count }, (_, index) => orderOf(first + index)));
  }

  /** What must be visible when everything was read and the run was stopped. */
  truth({ aggregate }: RecoveryJob): readonly string[] {
    if (aggregate === 'none') return this.#orders.map(orderLine).toSorted();
    return countedByHand(this.#orders);
  }

  /** Feeds until something has come to pass. */
  async until(isSo: () => boolean, run: Process): Promise<void> {
    while (!isSo()) {
      assertAlive(run);
      this.feed(300);
      await sleep(60);
    }
  }

  /** Waits for it, and feeds nothing. */
  async waitFor(isSo: () => boolean, run: Process): Promise<void> {
    while (!isSo()) {
      assertAlive(run);
      await sleep(60);
    }
  }

  /**
   * Feeds some more, for the last time, waits until all of it was read, and lets the run end well.
   * `elsewhere`: rows that are visible in another place.
   */
  async finish(run: Process, job: RecoveryJob, elsewhere = 0): Promise<void> {
    this.feed(3_000);
    this.#append(this.paths.map(() => end));
    await this.drain(run, job, this.truth(job).length - elsewhere);
  }

  /** Waits for so many rows but those of the last window, and lets the run end well. */
  async drain(run: Process, job: RecoveryJob, rows: number): Promise<void> {
    await this.waitFor(() => rowsOf(job) >= rows - 1, run);
    run.kill('SIGINT');
    const { code, stderr } = await run.ended;
    assert.equal(code, 0, stderr);
  }

  #append(orders: readonly Order[]): void {
    const texts = this.paths.map(() => '');
    for (const order of orders) {
      texts[this.#orders.length % texts.length] += `${JSON.stringify(order)}\n`;
      this.#orders.push(order);
    }
    this.paths.forEach((path, index) => appendFileSync(path, texts[index]!));
  }
}

export function rowsOf(job: RecoveryJob): number {
  try {
    return outputOf(job).length;
  } catch (error) {
    // It has not come so far that there is any.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return 0;
  }
}

function assertAlive(run: Process): void {
  const { exitCode, signalCode } = run.child;
  assert.ok(exitCode === null && signalCode === null, `it ended early: ${run.stderr}`);
}
