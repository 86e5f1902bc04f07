// Accumulator storage: one value per group that can be changed in place, in typed arrays. All zero
// is the initial state: value 0 and, where the value may be null, `valid` 0, which means null.

import { unreachable } from '../../base/assert.ts';
import type { DataType } from '../../schema/data-type.ts';
import { vectorKind } from '../columnar/batch-builder.ts';
import type { Vector } from '../columnar/batch.ts';
import type { ColumnReader } from '../snapshot/column-reader.ts';
import type { ColumnWriter } from '../snapshot/column-writer.ts';
import { pickBigints, pickBytes, pickFloats, pickInts, putValues } from '../snapshot/row-set.ts';
import type { RowSet } from '../snapshot/row-set.ts';

export type Cells = NumberCells | Int32Cells | Int64Cells | BooleanCells;

/** Cells for a type that is no string; strings are kept by `SpanCells`. */
export function cellsOf(type: DataType): Cells {
  const kind = vectorKind(type);
  switch (kind) {
    case 'number':
      return new NumberCells();
    case 'int32':
      return new Int32Cells();
    case 'int64':
      return new Int64Cells();
    case 'boolean':
    case 'string':
      return new BooleanCells();
    default:
      return unreachable(kind);
  }
}

export class NumberCells {
  readonly kind = 'number';
  values: Float64Array = new Float64Array(0);
  valid: Uint8Array = new Uint8Array(0);

  grow(capacity: number): void {
    const values = new Float64Array(capacity);
    values.set(this.values);
    this.values = values;
    this.valid = grown(this.valid, capacity);
  }

  clear(from: number, to: number): void {
    this.values.fill(0, from, to);
    this.valid.fill(0, from, to);
  }

  /** The cells of `groups` as a vector; `nullable` says whether `valid` counts. */
  gather(groups: Int32Array, nullable: boolean): Vector {
    const values = new Float64Array(groups.length);
    const from = this.values;
    for (let index = 0; index < groups.length; index++) {
      const value = from[groups[index]!]!;
      // The sign and payload of a NaN depend on how it came about.
      values[index] = value === value ? value : NaN;
    }
    return { kind: 'number', values, valid: nullable ? gatherValid(this.valid, groups) : null };
  }

  save(to: ColumnWriter, groups: RowSet): void {
    to.f64(pickFloats(this.values, groups));
    to.flags(pickBytes(this.valid, groups));
  }

  load(from: ColumnReader, groups: RowSet): void {
    putValues(this.values, groups, from.f64(groups.count));
    putValues(this.valid, groups, from.flags(groups.count));
  }
}

export class Int32Cells {
  readonly kind = 'int32';
  values: Int32Array = new Int32Array(0);
  valid: Uint8Array = new Uint8Array(0);

  grow(capacity: number): void {
    const values = new Int32Array(capacity);
    values.set(this.values);
    this.values = values;
    this.valid = grown(this.valid, capacity);
  }

  clear(from: number, to: number): void {
    this.values.fill(0, from, to);
    this.valid.fill(0, from, to);
  }

  gather(groups: Int32Array, nullable: boolean): Vector {
    const values = new Int32Array(groups.length);
    for (let index = 0; index < groups.length; index++)
      values[index] = this.values[groups[index]!]!;
    return { kind: 'int32', values, valid: nullable ? gatherValid(this.valid, groups) : null };
  }

  save(to: ColumnWriter, groups: RowSet): void {
    to.i32(pickInts(this.values, groups));
    to.flags(pickBytes(this.valid, groups));
  }

  load(from: ColumnReader, groups: RowSet): void {
    putValues(this.values, groups, from.i32(groups.count));
    putValues(this.valid, groups, from.flags(groups.count));
  }
}

export class Int64Cells {
  readonly kind = 'int64';
  values: BigInt64Array = new BigInt64Array(0);
  valid: Uint8Array = new Uint8Array(0);

  grow(capacity: number): void {
    const values = new BigInt64Array(capacity);
    values.set(this.values);
    this.values = values;
    this.valid = grown(this.valid, capacity);
  }

  clear(from: number, to: number): void {
    this.values.fill(0n, from, to);
    this.valid.fill(0, from, to);
  }

  gather(groups: Int32Array, nullable: boolean): Vector {
    const values = new BigInt64Array(groups.length);
    for (let index = 0; index < groups.length; index++)
      values[index] = this.values[groups[index]!]!;
    return { kind: 'int64', values, valid: nullable ? gatherValid(this.valid, groups) : null };
  }

  save(to: ColumnWriter, groups: RowSet): void {
    to.i64(pickBigints(this.values, groups));
    to.flags(pickBytes(this.valid, groups));
  }

  load(from: ColumnReader, groups: RowSet): void {
    putValues(this.values, groups, from.i64(groups.count));
    putValues(this.valid, groups, from.flags(groups.count));
  }
}

export class BooleanCells {
  readonly kind = 'boolean';
  values: Uint8Array = new Uint8Array(0);
  valid: Uint8Array = new Uint8Array(0);

  grow(capacity: number): void {
    this.values = grown(this.values, capacity);
    this.valid = grown(this.valid, capacity);
  }

  clear(from: number, to: number): void {
    this.values.fill(0, from, to);
    this.valid.fill(0, from, to);
  }

  gather(groups: Int32Array, nullable: boolean): Vector {
    const values = new Uint8Array(groups.length);
    for (let index = 0; index < groups.length; index++)
      values[index] = this.values[groups[index]!]!;
    return { kind: 'boolean', values, valid: nullable ? gatherValid(this.valid, groups) : null };
  }

  save(to: ColumnWriter, groups: RowSet): void {
    to.flags(pickBytes(this.values, groups));
    to.flags(pickBytes(this.valid, groups));
  }

  load(from: ColumnReader, groups: RowSet): void {
    putValues(this.values, groups, from.flags(groups.count));
    putValues(this.valid, groups, from.flags(groups.count));
  }
}

function grown(bytes: Uint8Array, capacity: number): Uint8Array {
  const more = new Uint8Array(capacity);
  more.set(bytes);
  return more;
}

/** Null when every one of the groups has a value. */
export function gatherValid(valid: Uint8Array, groups: Int32Array): Uint8Array | null {
  const gathered = new Uint8Array(groups.length);
  let count = 0;
  for (let index = 0; index < groups.length; index++) {
    const flag = valid[groups[index]!]!;
    gathered[index] = flag;
    count += flag;
  }
  return count === groups.length ? null : gathered;
}
