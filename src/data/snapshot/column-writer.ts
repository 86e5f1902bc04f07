// State as columns: each an element type, a count and the elements, padded with zeros to 8 bytes.
// Columns are gathered as views and copied once, when the size of the whole is known; so what they
// view must not change before.

import type { Vector } from '../columnar/batch.ts';
import { tooLargeState } from './snapshot-errors.ts';

/** Element types by the code that a column starts with. */
export const columnCodes = { u8: 1, i32: 2, f64: 3, i64: 4 } as const;

export const columnHeadBytes = 8;

/** Bytes of one snapshot: offsets into it fit in 31 bits. */
export const snapshotBytesMax = 2 ** 31 - 8;

type Column =
  | { readonly kind: 'u8'; readonly values: Uint8Array }
  | { readonly kind: 'i32'; readonly values: Int32Array }
  | { readonly kind: 'f64'; readonly values: Float64Array }
  | { readonly kind: 'i64'; readonly values: BigInt64Array };

export class ColumnWriter {
  readonly #columns: Column[] = [];
  /** Bytes of all columns. */
  byteLength = 0;

  u8(values: Uint8Array): void {
    this.#add({ kind: 'u8', values });
  }

  i32(values: Int32Array): void {
    this.#add({ kind: 'i32', values });
  }

  /** Every NaN becomes the one NaN. */
  f64(values: Float64Array): void {
    this.#add({ kind: 'f64', values });
  }

  i64(values: BigInt64Array): void {
    this.#add({ kind: 'i64', values });
  }

  numbers(...values: readonly number[]): void {
    this.f64(Float64Array.from(values));
  }

  counts(...values: readonly number[]): void {
    this.i32(Int32Array.from(values));
  }

  /** Zeros and ones; where all are alike, one of them. */
  flags(values: Uint8Array): void {
    const first = values[0] ?? 0;
    this.u8(values.length > 1 && !values.includes(first ^ 1) ? values.subarray(0, 1) : values);
  }

  /** Rows [from, to) of a vector: its values, or offsets and bytes, then its flags. */
  vector(vector: Vector, from: number, to: number): void {
    switch (vector.kind) {
      case 'number':
        this.f64(vector.values.subarray(from, to));
        break;
      case 'int32':
        this.i32(vector.values.subarray(from, to));
        break;
      case 'int64':
        this.i64(vector.values.subarray(from, to));
        break;
      case 'boolean':
        this.flags(vector.values.subarray(from, to));
        break;
      case 'string': {
        const { offsets, bytes } = vector;
        const start = offsets[from]!;
        const shifted = offsets.subarray(from, to + 1);
        this.i32(start === 0 ? shifted : shifted.map((offset) => offset - start));
        this.u8(bytes.subarray(start, offsets[to]));
        break;
      }
    }
    this.flags(vector.valid === null ? allValid(to - from) : vector.valid.subarray(from, to));
  }

  /** Copies all columns to `out` from `at` on, a multiple of 8 in the buffer; gives the end. */
  copyTo(out: Uint8Array, at: number): number {
    const { buffer, byteOffset } = out;
    let end = at;
    for (const { kind, values } of this.#columns) {
      const head = new Uint32Array(buffer, byteOffset + end, 2);
      head[0] = columnCodes[kind];
      head[1] = values.length;
      const start = byteOffset + end + columnHeadBytes;
      switch (kind) {
        case 'u8':
          new Uint8Array(buffer, start, values.length).set(values);
          break;
        case 'i32':
          new Int32Array(buffer, start, values.length).set(values);
          break;
        case 'f64':
          copyNumbers(values, new Float64Array(buffer, start, values.length));
          break;
        case 'i64':
          new BigInt64Array(buffer, start, values.length).set(values);
          break;
      }
      end += columnBytes(values);
    }
    return end;
  }

  #add(column: Column): void {
    this.#columns.push(column);
    this.byteLength += columnBytes(column.values);
    if (this.byteLength > snapshotBytesMax) throw tooLargeState(this.byteLength);
  }
}

/** To a multiple of 8. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

function columnBytes(values: Column['values']): number {
  return columnHeadBytes + padded(values.byteLength);
}

function copyNumbers(values: Float64Array, out: Float64Array): void {
  out.set(values);
  if (areFinite(values)) return;
  for (let index = 0; index < values.length; index++) {
    // The sign and payload of a NaN depend on how it came about.
    if (values[index] !== values[index]) out[index] = NaN;
  }
}

/** In four lanes, so that no addition waits for the one before it. */
function areFinite(values: Float64Array): boolean {
  const whole = values.length & ~3;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  for (let at = 0; at < whole; at += 4) {
    // 0, or NaN for what is not finite, which stays.
    a += values[at]! - values[at]!;
    b += values[at + 1]! - values[at + 1]!;
    c += values[at + 2]! - values[at + 2]!;
    d += values[at + 3]! - values[at + 3]!;
  }
  for (let at = whole; at < values.length; at++) a += values[at]! - values[at]!;
  return a + b + c + d === 0;
}

function allValid(count: number): Uint8Array {
  return new Uint8Array(Math.min(count, 1)).fill(1);
}
