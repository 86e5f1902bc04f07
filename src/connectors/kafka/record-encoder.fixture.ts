// Record batches for tests, written field by field from the protocol's documentation and sharing
// nothing with the code under test; also CRC-32C, bit by bit.
// [https://kafka.apache.org/documentation/#recordbatch]

import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { KafkaCodecs, KafkaCompression } from '../../ports/kafka-wire.ts';

export type TestRecord = {
  /** Absolute. */
  readonly offset: number;
  readonly value: Uint8Array | string | null;
  readonly key?: Uint8Array | string | null;
  readonly timestampMs?: number;
  readonly headers?: readonly (readonly [string, Uint8Array | string | null])[];
};

export type TestBatch = {
  readonly records: readonly TestRecord[];
  /** Default: the first record's offset; lower where compaction took the first ones. */
  readonly baseOffset?: number;
  /** Default: the last record's offset. */
  readonly lastOffset?: number;
  readonly compression?: KafkaCompression;
  readonly appendTimeMs?: number;
  readonly producerId?: number;
  readonly transactional?: boolean;
  /** A marker: its only record is made here. */
  readonly marker?: 'commit' | 'abort';
};

export function encodeBatch(batch: TestBatch): Uint8Array<ArrayBuffer> {
  const { marker, compression = 'none', appendTimeMs, producerId = -1 } = batch;
  const records =
    marker === undefined
      ? batch.records
      : [{ offset: batch.baseOffset!, key: markerKey(marker), value: new Uint8Array(6) }];
  const base = batch.baseOffset ?? records[0]!.offset;
  const last = batch.lastOffset ?? records.at(-1)?.offset ?? base;
  const times = records.map(({ timestampMs = 1000 }) => timestampMs);
  const baseMs = times[0] ?? 1000;
  const plain = Buffer.concat(
    records.map((record, index) => encodeRecord(record, { base, deltaMs: times[index]! - baseMs })),
  );
  const body = Buffer.from(testCodecs.compress(compression, plain));
  const head = Buffer.alloc(61);
  const kinds = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
  const isTransactional = batch.transactional === true || marker !== undefined;
  head.writeBigInt64BE(BigInt(base), 0);
  head.writeInt32BE(49 + body.length, 8);
  head.writeInt32BE(3, 12);
  head.writeInt8(2, 16);
  head.writeInt16BE(
    kinds.indexOf(compression) +
      (appendTimeMs === undefined ? 0 : 8) +
      (isTransactional ? 16 : 0) +
      (marker === undefined ? 0 : 32),
    21,
  );
  head.writeInt32BE(last - base, 23);
  head.writeBigInt64BE(BigInt(baseMs), 27);
  head.writeBigInt64BE(BigInt(appendTimeMs ?? Math.max(baseMs, ...times)), 35);
  head.writeBigInt64BE(BigInt(producerId), 43);
  head.writeInt16BE(producerId < 0 ? -1 : 0, 51);
  head.writeInt32BE(producerId < 0 ? -1 : 0, 53);
  head.writeInt32BE(records.length, 57);
  const whole = Buffer.concat([head, body]);
  whole.writeUInt32BE(crc32c(whole, 21, whole.length), 17);
  return new Uint8Array(whole);
}

function markerKey(marker: 'commit' | 'abort'): Uint8Array {
  return Uint8Array.from([0, 0, 0, marker === 'commit' ? 1 : 0]);
}

function encodeRecord(
  { offset, key = null, value, headers = [] }: TestRecord,
  { base, deltaMs }: { readonly base: number; readonly deltaMs: number },
): Buffer {
  const body = Buffer.concat([
    Buffer.from([0]),
    varint(deltaMs),
    varint(offset - base),
    sized(key),
    sized(value),
    varint(headers.length),
    ...headers.flatMap(([name, each]) => [sized(name), sized(each)]),
  ]);
  return Buffer.concat([varint(body.length), body]);
}

function sized(value: Uint8Array | string | null): Buffer {
  if (value === null) return varint(-1);
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  let rest = value < 0 ? BigInt(-value) * 2n - 1n : BigInt(value) * 2n;
  const bytes: number[] = [];
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0xffffffff;
  for (let at = from; at < to; at++) {
    crc ^= bytes[at]!;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

export const testCodecs: KafkaCodecs = {
  crc32c,
  compress: (by, bytes) => {
    if (by === 'none') return bytes;
    if (by === 'gzip') return gzipSync(bytes);
    if (by === 'zstd') return zstdCompressSync(bytes);
    throw new Error(`the fixture cannot ${by}`);
  },
  decompress: (by, bytes) => {
    if (by === 'gzip') return new Uint8Array(gunzipSync(bytes));
    if (by === 'zstd') return new Uint8Array(zstdDecompressSync(bytes));
    throw new Error(`the fixture cannot ${by}`);
  },
};
