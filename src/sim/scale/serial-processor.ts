// One processor that does one piece of work after another, in the order in which they came: an
// event loop of the driver, a host or a worker. Processors of one machine may share its cores.

import type { VirtualClock } from '../virtual-clock.ts';

/** What is to be done: when it has taken its time, `act` happens and says how long that took. */
export type Work = {
  readonly costMs: number;
  /** Gives the time that what it did takes of the processor, such as sending, ms. */
  readonly act: () => number;
};

/** Cores that several processors share; a processor without any has a core of its own. */
export class Cores {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  take(then: () => void): void {
    if (this.#free === 0) {
      this.#waiting.push(then);
      return;
    }
    this.#free--;
    then();
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

export type ProcessorOptions = { readonly cores: Cores | null; readonly wakeMs: number };

export class SerialProcessor {
  readonly #clock: VirtualClock;
  readonly #cores: Cores | null;
  /** What beginning to work takes after having had nothing to do, ms. */
  readonly #wakeMs: number;
  #queue: Work[] = [];
  /** What of the queue has been taken. */
  #taken = 0;
  #busy = false;
  busyMs = 0;
  /** The longest the queue has been. */
  queuedMax = 0;

  constructor(clock: VirtualClock, options: ProcessorOptions) {
    this.#clock = clock;
    this.#cores = options.cores;
    this.#wakeMs = options.wakeMs;
  }

  get queued(): number {
    return this.#queue.length - this.#taken;
  }

  add(work: Work): void {
    this.#queue.push(work);
    if (this.queued > this.queuedMax) this.queuedMax = this.queued;
    if (this.#busy) return;
    this.#busy = true;
    this.#takeCore(this.#wakeMs);
  }

  #takeCore(wakeMs: number): void {
    if (this.#cores === null) this.#begin(wakeMs);
    else this.#cores.take(() => this.#begin(wakeMs));
  }

  #begin(wakeMs: number): void {
    const work = this.#queue[this.#taken++]!;
    if (this.#taken === this.#queue.length) {
      this.#queue = [];
      this.#taken = 0;
    } else if (this.#taken > 1024 && 2 * this.#taken > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#taken);
      this.#taken = 0;
    }
    this.busyMs += wakeMs;
    this.#clock.after(wakeMs + work.costMs, () => this.#act(work));
  }

  #act(work: Work): void {
    const afterwardsMs = work.act();
    this.busyMs += work.costMs + afterwardsMs;
    if (afterwardsMs > 0) this.#clock.after(afterwardsMs, () => this.#end());
    else this.#end();
  }

  #end(): void {
    this.#cores?.give();
    if (this.queued > 0) this.#takeCore(0);
    else this.#busy = false;
  }
}
