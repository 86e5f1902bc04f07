// Asks all members how far they have begun, to end a group early: the boundary is behind all of it,
// so nobody has started what is cut off, and nobody will miss it.

import type { BatchNumber, WorkerId } from '../protocol/ids.ts';

export class CutRound {
  /** Rounds are numbered; an answer to an older one says nothing. */
  #number = 0;
  #askedMs = 0;
  #asked = 0;
  readonly #answered = new Set<WorkerId>();
  /** The greatest answer. */
  #end = 0;

  get number(): number {
    return this.#number;
  }

  get askedMs(): number {
    return this.#askedMs;
  }

  /** Of so many members. */
  ask(nowMs: number, members: number): void {
    this.#number++;
    this.#askedMs = nowMs;
    this.#asked = members;
    this.#answered.clear();
    this.#end = 0;
  }

  /** The first micro-batch that nobody has begun, once all have answered; null: some have not. */
  answer(worker: WorkerId, from: BatchNumber): BatchNumber | null {
    this.#end = Math.max(this.#end, from);
    const isNew = !this.#answered.has(worker);
    this.#answered.add(worker);
    return isNew && this.#answered.size === this.#asked ? (this.#end as BatchNumber) : null;
  }
}
