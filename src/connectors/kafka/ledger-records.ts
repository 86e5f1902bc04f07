// Reads fetched batches record by record: for the ledger, whose records are few and small.

import type { KafkaCodecs } from '../../ports/kafka-wire.ts';
import { batchHeadAt, batchHeadBytes } from './record-batch.ts';
import type { BatchHead } from './record-batch.ts';

export type LedgerRecord =
  | {
      readonly kind: 'data';
      readonly offset: number;
      readonly producerId: number;
      readonly transactional: boolean;
      readonly key: string;
      readonly value: string;
    }
  /** The marker of a transaction's end. */
  | {
      readonly kind: 'end';
      readonly offset: number;
      readonly producerId: number;
      readonly committed: boolean;
    };

/** In order, up to the last whole batch; `next` is the offset behind it, -1: there is none. */
export function readRecords(
  bytes: Uint8Array,
  codecs: KafkaCodecs,
  { onRecord }: { readonly onRecord: (record: LedgerRecord) => void },
): { readonly next: number } {
  let next = -1;
  for (let at = 0; ;) {
    const head = batchHeadAt(bytes, at);
    if (head === null) return { next };
    const stored = bytes.subarray(at + batchHeadBytes, at + head.bytes);
    const { compression } = head;
    const plain =
      compression === null || compression === 'none'
        ? stored
        : codecs.decompress(compression, stored);
    readBatch(head, plain, onRecord);
    next = head.baseOffset + head.lastOffsetDelta + 1;
    at += head.bytes;
  }
}

function readBatch(
  head: BatchHead,
  bytes: Uint8Array,
  onRecord: (record: LedgerRecord) => void,
): void {
  const { producerId, transactional } = head;
  const reader = new Reader(bytes);
  for (let index = 0; index < head.records; index++) {
    const end = reader.varint() + reader.at;
    reader.at += 1;
    reader.skipVarint();
    const offset = head.baseOffset + reader.varint();
    const key = reader.bytes();
    const value = reader.bytes();
    reader.at = end;
    if (!head.control) {
      const texts = { key: text(key), value: text(value) };
      onRecord({ kind: 'data', offset, producerId, transactional, ...texts });
      continue;
    }
    // Version, then type: 0 abort, 1 commit; there are others that end nothing.
    const type = key.length < 4 ? -1 : (key[2]! << 8) | key[3]!;
    if (type === 0 || type === 1) {
      onRecord({ kind: 'end', offset, producerId, committed: type === 1 });
    }
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
  }

  skipVarint(): void {
    while (this.#bytes[this.at++]! >= 0x80);
  }

  /** Null is empty. */
  bytes(): Uint8Array {
    const length = Math.max(this.varint(), 0);
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }
}
