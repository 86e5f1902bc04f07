// Accumulators that keep one string or json text per group as its UTF-8 bytes: min, max, first and
// last. Bytes are copied only when the value kept changes. Strings are ordered by their bytes.

import type { Vector } from '../columnar/batch.ts';
import { StringColumn } from '../columnar/batch-builder.ts';
import type { ColumnReader } from '../snapshot/column-reader.ts';
import type { ColumnWriter } from '../snapshot/column-writer.ts';
import { numbersOf } from '../snapshot/row-set.ts';
import type { RowSet } from '../snapshot/row-set.ts';
import { NumberCells } from './cells.ts';
import { wins } from './number-accumulators.ts';

type StringVector = Extract<Vector, { kind: 'string' }>;
type NumberVector = Extract<Vector, { kind: 'number' }>;

/** Byte strings by group; undefined: none yet. */
class SpanAccumulator {
  readonly items: (Uint8Array | undefined)[] = [];

  grow(capacity: number): void {
    while (this.items.length < capacity) this.items.push(undefined);
  }

  clear(count: number): void {
    this.items.fill(undefined, 0, count);
  }

  clearGroup(group: number): void {
    this.items[group] = undefined;
  }

  result(groups: Int32Array): Vector {
    const column = new StringColumn(Math.max(1, groups.length));
    for (let index = 0; index < groups.length; index++) {
      const item = this.items[groups[index]!];
      if (item === undefined) column.appendNull();
      else column.appendSpan(item, 0, item.length);
    }
    return column.finish();
  }

  byteSize(capacity: number): number {
    return capacity * 8 + this.items.length * 64;
  }

  save(to: ColumnWriter, groups: RowSet): void {
    to.vector(this.result(numbersOf(groups)), 0, groups.count);
  }

  load(from: ColumnReader, groups: RowSet): void {
    const rows = numbersOf(groups);
    const { bytes, offsets, valid } = from.vector('string', groups.count) as StringVector;
    for (let index = 0; index < rows.length; index++) {
      const isNull = valid !== null && valid[index] === 0;
      this.items[rows[index]!] = isNull
        ? undefined
        : bytes.slice(offsets[index]!, offsets[index + 1]!);
    }
  }
}

export class ExtremeSpan extends SpanAccumulator {
  readonly kind = 'extreme-span';
  readonly fn: 'min' | 'max';

  constructor(fn: 'min' | 'max') {
    super();
    this.fn = fn;
  }

  /** For generated code. */
  add(group: number, bytes: Uint8Array, start: number, end: number): void {
    const best = this.items[group];
    if (best !== undefined) {
      const order = compareSpan(best, bytes, start, end);
      if (this.fn === 'min' ? order <= 0 : order >= 0) return;
    }
    this.items[group] = bytes.slice(start, end);
  }

  fold(partials: readonly Vector[], rows: Int32Array, groups: Int32Array): void {
    const from = partials[0] as StringVector;
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index]!;
      if (from.valid !== null && from.valid[row] === 0) continue;
      this.add(groups[index]!, from.bytes, from.offsets[row]!, from.offsets[row + 1]!);
    }
  }

  merge(other: ExtremeSpan, from: Int32Array, groups: Int32Array): void {
    for (let index = 0; index < from.length; index++) {
      const item = other.items[from[index]!];
      if (item !== undefined) this.add(groups[index]!, item, 0, item.length);
    }
  }

  partials(groups: Int32Array): Vector[] {
    return [this.result(groups)];
  }
}

export class FirstOrLastSpan extends SpanAccumulator {
  readonly kind = 'first-or-last-span';
  readonly fn: 'first' | 'last';
  readonly times: NumberCells = new NumberCells();

  constructor(fn: 'first' | 'last') {
    super();
    this.fn = fn;
  }

  override grow(capacity: number): void {
    super.grow(capacity);
    this.times.grow(capacity);
  }

  override clear(count: number): void {
    super.clear(count);
    this.times.clear(0, count);
  }

  override clearGroup(group: number): void {
    super.clearGroup(group);
    this.times.clear(group, group + 1);
  }

  override save(to: ColumnWriter, groups: RowSet): void {
    super.save(to, groups);
    this.times.save(to, groups);
  }

  override load(from: ColumnReader, groups: RowSet): void {
    super.load(from, groups);
    this.times.load(from, groups);
  }

  /** For generated code, which asks this before it calls `put`. */
  takes(group: number, time: number): boolean {
    const { valid, values } = this.times;
    return valid[group] === 0 || wins(this.fn, time, values[group]!);
  }

  put(group: number, time: number, item: Uint8Array): void {
    this.items[group] = item;
    this.times.values[group] = time;
    this.times.valid[group] = 1;
  }

  fold(partials: readonly Vector[], rows: Int32Array, groups: Int32Array): void {
    const from = partials[0] as StringVector;
    const times = partials[1] as NumberVector;
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index]!;
      if (times.valid !== null && times.valid[row] === 0) continue;
      const time = times.values[row]!;
      if (!this.takes(groups[index]!, time)) continue;
      const item = from.bytes.slice(from.offsets[row]!, from.offsets[row + 1]!);
      this.put(groups[index]!, time, item);
    }
  }

  merge(other: FirstOrLastSpan, from: Int32Array, groups: Int32Array): void {
    for (let index = 0; index < from.length; index++) {
      const item = other.items[from[index]!];
      if (item === undefined) continue;
      const time = other.times.values[from[index]!]!;
      if (this.takes(groups[index]!, time)) this.put(groups[index]!, time, item);
    }
  }

  partials(groups: Int32Array): Vector[] {
    return [this.result(groups), this.times.gather(groups, true)];
  }
}

/** Order of `left` against bytes[start, end), as memcmp has it. */
function compareSpan(left: Uint8Array, bytes: Uint8Array, start: number, end: number): number {
  const length = Math.min(left.length, end - start);
  for (let index = 0; index < length; index++) {
    const order = left[index]! - bytes[start + index]!;
    if (order !== 0) return order;
  }
  return left.length - (end - start);
}
