// The hash of grouping keys: one function for rows and partials, in every producer and process, so
// that a key always meets in the same partition. 32 bits over the canonical value: numbers by value
// (int32 and float64 alike, -0 as 0, one NaN), int64 by its two words, strings and json by their
// UTF-8 bytes. The mixing is MurmurHash3's (Appleby, 2008). State and routing depend on it: a test
// pins its values. Partitions are taken from the high bits, table slots from the low ones.

import type { Vector } from '../columnar/batch.ts';

export const hashSeed = 0x2545f491;
export const nullHash = 0x6b43a9b5;

const float = new Float64Array(1);
const words = new Int32Array(float.buffer);
const wide = new BigInt64Array(float.buffer);

/** Adds the hash of one more key column. */
export function mixHash(hash: number, key: number): number {
  let k = Math.imul(key, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  const h = hash ^ Math.imul(k, 0x1b873593);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/** Spreads the bits: applied once, after the last key column. */
export function finishHash(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

export function hashNumber(value: number): number {
  const int = value | 0;
  if (int === value) return int;
  float[0] = value === value ? value : NaN;
  return mixHash(words[0]!, words[1]!);
}

export function hashInt64(value: bigint): number {
  wide[0] = value;
  return mixHash(words[0]!, words[1]!);
}

export function hashBoolean(value: boolean): number {
  return value ? 1 : 0;
}

/** Bytes are read little-endian, four at a time. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let h = end - start;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word =
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    let k = Math.imul(word, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let shift = 0; at < end; at++, shift += 8) tail |= bytes[at]! << shift;
  return h ^ Math.imul(tail, 0xcc9e2d51);
}

/**
 * A hash of a string's length and its first and last four bytes, for tables that were seen to do
 * with it. Never for routing.
 */
export function sampleHash(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length < 8) return hashBytes(bytes, start, end);
  const first =
    bytes[start]! |
    (bytes[start + 1]! << 8) |
    (bytes[start + 2]! << 16) |
    (bytes[start + 3]! << 24);
  const last =
    bytes[end - 4]! | (bytes[end - 3]! << 8) | (bytes[end - 2]! << 16) | (bytes[end - 1]! << 24);
  const mixed = Math.imul(first ^ length, 0x9e3779b1) ^ Math.imul(last, 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35) ^ (mixed >>> 13);
}

/** The partition a key belongs to; `count` below 2 ** 21. */
export function partitionOf(hash: number, count: number): number {
  return Math.floor(((hash >>> 0) * count) / 4294967296);
}

/** The hash of every row over some columns, as generated code computes it row by row. */
export function hashRows(vectors: readonly Vector[], rowCount: number, out: Int32Array): void {
  out.fill(hashSeed, 0, rowCount);
  for (const vector of vectors) mixVector(vector, rowCount, out);
  for (let row = 0; row < rowCount; row++) out[row] = finishHash(out[row]!);
}

function mixVector(vector: Vector, rowCount: number, out: Int32Array): void {
  for (let row = 0; row < rowCount; row++) out[row] = mixHash(out[row]!, hashAt(vector, row));
}

/** What one key column gives to `mixHash`. */
export function hashAt(vector: Vector, row: number): number {
  return vector.valid !== null && vector.valid[row] === 0 ? nullHash : hashValue(vector, row);
}

function hashValue(vector: Vector, row: number): number {
  switch (vector.kind) {
    case 'number':
    case 'int32':
    case 'boolean':
      return hashNumber(vector.values[row]!);
    case 'int64':
      return hashInt64(vector.values[row]!);
    case 'string':
      return hashBytes(vector.bytes, vector.offsets[row]!, vector.offsets[row + 1]!);
  }
}
