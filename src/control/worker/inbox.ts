// What has come for one task: the parts of every producer of every input exchange. Arrivals are
// recorded here before anybody asks who waits for them, so it does not matter whether the schedule
// or the block came first.

import { assert } from '../../base/assert.ts';
import type { BlockEntry } from '../protocol/messages.ts';
import type { ProducerRange } from '../protocol/routing.ts';
import type { InputHandle } from './events.ts';

export class Inbox {
  readonly #hasParts: boolean;
  readonly #producers: readonly ProducerRange[];
  /** By input of the stage: producers whose last part is not here. */
  readonly #missing: number[];
  /** Inputs that miss a producer. */
  #incomplete: number;
  readonly #arrived: InputHandle[][];
  /** By input and producer: the part that comes next, Infinity behind the last. */
  readonly #nextParts: number[][];

  /** `producers`: by input of the stage, who feeds the partition. */
  constructor(producers: readonly ProducerRange[], hasParts: boolean) {
    this.#hasParts = hasParts;
    this.#producers = producers;
    this.#missing = producers.map(({ first, end }) => end - first);
    this.#incomplete = this.#missing.filter((count) => count > 0).length;
    this.#arrived = producers.map(() => []);
    this.#nextParts = this.#missing.map((count) => new Array<number>(count).fill(0));
  }

  /** Every producer has given its last part. */
  get complete(): boolean {
    return this.#incomplete === 0;
  }

  /** The partition waits for the producer. */
  awaits(input: number, producer: number): boolean {
    const { first, end } = this.#producers[input]!;
    return producer >= first && producer < end;
  }

  /** Records one producer's part; false when it is here already. */
  arrive(input: number, { producer, part, last, output }: BlockEntry): boolean {
    assert(this.awaits(input, producer), `input ${input} has no such producer`);
    const next = this.#nextParts[input]!;
    const index = producer - this.#producers[input]!.first;
    if (part < next[index]!) return false;
    assert(part === next[index], `input ${input} lost a part of producer ${producer}`);
    this.#arrived[input]!.push({ producer, output });
    next[index] = last ? Infinity : part + 1;
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
