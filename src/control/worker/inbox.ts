// What has come for one task: the parts of every producer of every input exchange. Arrivals are
// recorded here before anybody asks who waits for them, so it does not matter whether the schedule
// or the block came first.

import { assert } from '../../base/assert.ts';
import type { BlockEntry } from '../protocol/messages.ts';
import type { InputHandle } from './events.ts';

export class Inbox {
  readonly #hasParts: boolean;
  /** By input of the stage: producers whose last part is not here. */
  readonly #missing: number[];
  /** Inputs that miss a producer. */
  #incomplete: number;
  readonly #arrived: InputHandle[][];
  /** By input and producer: the part that comes next, Infinity behind the last. */
  readonly #nextParts: number[][];

  /** `producerCounts`: by input of the stage. */
  constructor(producerCounts: readonly number[], hasParts: boolean) {
    this.#hasParts = hasParts;
    this.#missing = [...producerCounts];
    this.#incomplete = producerCounts.length;
    this.#arrived = producerCounts.map(() => []);
    this.#nextParts = producerCounts.map((count) => new Array<number>(count).fill(0));
  }

  /** Every producer has given its last part. */
  get complete(): boolean {
    return this.#incomplete === 0;
  }

  /** Records one producer's part; false when it is here already. */
  arrive(input: number, { producer, part, last, output }: BlockEntry): boolean {
    const next = this.#nextParts[input]!;
    assert(producer < next.length, `input ${input} has no such producer`);
    if (part < next[producer]!) return false;
    assert(part === next[producer], `input ${input} lost a part of producer ${producer}`);
    this.#arrived[input]!.push({ producer, output });
    next[producer] = last ? Infinity : part + 1;
    if (!last) return true;
    this.#missing[input]!--;
    if (this.#missing[input] !== 0) return true;
    this.#incomplete--;
    if (!this.#hasParts) this.#arrived[input]!.sort((a, b) => a.producer - b.producer);
    return true;
  }

  /**
   * What has come: without parts and complete, of all producers in their order; with parts, in the
   * order of arrival.
   */
  arrived(input: number): readonly InputHandle[] {
    return this.#arrived[input]!;
  }
}
