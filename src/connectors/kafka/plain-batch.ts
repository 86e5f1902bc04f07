// Record batches of what the connector keeps for itself in topics of its own: values without keys
// or with, not compressed, few at a time. Data of users has its own, faster ways in and out.
// [Kafka protocol: record, https://kafka.apache.org/documentation/#record]

import type { KafkaCodecs } from '../../ports/kafka-wire.ts';
import { batchHeadAt, batchHeadBytes, crcFromByte, writeBatchHead } from './record-batch.ts';

export type PlainRecord = { readonly key: Uint8Array | null; readonly value: Uint8Array | null };

export type PlainRecordAt = PlainRecord & { readonly offset: number };

/** Of no producer: the broker takes a repetition for something new. */
export function encodePlainBatch(
  records: readonly PlainRecord[],
  { timestampMs, crc32c }: { readonly timestampMs: number } & Pick<KafkaCodecs, 'crc32c'>,
): Uint8Array {
  const bodies = records.map(encodeRecord);
  const length = bodies.reduce((sum, body) => sum + varintBytes(body.length) + body.length, 0);
  const bytes = new Uint8Array(batchHeadBytes + length);
  let at = batchHeadBytes;
  for (const body of bodies) {
    at = writeVarint(bytes, at, body.length);
    bytes.set(body, at);
    at += body.length;
  }
  writeBatchHead(bytes, {
    baseOffset: 0,
    leaderEpoch: -1,
    magic: 2,
    compression: 'none',
    appendTime: false,
    transactional: false,
    control: false,
    lastOffsetDelta: records.length - 1,
    baseTimestampMs: timestampMs,
    maxTimestampMs: timestampMs,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    records: records.length,
  });
  const crc = crc32c(bytes, crcFromByte, bytes.length);
  new DataView(bytes.buffer).setUint32(crcFromByte - 4, crc);
  return bytes;
}

/** Null: it is damaged, or not one that was written here. */
export function decodePlainBatches(
  bytes: Uint8Array,
  fromOffset: number,
  { crc32c }: Pick<KafkaCodecs, 'crc32c'>,
): { readonly records: readonly PlainRecordAt[]; readonly next: number } | null {
  const records: PlainRecordAt[] = [];
  let next = fromOffset;
  for (let at = 0; ;) {
    const head = batchHeadAt(bytes, at);
    if (head === null) return { records, next };
    const end = at + head.bytes;
    if (crc32c(bytes, at + crcFromByte, end) !== head.crc) return null;
    if (head.magic !== 2 || head.compression !== 'none') return null;
    if (!head.control) {
      const from = new VarintReader(bytes, at + batchHeadBytes, end);
      for (let index = 0; index < head.records; index++) {
        const record = readRecord(from);
        if (record === null) return null;
        const offset = head.baseOffset + record.offsetDelta;
        if (offset >= fromOffset) records.push({ key: record.key, value: record.value, offset });
      }
    }
    next = Math.max(next, head.baseOffset + head.lastOffsetDelta + 1);
    at = end;
  }
}

function encodeRecord({ key, value }: PlainRecord, index: number): Uint8Array {
  const keyLength = key?.length ?? -1;
  const valueLength = value?.length ?? -1;
  // Attributes, no difference in time, and no headers: a byte each.
  const bytes = new Uint8Array(
    3 +
      varintBytes(index) +
      varintBytes(keyLength) +
      varintBytes(valueLength) +
      Math.max(0, keyLength) +
      Math.max(0, valueLength),
  );
  let at = writeVarint(bytes, 2, index);
  at = writeVarint(bytes, at, keyLength);
  if (key !== null) bytes.set(key, at);
  at = writeVarint(bytes, at + Math.max(0, keyLength), valueLength);
  if (value !== null) bytes.set(value, at);
  return bytes;
}

function readRecord(from: VarintReader): (PlainRecord & { readonly offsetDelta: number }) | null {
  const length = from.varint();
  const end = from.at + length;
  if (length < 7 || end > from.end) return null;
  from.at += 1;
  from.varint();
  const offsetDelta = from.varint();
  const key = from.bytes(from.varint());
  const value = from.bytes(from.varint());
  if (from.at > end) return null;
  from.at = end;
  return { key, value, offsetDelta };
}

class VarintReader {
  readonly #bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** Zigzag, at most 5 bytes; a longer one (a difference in time) loses its upper part. */
  varint(): number {
    let value = 0;
    for (let shift = 0; this.at < this.end; shift += 7) {
      const byte = this.#bytes[this.at++]!;
      if (shift < 32) value |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    return (value >>> 1) ^ -(value & 1);
  }

  bytes(length: number): Uint8Array | null {
    if (length < 0) return null;
    const from = this.at;
    this.at += length;
    return this.#bytes.slice(from, Math.min(this.at, this.end));
  }
}

function varintBytes(value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  let bytes = 1;
  while (rest >= 128) {
    rest >>>= 7;
    bytes++;
  }
  return bytes;
}

function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  while (rest >= 128) {
    bytes[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}
