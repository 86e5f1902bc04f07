// Bytes of record batches as a broker makes them by itself: markers of the end of a transaction,
// and batches of which compaction has taken records. Only what is not compressed is looked into.
// [Kafka protocol: record batch, https://kafka.apache.org/documentation/#recordbatch]

import type { BatchHead } from '../../connectors/kafka/record-batch.ts';
import { batchHeadAt, batchHeadBytes, crcFromByte } from '../../connectors/kafka/record-batch.ts';
import { writeBatchHead } from '../../connectors/kafka/record-batch.ts';

export type Marker = {
  readonly producerId: number;
  readonly epoch: number;
  readonly coordinatorEpoch: number;
  readonly committed: boolean;
  /** KIP-890: its epoch is the next one, not that of the transaction. */
  readonly bumps: boolean;
};

/** One record of a batch that is not compressed. */
export type RawRecord = {
  readonly offset: number;
  readonly timestampMs: number;
  /** Null: it has none. */
  readonly key: Uint8Array | null;
  /** Null: a tombstone. */
  readonly value: Uint8Array | null;
  /** The record with its length, as it stands in the batch. */
  readonly bytes: Uint8Array;
};

export function markerBytes(marker: Marker, nowMs: number): Uint8Array {
  const { producerId, epoch, coordinatorEpoch, committed } = marker;
  // Length, attributes, two deltas, key of version and type, value of version and epoch, no header.
  const record = new Uint8Array(17);
  const view = new DataView(record.buffer);
  record.set([16 << 1, 0, 0, 0, 4 << 1]);
  view.setInt16(5, 0);
  view.setInt16(7, committed ? 1 : 0);
  view.setUint8(9, 6 << 1);
  view.setInt16(10, 0);
  view.setInt32(12, coordinatorEpoch);
  const head = {
    baseOffset: 0,
    leaderEpoch: 0,
    magic: 2,
    compression: 'none' as const,
    appendTime: false,
    transactional: true,
    control: true,
    lastOffsetDelta: 0,
    baseSequence: -1,
    records: 1,
    baseTimestampMs: Math.floor(nowMs),
    maxTimestampMs: Math.floor(nowMs),
    producerId,
    producerEpoch: epoch,
  };
  return batchOfRecords(head, [record]);
}

/** The same batch with some records only: offsets stay, whatever is taken away. */
export function keepRecords(bytes: Uint8Array, keep: (record: RawRecord) => boolean): Uint8Array {
  const head = headOf(bytes);
  const kept = rawRecords(bytes).filter(keep);
  const records = kept.map((record) => record.bytes);
  return batchOfRecords({ ...head, records: kept.length }, records);
}

export function rawRecords(bytes: Uint8Array): readonly RawRecord[] {
  const head = headOf(bytes);
  if (head.compression !== 'none') throw new Error('a compressed batch is not looked into');
  const records: RawRecord[] = [];
  const cursor = { at: batchHeadBytes };
  for (let index = 0; index < head.records; index++) {
    const begin = cursor.at;
    const length = varint(bytes, cursor);
    const end = cursor.at + length;
    cursor.at++;
    const timestampMs = head.baseTimestampMs + varint(bytes, cursor);
    const offset = head.baseOffset + varint(bytes, cursor);
    const key = field(bytes, cursor);
    const value = field(bytes, cursor);
    records.push({ offset, timestampMs, key, value, bytes: bytes.subarray(begin, end) });
    cursor.at = end;
  }
  return records;
}

export function headOf(bytes: Uint8Array): BatchHead {
  const head = batchHeadAt(bytes, 0);
  if (head === null) throw new Error('there is no whole batch');
  return head;
}

/** A batch of records that are encoded, with its checksum. */
export function batchOfRecords(
  head: Omit<BatchHead, 'bytes' | 'crc'>,
  records: readonly Uint8Array[],
): Uint8Array {
  const length = records.reduce((sum, record) => sum + record.length, batchHeadBytes);
  const bytes = new Uint8Array(length);
  let at = batchHeadBytes;
  for (const record of records) {
    bytes.set(record, at);
    at += record.length;
  }
  writeBatchHead(bytes, head);
  new DataView(bytes.buffer).setUint32(17, crc32c(bytes, crcFromByte, bytes.length));
  return bytes;
}

/** By its definition [RFC 3720, B.4], bytewise. */
export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0xffff_ffff;
  for (let at = from; at < to; at++) crc = crcTable[(crc ^ bytes[at]!) & 255]! ^ (crc >>> 8);
  return (crc ^ 0xffff_ffff) >>> 0;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f6_3b78;
  return crc >>> 0;
});

function field(bytes: Uint8Array, cursor: { at: number }): Uint8Array | null {
  const length = varint(bytes, cursor);
  if (length < 0) return null;
  cursor.at += length;
  return bytes.subarray(cursor.at - length, cursor.at);
}

/** Zigzag, of up to 64 bits; beyond 2⁵³ it is not exact. */
function varint(bytes: Uint8Array, cursor: { at: number }): number {
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = bytes[cursor.at++]!;
    value += (byte & 127) * factor;
    if (byte < 128) break;
  }
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
