// The bytes of what a writer appends to the range log at once: a length, a checksum, records. In an
// object store a frame is an object, in a file frames follow each other; one that is cut off or
// damaged is told from one that is whole.

import { crc32 } from '../../base/crc32.ts';
import type { LoggedRange } from '../../ports/range-log.ts';
import { frameBytesMax, partitionsMax, rangesMax, textBytesMax } from '../limits.ts';
import { ByteReader } from '../protocol/byte-reader.ts';
import { ByteWriter } from '../protocol/byte-writer.ts';
import { sameBytes } from './same-bytes.ts';

export type RangeFrame =
  | {
      readonly kind: 'records';
      /** The greatest micro-batch of this frame and of all the writer's frames before it. */
      readonly throughBatch: number;
      readonly records: readonly LoggedRange[];
    }
  /** A driver's mark: the writer adds nothing behind it. */
  | { readonly kind: 'seal' };

/** Length and checksum. */
const headBytes = 8;
const recordsKind = 1;
const sealKind = 2;

export function encodeFrame(frame: RangeFrame): Uint8Array {
  const body = new ByteWriter();
  body.u8(frame.kind === 'records' ? recordsKind : sealKind);
  if (frame.kind === 'records') {
    body.varint(frame.throughBatch + 1);
    body.varint(frame.records.length);
    for (const { source, partition, batch, record } of frame.records) {
      body.text(source, textBytesMax);
      body.varint(partition);
      body.varint(batch + 1);
      body.bytes(record);
    }
  }
  const bytes = new Uint8Array(headBytes + body.length);
  let at = headBytes;
  for (const piece of body.finish()) {
    bytes.set(piece, at);
    at += piece.length;
  }
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length - headBytes, true);
  view.setUint32(4, crc32(bytes.subarray(headBytes)), true);
  return bytes;
}

/** Of two records of one name. */
export function sameRange(a: LoggedRange, b: LoggedRange): boolean {
  return sameBytes(a.record, b.record);
}

/** Where the frame ends that starts at an offset, or null if none is whole there. */
export function frameEnd(bytes: Uint8Array, at = 0): number | null {
  if (bytes.length - at < headBytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(at, true);
  const from = at + headBytes;
  if (length === 0 || length > bytes.length - from) return null;
  const end = from + length;
  return crc32(bytes.subarray(from, end)) === view.getUint32(at + 4, true) ? end : null;
}

export type DecodedFrame = { readonly frame: RangeFrame; readonly end: number };

/**
 * The frame that starts at an offset, or null if none is whole there. Without its records, if none
 * of them is of a micro-batch after `afterBatch`.
 */
export function decodeFrame(bytes: Uint8Array, at = 0, afterBatch = -1): DecodedFrame | null {
  const end = frameEnd(bytes, at);
  if (end === null) return null;
  const reader = new ByteReader(bytes.subarray(at + headBytes, end));
  const frame = readFrame(reader, afterBatch);
  const isBefore = frame.kind === 'records' && frame.throughBatch <= afterBatch;
  if (isBefore && reader.ok) return { frame, end };
  const decoded = reader.finish(frame);
  return decoded.ok ? { frame: decoded.value, end } : null;
}

function readFrame(from: ByteReader, afterBatch: number): RangeFrame {
  if (from.u8('kind') === sealKind) return { kind: 'seal' };
  const throughBatch = from.varint('micro-batch') - 1;
  if (throughBatch <= afterBatch) return { kind: 'records', throughBatch, records: [] };
  const count = from.count('records', rangesMax * 1024);
  const records: LoggedRange[] = [];
  for (let index = 0; index < count && from.ok; index++) {
    const source = from.text('source', textBytesMax);
    const partition = from.varint('partition', partitionsMax);
    const batch = from.varint('micro-batch') - 1;
    records.push({ source, partition, batch, record: from.bytes('record', frameBytesMax) });
  }
  return { kind: 'records', throughBatch, records };
}
