// Records one behind the other as they stand in a record batch (magic 2), and the batch around
// them. Who sends it, and its number in the sequence, are written last: they may change when it is
// sent again. [https://kafka.apache.org/documentation/#record]

import { assert } from '../../base/assert.ts';
import type { KafkaCodecs, KafkaCompression, ProducerIdentity } from '../../ports/kafka-wire.ts';
import { ByteWriter } from '../byte-writer.ts';
import { batchHeadBytes, crcFromByte, writeBatchHead } from './record-batch.ts';
import type { TextColumn } from './text-column.ts';

/** What a record is made of; a column that is null is null in every row. */
export type RecordColumns = {
  readonly key: TextColumn | null;
  readonly value: TextColumn;
  /** With their number in front. */
  readonly headers: TextColumn | null;
};

/** A batch that lacks its head. */
export type RecordBatch = {
  readonly partition: number;
  /** Room for the head, and the records, compressed. */
  readonly bytes: Uint8Array;
  readonly compression: KafkaCompression;
  readonly records: number;
  readonly baseTimestampMs: number;
  readonly maxTimestampMs: number;
};

export type BatchSender = ProducerIdentity & {
  /** Of the first record; -1 without identity. */
  readonly sequence: number;
  readonly transactional: boolean;
};

/** By `writeBatchHead`, and behind the magic. */
const crcAt = 17;

export class RecordBuffer {
  readonly partition: number;
  /** A header more for the first record, as it stands there; null: none. */
  readonly #mark: Uint8Array | null;
  readonly #writer = new ByteWriter();
  #records = 0;
  #baseTimestampMs = 0;
  #maxTimestampMs = 0;

  constructor(partition: number, mark: Uint8Array | null = null) {
    this.partition = partition;
    this.#mark = mark;
    this.#writer.length = batchHeadBytes;
  }

  get length(): number {
    return this.#writer.length;
  }

  get records(): number {
    return this.#records;
  }

  put(row: number, { key, value, headers }: RecordColumns, timestampMs: number): void {
    const writer = this.#writer;
    if (this.#records === 0) {
      this.#baseTimestampMs = timestampMs;
      this.#maxTimestampMs = timestampMs;
    }
    if (timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = timestampMs;
    const delta = timestampMs - this.#baseTimestampMs;
    const keyLength = lengthOf(key, row);
    const valueLength = lengthOf(value, row);
    const marked = this.#records === 0 ? this.#marked(headers, row) : null;
    const headerBytes = marked?.length ?? (headers === null ? 1 : lengthOf(headers, row));
    const length =
      1 +
      varlongBytes(delta) +
      varintBytes(this.#records) +
      varintBytes(keyLength) +
      Math.max(keyLength, 0) +
      varintBytes(valueLength) +
      Math.max(valueLength, 0) +
      headerBytes;
    putVarint(writer, length);
    const from = writer.length;
    // The attributes: none are in use.
    writer.putByte(0);
    putVarlong(writer, delta);
    putVarint(writer, this.#records);
    putVarint(writer, keyLength);
    if (keyLength > 0) putRow(writer, key!, row);
    putVarint(writer, valueLength);
    if (valueLength > 0) putRow(writer, value, row);
    if (marked !== null) writer.putBytes(marked, 0, marked.length);
    else if (headers === null) writer.putByte(0);
    else putRow(writer, headers, row);
    assert(writer.length === from + length, 'a record is as long as it says');
    this.#records++;
  }

  /** The buffer may not be used afterwards. */
  finish(compression: KafkaCompression, codecs: KafkaCodecs): RecordBatch {
    return {
      partition: this.partition,
      bytes: this.#bytes(compression, codecs),
      compression,
      records: this.#records,
      baseTimestampMs: this.#baseTimestampMs,
      maxTimestampMs: this.#maxTimestampMs,
    };
  }

  /** The headers with the mark among them; null: there is none to add. */
  #marked(headers: TextColumn | null, row: number): Uint8Array | null {
    if (this.#mark === null) return null;
    const writer = new ByteWriter();
    if (headers === null) putVarint(writer, 1);
    else {
      const { bytes, offsets, gap } = headers;
      const start = offsets[row]!;
      const count = varintAt(bytes, start);
      putVarint(writer, count.value + 1);
      writer.putBytes(bytes, start + count.bytes, offsets[row + 1]! - gap);
    }
    writer.putBytes(this.#mark, 0, this.#mark.length);
    return writer.bytes.subarray(0, writer.length);
  }

  #bytes(compression: KafkaCompression, codecs: KafkaCodecs): Uint8Array {
    const plain = this.#writer.bytes.subarray(0, this.#writer.length);
    if (compression === 'none') return plain;
    const packed = codecs.compress(compression, plain.subarray(batchHeadBytes));
    const bytes = new Uint8Array(batchHeadBytes + packed.length);
    bytes.set(packed, batchHeadBytes);
    return bytes;
  }
}

/** What a record may need in a batch: lengths, offset and time are of five bytes, or ten. */
export function bytesAtMost({ key, value, headers }: RecordColumns, row: number): number {
  const texts = lengthOf(key, row) + lengthOf(value, row) + lengthOf(headers, row);
  return texts + 36;
}

/**
 * The whole batch, ready to be sent. A copy: a former one may still be on its way out of this
 * process, and must not become one of a newer epoch there.
 */
export function sealed(batch: RecordBatch, sender: BatchSender, codecs: KafkaCodecs): Uint8Array {
  const bytes = batch.bytes.slice();
  writeBatchHead(bytes, {
    baseOffset: 0,
    leaderEpoch: -1,
    magic: 2,
    compression: batch.compression,
    appendTime: false,
    transactional: sender.transactional,
    control: false,
    lastOffsetDelta: batch.records - 1,
    baseTimestampMs: batch.baseTimestampMs,
    maxTimestampMs: batch.maxTimestampMs,
    producerId: sender.producerId,
    producerEpoch: sender.epoch,
    baseSequence: sender.sequence,
    records: batch.records,
  });
  const crc = codecs.crc32c(bytes, crcFromByte, bytes.length);
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(crcAt, crc);
  return bytes;
}

/** Signed, of 32 bits: small numbers of either sign are short. */
export function putVarint(writer: ByteWriter, value: number): void {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (; rest > 0x7f; rest >>>= 7) writer.putByte((rest & 0x7f) | 0x80);
  writer.putByte(rest);
}

// Whole numbers up to 2⁵², doubled, are still exact.
function putVarlong(writer: ByteWriter, value: number): void {
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) writer.putByte((rest % 128) | 0x80);
  writer.putByte(rest);
}

/** One that is not negative. */
function varintAt(
  bytes: Uint8Array,
  at: number,
): { readonly value: number; readonly bytes: number } {
  let value = 0;
  let count = 0;
  do value |= (bytes[at + count]! & 0x7f) << (7 * count);
  while (bytes[at + count++]! > 0x7f);
  return { value: value >>> 1, bytes: count };
}

function varintBytes(value: number): number {
  let count = 1;
  for (let rest = ((value << 1) ^ (value >> 31)) >>> 0; rest > 0x7f; rest >>>= 7) count++;
  return count;
}

function varlongBytes(value: number): number {
  let count = 1;
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) count++;
  return count;
}

/** -1: null. */
function lengthOf(column: TextColumn | null, row: number): number {
  if (column === null || (column.valid !== null && column.valid[row] === 0)) return -1;
  return column.offsets[row + 1]! - column.gap - column.offsets[row]!;
}

function putRow(writer: ByteWriter, { bytes, offsets, gap }: TextColumn, row: number): void {
  writer.putBytes(bytes, offsets[row]!, offsets[row + 1]! - gap);
}
