// Reads fetched batches record by record: for the ledger, whose records are few and small.

import type { KafkaCodecs } from '../../ports/kafka-wire.ts';
import type { BatchHead } from './record-batch.ts';
import { readBatches } from './read-batches.ts';
import type { OpenBatch } from './read-batches.ts';
import type { Span } from './record-walk.ts';

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
  return { next: readBatches(bytes, codecs, (head, open) => readBatch(head, open(), onRecord)) };
}

function readBatch(
  head: BatchHead,
  { bytes, walk }: OpenBatch,
  onRecord: (record: LedgerRecord) => void,
): void {
  const { producerId, transactional } = head;
  while (walk.next()) {
    const { offset } = walk;
    const key = fieldOf(bytes, walk.key);
    if (!head.control) {
      const texts = { key: text(key), value: text(fieldOf(bytes, walk.value)) };
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

/** Null is empty. */
function fieldOf(bytes: Uint8Array, { start, end }: Span): Uint8Array {
  return bytes.subarray(start, Math.max(start, end));
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
