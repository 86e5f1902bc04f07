// Growable columns: where rows are appended before they become a batch or a block. Appending
// allocates nothing until a column is full, and then doubles it; `reset` keeps the buffers.
// Invariant of every column: `valid[i]` is 1 for each i that holds no null, also beyond `count`, so
// that appending a value need not touch it. One NaN only, and zero under every null.

import { assert } from '../../base/assert.ts';
import type { DataType, RowSchema } from '../../schema/data-type.ts';
import type { Batch, Vector } from './batch.ts';

/** Builds batches of one schema. `columns[i]` belongs to `schema.fields[i]`. */
export class BatchBuilder {
  readonly schema: RowSchema;
  readonly columns: readonly BuilderColumn[];
  /** Whole rows; a writer appends one value to every column and then calls `endRow`. */
  rowCount = 0;

  constructor(schema: RowSchema, capacity = 16) {
    this.schema = schema;
    this.columns = schema.fields.map((field) => builderColumn(field.type, capacity));
  }

  endRow(): void {
    this.rowCount++;
  }

  /** Takes back what was appended since the last `endRow`. */
  dropOpenRow(): void {
    for (const column of this.columns) column.truncate(this.rowCount);
  }

  reset(): void {
    this.rowCount = 0;
    for (const column of this.columns) column.reset();
  }

  /** A batch with buffers of its own, of exact size. The builder keeps its rows. */
  finish(): Batch {
    const { schema, rowCount } = this;
    const vectors = this.columns.map((column) => {
      assert(column.count === rowCount, 'every column of a batch has a value for every row');
      return column.finish();
    });
    return { schema, rowCount, vectors };
  }
}

export type BuilderColumn = NumberColumn | Int32Column | Int64Column | BooleanColumn | StringColumn;

/** The vector that holds values of a type. */
export function vectorKind(type: DataType): Vector['kind'] {
  switch (type.kind) {
    case 'float64':
    case 'timestamp':
      return 'number';
    case 'string':
    case 'json':
      return 'string';
    default:
      return type.kind;
  }
}

export function builderColumn(type: DataType, capacity: number): BuilderColumn {
  const rows = Math.max(1, capacity);
  switch (vectorKind(type)) {
    case 'number':
      return new NumberColumn(rows);
    case 'int32':
      return new Int32Column(rows);
    case 'int64':
      return new Int64Column(rows);
    case 'boolean':
      return new BooleanColumn(rows);
    case 'string':
      return new StringColumn(rows);
  }
}

export class NumberColumn {
  readonly kind = 'number';
  values: Float64Array;
  valid: Uint8Array;
  count = 0;
  nullCount = 0;

  constructor(capacity: number) {
    this.values = new Float64Array(capacity);
    this.valid = new Uint8Array(capacity).fill(1);
  }

  appendNumber(value: number): void {
    const count = this.count;
    if (count === this.values.length) this.grow();
    // The sign and payload of a NaN depend on how it came about.
    this.values[count] = value === value ? value : NaN;
    this.count = count + 1;
  }

  appendNull(): void {
    const count = this.count;
    if (count === this.values.length) this.grow();
    this.values[count] = 0;
    this.valid[count] = 0;
    this.nullCount++;
    this.count = count + 1;
  }

  truncate(count: number): void {
    this.nullCount -= unmark(this.valid, count, this.count);
    this.count = count;
  }

  reset(): void {
    if (this.nullCount > 0) this.valid.fill(1, 0, this.count);
    this.count = 0;
    this.nullCount = 0;
  }

  finish(): Vector {
    return { kind: 'number', values: this.values.slice(0, this.count), valid: finishValid(this) };
  }

  grow(): void {
    const values = new Float64Array(this.values.length * 2);
    values.set(this.values);
    this.values = values;
    this.valid = grownValid(this.valid);
  }
}

export class Int32Column {
  readonly kind = 'int32';
  values: Int32Array;
  valid: Uint8Array;
  count = 0;
  nullCount = 0;

  constructor(capacity: number) {
    this.values = new Int32Array(capacity);
    this.valid = new Uint8Array(capacity).fill(1);
  }

  appendNumber(value: number): void {
    const count = this.count;
    if (count === this.values.length) this.grow();
    this.values[count] = value;
    this.count = count + 1;
  }

  appendNull(): void {
    const count = this.count;
    if (count === this.values.length) this.grow();
    this.values[count] = 0;
    this.valid[count] = 0;
    this.nullCount++;
    this.count = count + 1;
  }

  truncate(count: number): void {
    this.nullCount -= unmark(this.valid, count, this.count);
    this.count = count;
  }

  reset(): void {
    if (this.nullCount > 0) this.valid.fill(1, 0, this.count);
    this.count = 0;
    this.nullCount = 0;
  }

  finish(): Vector {
    return { kind: 'int32', values: this.values.slice(0, this.count), valid: finishValid(this) };
  }

  grow(): void {
    const values = new Int32Array(this.values.length * 2);
    values.set(this.values);
    this.values = values;
    this.valid = grownValid(this.valid);
  }
}

export class Int64Column {
  readonly kind = 'int64';
  values: BigInt64Array;
  /** The same buffer in 32-bit words: copied without making a bigint. */
  words: Int32Array;
  valid: Uint8Array;
  count = 0;
  nullCount = 0;

  constructor(capacity: number) {
    this.values = new BigInt64Array(capacity);
    this.words = new Int32Array(this.values.buffer);
    this.valid = new Uint8Array(capacity).fill(1);
  }

  appendBigint(value: bigint): void {
    const count = this.count;
    if (count === this.values.length) this.grow();
    this.values[count] = value;
    this.count = count + 1;
  }

  appendNull(): void {
    const count = this.count;
    if (count === this.values.length) this.grow();
    this.words[2 * count] = 0;
    this.words[2 * count + 1] = 0;
    this.valid[count] = 0;
    this.nullCount++;
    this.count = count + 1;
  }

  truncate(count: number): void {
    this.nullCount -= unmark(this.valid, count, this.count);
    this.count = count;
  }

  reset(): void {
    if (this.nullCount > 0) this.valid.fill(1, 0, this.count);
    this.count = 0;
    this.nullCount = 0;
  }

  finish(): Vector {
    return { kind: 'int64', values: this.values.slice(0, this.count), valid: finishValid(this) };
  }

  grow(): void {
    const values = new BigInt64Array(this.values.length * 2);
    values.set(this.values);
    this.values = values;
    this.words = new Int32Array(values.buffer);
    this.valid = grownValid(this.valid);
  }
}

export class BooleanColumn {
  readonly kind = 'boolean';
  values: Uint8Array;
  valid: Uint8Array;
  count = 0;
  nullCount = 0;

  constructor(capacity: number) {
    this.values = new Uint8Array(capacity);
    this.valid = new Uint8Array(capacity).fill(1);
  }

  appendBoolean(value: boolean): void {
    const count = this.count;
    if (count === this.values.length) this.grow();
    this.values[count] = value ? 1 : 0;
    this.count = count + 1;
  }

  appendNull(): void {
    const count = this.count;
    if (count === this.values.length) this.grow();
    this.values[count] = 0;
    this.valid[count] = 0;
    this.nullCount++;
    this.count = count + 1;
  }

  truncate(count: number): void {
    this.nullCount -= unmark(this.valid, count, this.count);
    this.count = count;
  }

  reset(): void {
    if (this.nullCount > 0) this.valid.fill(1, 0, this.count);
    this.count = 0;
    this.nullCount = 0;
  }

  finish(): Vector {
    return { kind: 'boolean', values: this.values.slice(0, this.count), valid: finishValid(this) };
  }

  grow(): void {
    const values = new Uint8Array(this.values.length * 2);
    values.set(this.values);
    this.values = values;
    this.valid = grownValid(this.valid);
  }
}

/** Shorter strings are copied by a loop: `subarray` and `set` cost 30 ns a call, and garbage. */
const copyLoopBytesMax = 64;

/** UTF-8 bytes and offsets; `offsets[0]` is 0 always. */
export class StringColumn {
  readonly kind = 'string';
  offsets: Int32Array;
  bytes: Uint8Array;
  valid: Uint8Array;
  count = 0;
  nullCount = 0;

  constructor(capacity: number) {
    this.offsets = new Int32Array(capacity + 1);
    this.bytes = new Uint8Array(capacity * 16);
    this.valid = new Uint8Array(capacity).fill(1);
  }

  /** Appends the string whose UTF-8 is source[start, end). */
  appendSpan(source: Uint8Array, start: number, end: number): void {
    const count = this.count;
    if (count === this.valid.length) this.grow();
    const from = this.offsets[count]!;
    const to = from + end - start;
    if (to > this.bytes.length) this.growBytes(to);
    const bytes = this.bytes;
    if (end - start <= copyLoopBytesMax) {
      // One index for both ends: 30 ns for 36 bytes instead of 40.
      const shift = from - start;
      for (let at = start; at < end; at++) bytes[shift + at] = source[at]!;
    } else {
      bytes.set(source.subarray(start, end), from);
    }
    this.offsets[count + 1] = to;
    this.count = count + 1;
  }

  appendNull(): void {
    const count = this.count;
    if (count === this.valid.length) this.grow();
    this.offsets[count + 1] = this.offsets[count]!;
    this.valid[count] = 0;
    this.nullCount++;
    this.count = count + 1;
  }

  truncate(count: number): void {
    this.nullCount -= unmark(this.valid, count, this.count);
    this.count = count;
  }

  reset(): void {
    if (this.nullCount > 0) this.valid.fill(1, 0, this.count);
    this.count = 0;
    this.nullCount = 0;
  }

  finish(): Vector {
    return {
      kind: 'string',
      offsets: this.offsets.slice(0, this.count + 1),
      bytes: this.bytes.slice(0, this.offsets[this.count]!),
      valid: finishValid(this),
    };
  }

  grow(): void {
    const offsets = new Int32Array(this.valid.length * 2 + 1);
    offsets.set(this.offsets);
    this.offsets = offsets;
    this.valid = grownValid(this.valid);
  }

  growBytes(length: number): void {
    assert(length < 2 ** 31, 'the strings of one column of a batch fit in 2 GiB');
    const bytes = new Uint8Array(Math.max(length, this.bytes.length * 2));
    bytes.set(this.bytes);
    this.bytes = bytes;
  }
}

/** Sets valid[from, to) back to 1 and counts the nulls that were there. */
function unmark(valid: Uint8Array, from: number, to: number): number {
  let nulls = 0;
  for (let index = from; index < to; index++) nulls += 1 - valid[index]!;
  valid.fill(1, from, to);
  return nulls;
}

function finishValid(column: BuilderColumn): Uint8Array | null {
  return column.nullCount === 0 ? null : column.valid.slice(0, column.count);
}

function grownValid(valid: Uint8Array): Uint8Array {
  const grown = new Uint8Array(valid.length * 2).fill(1);
  grown.set(valid);
  return grown;
}
