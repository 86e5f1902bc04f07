// Columns of state as they were written, in the same order. Trusts nothing: a column of another
// type or length than expected, and values that break a promise, are `state-damaged`.

import type { Vector } from '../columnar/batch.ts';
import { columnCodes, columnHeadBytes, padded, snapshotBytesMax } from './column-writer.ts';
import { damagedState } from './snapshot-errors.ts';

/** Columns come as views of the bytes. */
export class ColumnReader {
  readonly #bytes: Uint8Array;
  #at: number;
  readonly #end: number;

  /** Reads bytes[start, end); `start` is a multiple of 8 in the buffer. */
  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#end;
  }

  /** Refuses a number of rows that the columns ahead cannot hold, before memory is taken for it. */
  expectRows(count: number): void {
    if (count < 0 || count > this.#end - this.#at) throw damagedState('a count is impossible');
  }

  /** `count`: as many as there must be; missing: as many as there are. */
  u8(count?: number): Uint8Array {
    const column = this.#next('u8', 1, count);
    return new Uint8Array(column.buffer, column.at, column.count);
  }

  i32(count?: number): Int32Array {
    const column = this.#next('i32', 4, count);
    return new Int32Array(column.buffer, column.at, column.count);
  }

  f64(count?: number): Float64Array {
    const column = this.#next('f64', 8, count);
    return new Float64Array(column.buffer, column.at, column.count);
  }

  i64(count?: number): BigInt64Array {
    const column = this.#next('i64', 8, count);
    return new BigInt64Array(column.buffer, column.at, column.count);
  }

  flags(count: number): Uint8Array {
    const values = this.u8();
    for (const value of values) if (value > 1) throw damagedState('a flag is neither 0 nor 1');
    if (values.length === count) return values;
    if (values.length !== 1 || count > snapshotBytesMax) {
      throw damagedState('a column has another length');
    }
    return new Uint8Array(count).fill(values[0]!);
  }

  /** Row numbers, each greater than the one before it and less than `end`. */
  rows(end: number): Int32Array {
    const rows = this.i32();
    let last = -1;
    for (const row of rows) {
      if (row <= last || row >= end) throw damagedState('a row is out of order');
      last = row;
    }
    return rows;
  }

  vector(kind: Vector['kind'], count: number): Vector {
    switch (kind) {
      case 'number':
        return { kind, values: this.f64(count), valid: this.#valid(count) };
      case 'int32':
        return { kind, values: this.i32(count), valid: this.#valid(count) };
      case 'int64':
        return { kind, values: this.i64(count), valid: this.#valid(count) };
      case 'boolean':
        return { kind, values: this.flags(count), valid: this.#valid(count) };
      case 'string': {
        const offsets = this.i32(count + 1);
        const bytes = this.u8();
        checkOffsets(offsets, bytes.length);
        return { kind, offsets, bytes, valid: this.#valid(count) };
      }
    }
  }

  #valid(count: number): Uint8Array | null {
    const valid = this.flags(count);
    return valid.includes(0) ? valid : null;
  }

  #next(kind: keyof typeof columnCodes, width: number, expected: number | undefined): Place {
    const { buffer, byteOffset } = this.#bytes;
    const room = this.#end - this.#at - columnHeadBytes;
    if (room < 0) throw damagedState('a column is missing');
    const [code, count] = new Uint32Array(buffer, byteOffset + this.#at, 2);
    if (code !== columnCodes[kind]) throw damagedState('a column has another type');
    const size = padded(count! * width);
    if (size > room) throw damagedState('a column is cut off');
    if (expected !== undefined && count !== expected) {
      throw damagedState('a column has another length');
    }
    const at = byteOffset + this.#at + columnHeadBytes;
    this.#at += columnHeadBytes + size;
    return { buffer, at, count: count! };
  }
}

type Place = { readonly buffer: ArrayBufferLike; readonly at: number; readonly count: number };

function checkOffsets(offsets: Int32Array, length: number): void {
  let last = 0;
  if (offsets[0] !== 0) throw damagedState('string offsets do not start at 0');
  for (const offset of offsets) {
    if (offset < last) throw damagedState('string offsets go back');
    last = offset;
  }
  if (last !== length) throw damagedState('string offsets do not end at the last byte');
}
