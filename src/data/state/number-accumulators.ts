// Accumulators of fixed width: count, sum, avg, min, max, first, last over numbers, times and
// booleans, in typed arrays indexed by group.

import { assert } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { DataType } from '../../schema/data-type.ts';
import type { Vector } from '../columnar/batch.ts';
import type { ColumnReader } from '../snapshot/column-reader.ts';
import type { ColumnWriter } from '../snapshot/column-writer.ts';
import { pickFloats } from '../snapshot/row-set.ts';
import type { RowSet } from '../snapshot/row-set.ts';
import { damagedState } from '../snapshot/snapshot-errors.ts';
import { NumberCells, Int64Cells, cellsOf } from './cells.ts';
import type { Cells } from './cells.ts';

type NumberVector = Extract<Vector, { kind: 'number' }>;
type Int64Vector = Extract<Vector, { kind: 'int64' }>;

/** Shared by all accumulators that are nothing but cells. */
class CellAccumulator {
  readonly cells: readonly Cells[];

  constructor(cells: readonly Cells[]) {
    this.cells = cells;
  }

  grow(capacity: number): void {
    for (const cells of this.cells) cells.grow(capacity);
  }

  clear(count: number): void {
    for (const cells of this.cells) cells.clear(0, count);
  }

  clearGroup(group: number): void {
    for (const cells of this.cells) cells.clear(group, group + 1);
  }

  /** Cells as vectors that can be folded, without a copy. */
  views(): Vector[] {
    return this.cells.map((cells) => ({ ...cells }) as Vector);
  }

  byteSize(): number {
    let size = 0;
    for (const cells of this.cells) size += cells.values.byteLength + cells.valid.length;
    return size;
  }

  save(to: ColumnWriter, groups: RowSet): void {
    for (const cells of this.cells) cells.save(to, groups);
  }

  load(from: ColumnReader, groups: RowSet): void {
    for (const cells of this.cells) cells.load(from, groups);
  }
}

export class Count extends CellAccumulator {
  readonly kind = 'count';
  readonly counts: NumberCells;
  readonly type: DataType;

  constructor(type: DataType) {
    const counts = new NumberCells();
    super([counts]);
    this.counts = counts;
    this.type = type;
  }

  fold(partials: readonly Vector[], rows: Int32Array, groups: Int32Array): void {
    addNumbers(this.counts.values, partials[0] as NumberVector, rows, groups);
  }

  merge(other: Count, from: Int32Array, groups: Int32Array): void {
    addNumbers(this.counts.values, other.counts, from, groups);
  }

  override load(from: ColumnReader, groups: RowSet): void {
    super.load(from, groups);
    for (const count of pickFloats(this.counts.values, groups)) {
      if (!(Number.isSafeInteger(count) && count >= 0)) throw damagedState('a count is none');
    }
  }

  partials(groups: Int32Array): Vector[] {
    return [this.counts.gather(groups, false)];
  }

  result(groups: Int32Array): Vector {
    return countVector(this.counts.gather(groups, false), this.type);
  }
}

/** A count as the column type the plan gave it. */
export function countVector(vector: Vector, type: DataType): Vector {
  assert(vector.kind === 'number', 'counts are numbers');
  switch (type.kind) {
    case 'int64':
      return { kind: 'int64', values: BigInt64Array.from(vector.values, BigInt), valid: null };
    case 'int32':
      return { kind: 'int32', values: Int32Array.from(vector.values), valid: null };
    default:
      return vector;
  }
}

export class Sum extends CellAccumulator {
  readonly kind = 'sum';
  readonly sums: NumberCells;

  constructor() {
    const sums = new NumberCells();
    super([sums]);
    this.sums = sums;
  }

  fold(partials: readonly Vector[], rows: Int32Array, groups: Int32Array): void {
    const from = partials[0] as NumberVector;
    const { values, valid } = this.sums;
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index]!;
      if (from.valid !== null && from.valid[row] === 0) continue;
      const group = groups[index]!;
      values[group] = values[group]! + from.values[row]!;
      valid[group] = 1;
    }
  }

  merge(other: Sum, from: Int32Array, groups: Int32Array): void {
    this.fold(other.views(), from, groups);
  }

  partials(groups: Int32Array): Vector[] {
    return [this.sums.gather(groups, true)];
  }

  result(groups: Int32Array): Vector {
    return this.sums.gather(groups, true);
  }
}

export class SumInt64 extends CellAccumulator {
  readonly kind = 'sum-int64';
  readonly name: string;
  readonly sums: Int64Cells;

  constructor(name: string) {
    const sums = new Int64Cells();
    super([sums]);
    this.sums = sums;
    this.name = name;
  }

  /** For generated code. */
  add(group: number, value: bigint): void {
    const { values, valid } = this.sums;
    values[group] = addInt64(values[group]!, value, this.name);
    valid[group] = 1;
  }

  fold(partials: readonly Vector[], rows: Int32Array, groups: Int32Array): void {
    const from = partials[0] as Int64Vector;
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index]!;
      if (from.valid !== null && from.valid[row] === 0) continue;
      this.add(groups[index]!, from.values[row]!);
    }
  }

  merge(other: SumInt64, from: Int32Array, groups: Int32Array): void {
    this.fold(other.views(), from, groups);
  }

  partials(groups: Int32Array): Vector[] {
    return [this.sums.gather(groups, true)];
  }

  result(groups: Int32Array): Vector {
    return this.sums.gather(groups, true);
  }
}

/** The sum of two int64, or an error: never wraps. */
export function addInt64(left: bigint, right: bigint, name: string): bigint {
  const sum = left + right;
  if (BigInt.asIntN(64, sum) !== sum) {
    throw new StreamError({
      code: 'int64-overflow',
      message: `aggregate "${name}" left the range of int64`,
      hint: 'convert the column to float64 first, if rounding is acceptable',
      fields: { aggregate: name },
    });
  }
  return sum;
}

export class Average extends CellAccumulator {
  readonly kind = 'avg';
  readonly name: string;
  readonly sums: NumberCells | Int64Cells;
  readonly counts: NumberCells;

  constructor(name: string, argument: DataType) {
    const sums = argument.kind === 'int64' ? new Int64Cells() : new NumberCells();
    const counts = new NumberCells();
    super([sums, counts]);
    this.sums = sums;
    this.counts = counts;
    this.name = name;
  }

  /** For generated code. */
  addInt64(group: number, value: bigint): void {
    const values = this.sums.values as BigInt64Array;
    values[group] = addInt64(values[group]!, value, this.name);
    this.counts.values[group]!++;
  }

  fold(partials: readonly Vector[], rows: Int32Array, groups: Int32Array): void {
    const sums = partials[0]!;
    if (sums.kind === 'int64') {
      const values = this.sums.values as BigInt64Array;
      for (let index = 0; index < rows.length; index++) {
        const group = groups[index]!;
        values[group] = addInt64(values[group]!, sums.values[rows[index]!]!, this.name);
      }
    } else {
      const values = this.sums.values as Float64Array;
      addNumbers(values, sums as NumberVector, rows, groups);
    }
    addNumbers(this.counts.values, partials[1] as NumberVector, rows, groups);
  }

  merge(other: Average, from: Int32Array, groups: Int32Array): void {
    this.fold(other.views(), from, groups);
  }

  partials(groups: Int32Array): Vector[] {
    return [this.sums.gather(groups, false), this.counts.gather(groups, false)];
  }

  result(groups: Int32Array): Vector {
    const values = new Float64Array(groups.length);
    const valid = new Uint8Array(groups.length);
    let count = 0;
    for (let index = 0; index < groups.length; index++) {
      const group = groups[index]!;
      const rows = this.counts.values[group]!;
      if (rows === 0) continue;
      const mean = Number(this.sums.values[group]!) / rows;
      values[index] = mean === mean ? mean : NaN;
      valid[index] = 1;
      count++;
    }
    return { kind: 'number', values, valid: count === groups.length ? null : valid };
  }
}

/** Least or greatest. NaN is greater than every other number, as a total order has it. */
export class Extreme extends CellAccumulator {
  readonly kind = 'extreme';
  readonly fn: 'min' | 'max';
  readonly best: Cells;

  constructor(fn: 'min' | 'max', type: DataType) {
    const best = cellsOf(type);
    super([best]);
    this.best = best;
    this.fn = fn;
  }

  fold(partials: readonly Vector[], rows: Int32Array, groups: Int32Array): void {
    const from = partials[0] as NumberVector;
    // Every kind of cells compares alike: typed arrays of numbers, or of bigints among themselves.
    const values = this.best.values as Float64Array;
    const { valid } = this.best;
    const isMin = this.fn === 'min';
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index]!;
      if (from.valid !== null && from.valid[row] === 0) continue;
      const group = groups[index]!;
      const value = from.values[row]!;
      const best = values[group]!;
      if (valid[group] === 1 && !(isMin ? isBelow(value, best) : isBelow(best, value))) continue;
      values[group] = value;
      valid[group] = 1;
    }
  }

  merge(other: Extreme, from: Int32Array, groups: Int32Array): void {
    this.fold(other.views(), from, groups);
  }

  partials(groups: Int32Array): Vector[] {
    return [this.best.gather(groups, true)];
  }

  result(groups: Int32Array): Vector {
    return this.best.gather(groups, true);
  }
}

function isBelow(left: number, right: number): boolean {
  return left < right || (right !== right && left === left);
}

/** By event time, ties by arrival: the first comer stays first, the last comer becomes last. */
export class FirstOrLast extends CellAccumulator {
  readonly kind = 'first-or-last';
  readonly fn: 'first' | 'last';
  readonly best: Cells;
  readonly times: NumberCells;

  constructor(fn: 'first' | 'last', type: DataType) {
    const best = cellsOf(type);
    const times = new NumberCells();
    super([best, times]);
    this.best = best;
    this.times = times;
    this.fn = fn;
  }

  fold(partials: readonly Vector[], rows: Int32Array, groups: Int32Array): void {
    const from = partials[0] as NumberVector;
    const fromTimes = partials[1] as NumberVector;
    const values = this.best.values as Float64Array;
    const { valid } = this.best;
    const times = this.times;
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index]!;
      if (fromTimes.valid !== null && fromTimes.valid[row] === 0) continue;
      const group = groups[index]!;
      const time = fromTimes.values[row]!;
      if (times.valid[group] === 1 && !wins(this.fn, time, times.values[group]!)) continue;
      values[group] = from.values[row]!;
      valid[group] = 1;
      times.values[group] = time;
      times.valid[group] = 1;
    }
  }

  merge(other: FirstOrLast, from: Int32Array, groups: Int32Array): void {
    this.fold(other.views(), from, groups);
  }

  partials(groups: Int32Array): Vector[] {
    return [this.best.gather(groups, true), this.times.gather(groups, true)];
  }

  result(groups: Int32Array): Vector {
    return this.best.gather(groups, true);
  }
}

/** Whether a later comer with event time `time` takes the place of the one with `best`. */
export function wins(fn: 'first' | 'last', time: number, best: number): boolean {
  return fn === 'first' ? time < best : time >= best;
}

function addNumbers(
  values: Float64Array,
  from: { readonly values: Float64Array },
  rows: Int32Array,
  groups: Int32Array,
): void {
  const source = from.values;
  for (let index = 0; index < rows.length; index++) {
    const group = groups[index]!;
    values[group] = values[group]! + source[rows[index]!]!;
  }
}
