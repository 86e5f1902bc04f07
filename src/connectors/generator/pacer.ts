// When a generator's events are due: one partition's share of a fixed rate, by the run's clock. It
// counts, tells how far behind its taker is, and wakes a listener; it makes no events. An event
// that is taken late keeps its due time, so that lateness shows up as latency.

import { assert } from '../../base/assert.ts';
import type { SourceLag } from '../../ports/source.ts';
import { rangeGone } from '../range-gone.ts';

/** Timers hold 2³¹ ms at most, and a clock may be set. */
const waitMsMax = 60_000;

export type PacerOptions = {
  nowMs(): number;
  readonly startMs: number;
  /** Of all partitions together. */
  readonly eventsPerSecond: number;
  readonly partition: number;
  readonly partitionCount: number;
  /** Events of all partitions together; Infinity when unbounded. */
  readonly eventCount: number;
  /** The ordinal to begin with. */
  readonly from: number;
};

/** Partition p has the events p, p + partitionCount, …; their ordinals in it are 0, 1, … */
export class Pacer {
  readonly #options: PacerOptions;
  readonly #limit: number;
  #taken: number;
  #finished = false;
  #listener: (() => void) | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: PacerOptions) {
    const { eventCount, partition, partitionCount } = options;
    this.#options = options;
    this.#taken = options.from;
    this.#limit = Math.max(0, Math.ceil((eventCount - partition) / partitionCount));
  }

  /** Throws when the partition has fewer events: the pipeline is another one. */
  check(ordinal: number): void {
    if (ordinal <= this.#limit) return;
    const { partition } = this.#options;
    const what = `partition ${partition} of the generator`;
    throw rangeGone(what, { offset: ordinal, size: this.#limit });
  }

  /** Ordinal of the next event to take: what a source calls its offset. */
  get taken(): number {
    return this.#taken;
  }

  /** Nothing follows the events taken so far. */
  get ended(): boolean {
    return this.#finished || this.#taken >= this.#limit;
  }

  indexOf(ordinal: number): number {
    return this.#options.partition + ordinal * this.#options.partitionCount;
  }

  /** When an event is due, epoch ms with a fraction. */
  dueMs(ordinal: number): number {
    const { startMs, eventsPerSecond } = this.#options;
    return startMs + (this.indexOf(ordinal) * 1000) / eventsPerSecond;
  }

  /** Events that are due and not taken. */
  backlog(): number {
    if (this.#finished) return 0;
    const { startMs, eventsPerSecond, partition, partitionCount } = this.#options;
    const index = ((this.#options.nowMs() - startMs) * eventsPerSecond) / 1000;
    const due = Math.max(0, Math.floor((index - partition) / partitionCount) + 1);
    return Math.max(0, Math.min(due, this.#limit) - this.#taken);
  }

  ready(): boolean {
    return this.ended || this.backlog() > 0;
  }

  /** `count` more events were taken. */
  advance(count: number): void {
    this.#taken += count;
    assert(this.#taken <= this.#limit, 'no more events are taken than there are');
    this.#arm();
  }

  onReady(listener: () => void): void {
    this.#listener = listener;
    this.#arm();
  }

  finish(): void {
    const wasReady = this.ready();
    this.#finished = true;
    this.close();
    if (!wasReady) this.#listener?.();
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  lag(): SourceLag {
    const records = this.backlog();
    const ms = records === 0 ? 0 : this.#options.nowMs() - this.dueMs(this.#taken);
    return { records, bytes: null, ms };
  }

  // Only for what is not ready yet: who has taken something asks `ready` by himself.
  #arm(): void {
    const listener = this.#listener;
    if (listener === null || this.#timer !== null || this.ready()) return;
    const waitMs = Math.ceil(this.dueMs(this.#taken) - this.#options.nowMs());
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        if (this.ready()) listener();
        else this.#arm();
      },
      Math.min(Math.max(1, waitMs), waitMsMax),
    );
  }
}
