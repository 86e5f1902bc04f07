// A fetched answer from which ranges are read one after the other. It stays as it came: whoever
// reads writes into what he is given.

import type { AbortedTransaction, FetchedPartition } from '../../ports/kafka-wire.ts';
import { batchHeadAt } from './record-batch.ts';

type BatchSpan = {
  readonly at: number;
  readonly end: number;
  readonly first: number;
  readonly last: number;
  readonly control: boolean;
};

export class ReplayAnswer {
  readonly aborted: readonly AbortedTransaction[];
  /** Behind the last whole batch. */
  readonly next: number;
  readonly #fetched: FetchedPartition;
  readonly #from: number;
  readonly #batches: readonly BatchSpan[];

  /** `from`: the offset that was asked for. */
  constructor(fetched: FetchedPartition, from: number) {
    this.#fetched = fetched;
    this.#from = from;
    this.aborted = fetched.aborted;
    this.#batches = batchesIn(fetched.records);
    this.next = Math.max(from, ...this.#batches.slice(-1).map(({ last }) => last + 1));
  }

  covers(offset: number): boolean {
    return offset >= this.#from && offset < this.next;
  }

  /**
   * The batches with records in [from, to), with all markers in front of them, which say whose are
   * aborted, and the batch behind, which says that nothing is missing.
   */
  copyOf(from: number, to: number): Uint8Array {
    const wanted: BatchSpan[] = [];
    for (const batch of this.#batches) {
      if (batch.last >= from || batch.control) wanted.push(batch);
      if (batch.first >= to) break;
    }
    const { records } = this.#fetched;
    const bytes = new Uint8Array(wanted.reduce((sum, { at, end }) => sum + end - at, 0));
    let filled = 0;
    for (const { at, end } of wanted) {
      bytes.set(records.subarray(at, end), filled);
      filled += end - at;
    }
    return bytes;
  }

  /** Its memory may be used for something else. */
  release(): void {
    this.#fetched.release?.();
  }
}

function batchesIn(records: Uint8Array): readonly BatchSpan[] {
  const batches: BatchSpan[] = [];
  for (let at = 0; ;) {
    const head = batchHeadAt(records, at);
    if (head === null) return batches;
    const { baseOffset: first, lastOffsetDelta, control, bytes } = head;
    batches.push({ at, end: at + bytes, first, last: first + lastOffsetDelta, control });
    at += bytes;
  }
}
