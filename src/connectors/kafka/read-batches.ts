// Goes through the batches of a fetched answer one by one: for topics of which few are read.

import type { KafkaCodecs } from '../../ports/kafka-wire.ts';
import { batchHeadAt, batchHeadBytes } from './record-batch.ts';
import type { BatchHead } from './record-batch.ts';
import { RecordWalk } from './record-walk.ts';

/** A batch's records, decompressed; the walk stands before the first of them. */
export type OpenBatch = { readonly bytes: Uint8Array; readonly walk: RecordWalk };

/**
 * In order, up to the last whole batch; gives the offset behind it, -1: there is none. `open`
 * decompresses: only for batches that are to be read.
 */
export function readBatches(
  bytes: Uint8Array,
  codecs: KafkaCodecs,
  onBatch: (head: BatchHead, open: () => OpenBatch) => void,
): number {
  let next = -1;
  for (let at = 0; ;) {
    const head = batchHeadAt(bytes, at);
    if (head === null) return next;
    const stored = bytes.subarray(at + batchHeadBytes, at + head.bytes);
    onBatch(head, () => opened(head, stored, codecs));
    next = head.baseOffset + head.lastOffsetDelta + 1;
    at += head.bytes;
  }
}

function opened(head: BatchHead, stored: Uint8Array, codecs: KafkaCodecs): OpenBatch {
  const { compression, records: count, baseOffset } = head;
  const isPlain = compression === null || compression === 'none';
  const bytes = isPlain ? stored : codecs.decompress(compression, stored);
  return { bytes, walk: new RecordWalk(bytes, { from: 0, to: bytes.length, count, baseOffset }) };
}
