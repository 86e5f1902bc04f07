// Which batches of a fetched answer hold records that may be seen: not markers, and in
// `read-committed` not those of transactions that were aborted.
//
// The answer lists the aborted transactions that reach into it, by producer and first offset. From
// there on a producer's transactional batches are hidden, until its abort marker.
// [KIP-98, https://cwiki.apache.org/confluence/x/5IxbAw]

import type { AbortedTransaction } from '../../ports/kafka-wire.ts';
import { batchHeadBytes } from './record-batch.ts';
import type { BatchHead } from './record-batch.ts';
import { RecordWalk } from './record-walk.ts';

export class VisibleBatches {
  readonly #aborted: readonly AbortedTransaction[];
  readonly #hidden = new Set<number>();
  #next = 0;

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#aborted = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  }

  /** To be asked of all batches of an answer in order, once each. */
  isVisible(bytes: Uint8Array, at: number, head: BatchHead): boolean {
    const { control, transactional, producerId } = head;
    const lastOffset = head.baseOffset + head.lastOffsetDelta;
    while ((this.#aborted[this.#next]?.firstOffset ?? Infinity) <= lastOffset) {
      this.#hidden.add(this.#aborted[this.#next++]!.producerId);
    }
    if (!control) return !(transactional && this.#hidden.has(producerId));
    if (isAbort(bytes, at, head)) this.#hidden.delete(producerId);
    return false;
  }
}

/** A marker's key: its version and its kind, two bytes each; kind 0 is an abort. */
function isAbort(bytes: Uint8Array, at: number, { bytes: size, baseOffset }: BatchHead): boolean {
  const span = { from: at + batchHeadBytes, to: at + size, count: 1, baseOffset };
  const walk = new RecordWalk(bytes, span);
  if (!walk.next()) return false;
  const { start, end } = walk.key;
  return end - start >= 4 && bytes[start + 2] === 0 && bytes[start + 3] === 0;
}
