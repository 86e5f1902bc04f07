// Virtual time: actions happen in order of their time, and those of one instant in an order drawn
// from the seed. Time stands still while an action runs.

import { assert } from '../base/assert.ts';
import { Heap } from '../base/heap.ts';
import type { Random } from '../base/random.ts';

export type Timer = { cancelled: boolean };

type Planned = Timer & {
  readonly atMs: number;
  readonly tie: number;
  readonly sequence: number;
  readonly action: () => void;
};

export class VirtualClock {
  #nowMs: number;
  #sequence = 0;
  readonly #planned = new Heap<Planned>(happensBefore);
  readonly #random: Random;

  constructor(random: Random, startMs: number) {
    this.#random = random;
    this.#nowMs = startMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  at(atMs: number, action: () => void): Timer {
    assert(atMs >= this.#nowMs, 'the past cannot be planned');
    assert(atMs < Infinity, 'an action happens at some time');
    const planned: Planned = {
      atMs,
      tie: this.#random.uint32(),
      sequence: this.#sequence++,
      action,
      cancelled: false,
    };
    this.#planned.push(planned);
    return planned;
  }

  after(delayMs: number, action: () => void): Timer {
    return this.at(this.#nowMs + delayMs, action);
  }

  /** Lets the next action happen; false when nothing is planned any more. */
  advance(): boolean {
    for (;;) {
      const next = this.#planned.pop();
      if (next === undefined) return false;
      if (next.cancelled) continue;
      this.#nowMs = next.atMs;
      next.action();
      return true;
    }
  }
}

function happensBefore(a: Planned, b: Planned): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  if (a.tie !== b.tie) return a.tie < b.tie;
  return a.sequence < b.sequence;
}
