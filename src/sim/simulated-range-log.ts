// The range log in memory, synchronous: the simulator decides when an append reaches it and when
// its answer arrives. Records are whatever the caller takes them for.

import { mergeRanges } from '../control/storage/merge-ranges.ts';

export type SimulatedRange<Record> = {
  readonly source: string;
  readonly partition: number;
  readonly batch: number;
  readonly record: Record;
};

export class SimulatedRangeLog<Record> {
  readonly #writers = new Map<string, SimulatedRange<Record>[]>();
  readonly #sealed = new Set<string>();
  #fencedBelow = 0;
  readonly #isSame: (a: Record, b: Record) => boolean;

  constructor(isSame: (a: Record, b: Record) => boolean) {
    this.#isSame = isSame;
  }

  /** The moment in which the records become durable, or do not: the writer is fenced. */
  append(
    writer: { readonly name: string; readonly term: number },
    records: readonly SimulatedRange<Record>[],
  ): 'durable' | 'fenced' {
    const { name, term } = writer;
    if (this.#sealed.has(name)) return 'fenced';
    const log = this.#writers.get(name) ?? [];
    if (!this.#writers.has(name) && term < this.#fencedBelow) return 'fenced';
    log.push(...records);
    this.#writers.set(name, log);
    return 'durable';
  }

  /** No writer of a lesser term that has not appended yet does so any more. */
  fence(term: number): void {
    this.#fencedBelow = Math.max(this.#fencedBelow, term);
  }

  seal(writer: string): void {
    this.#sealed.add(writer);
  }

  writers(): readonly string[] {
    return [...new Set([...this.#writers.keys(), ...this.#sealed])];
  }

  /** Ascending by batch, source, partition; each record once. Throws `range-log-conflict`. */
  read(afterBatch: number): readonly SimulatedRange<Record>[] {
    return mergeRanges([...this.#writers.values()].flat(), afterBatch, (a, b) =>
      this.#isSame(a.record, b.record),
    );
  }

  release(throughBatch: number): void {
    for (const [writer, log] of this.#writers) {
      const kept = log.filter(({ batch }) => batch > throughBatch);
      if (kept.length > 0) this.#writers.set(writer, kept);
      else this.#writers.delete(writer);
    }
  }
}
