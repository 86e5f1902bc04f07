// The numbers of a cluster's workers. Those of a host that is lost go to one that comes later, with
// a greater incarnation, so that a job that loses hosts for months never runs out of them, and
// nothing that is kept by worker grows with the losses.

import { workersMax } from '../../control/limits.ts';
import type { Incarnation } from '../../control/protocol/ids.ts';

/** Workers [first, first + count) of one host. */
export type NumberedWorkers = {
  readonly first: number;
  readonly count: number;
  /** Of their last life. */
  readonly incarnation: Incarnation;
};

export class WorkerNumbers {
  readonly #max: number;
  #next = 0;
  /** Of hosts that are lost for good. */
  #free: NumberedWorkers[] = [];

  constructor(max: number = workersMax) {
    this.#max = max;
  }

  /** Numbers below have been given by drivers before this one. */
  startAt(next: number): void {
    this.#next = Math.max(this.#next, next);
  }

  /** How many workers a host may have for which there are numbers. */
  get left(): number {
    return Math.max(this.#max - this.#next, ...this.#free.map(({ count }) => count));
  }

  /** The first number of a host's workers, and the incarnation that tells them from all before. */
  take(count: number): { readonly first: number; readonly incarnation: Incarnation } {
    const fitting = this.#free.filter((free) => free.count >= count);
    const [used] = fitting.toSorted((a, b) => a.count - b.count);
    if (used === undefined) {
      const first = this.#next;
      this.#next += count;
      return { first, incarnation: 1 as Incarnation };
    }
    const { first, incarnation } = used;
    this.#free = this.#free.filter((free) => free !== used);
    if (used.count > count) {
      this.#free.push({ first: first + count, count: used.count - count, incarnation });
    }
    return { first, incarnation: (incarnation + 1) as Incarnation };
  }

  /** Its workers have been declared dead. */
  giveBack(lost: NumberedWorkers): void {
    this.#free.push(lost);
  }
}
