// Accumulators that are JavaScript objects: exact count distinct, top-k and the user's own. They
// cross exchanges as JSON in one column.

import { assert } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { CustomAggregate } from '../../plan/bindings.ts';
import type { AggregateCall } from '../../plan/logical-plan.ts';
import type { DataType, JsonValue, RowObject, RowValue } from '../../schema/data-type.ts';
import { builderColumn, StringColumn, vectorKind } from '../columnar/batch-builder.ts';
import type { BuilderColumn } from '../columnar/batch-builder.ts';
import type { Vector } from '../columnar/batch.ts';
import { appendText, appendValue, valueAt } from '../columnar/rows.ts';
import { decodeUtf8 } from '../columnar/utf8.ts';
import type { ColumnReader } from '../snapshot/column-reader.ts';
import type { ColumnWriter } from '../snapshot/column-writer.ts';
import { numbersOf } from '../snapshot/row-set.ts';
import type { RowSet } from '../snapshot/row-set.ts';
import { damagedState } from '../snapshot/snapshot-errors.ts';
import { stateFromText, stateToText } from './custom-state.ts';
import { viewOf } from './group-table.ts';
import { countVector } from './number-accumulators.ts';

type StringVector = Extract<Vector, { kind: 'string' }>;

/** Objects by group; undefined is the initial state. */
class ObjectAccumulator<Item> {
  readonly items: (Item | undefined)[] = [];

  grow(capacity: number): void {
    while (this.items.length < capacity) this.items.push(undefined);
  }

  clear(count: number): void {
    this.items.fill(undefined, 0, count);
  }

  clearGroup(group: number): void {
    this.items[group] = undefined;
  }
}

/** A value as JSON can carry it and back: bigints and numbers that are not finite as text. */
function toJson(value: RowValue): JsonValue {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return value;
}

/** A value as a reader of the result wants it: int64 as a number. */
function plainJson(value: RowValue): JsonValue {
  return typeof value === 'bigint' ? Number(value) : value;
}

function fromJson(value: JsonValue, type: DataType): RowValue {
  if (typeof value !== 'string') return value;
  if (type.kind === 'int64') return BigInt(value);
  return type.kind === 'string' || type.kind === 'json' ? value : Number(value);
}

export class Distinct extends ObjectAccumulator<Set<RowValue>> {
  readonly kind = 'distinct';
  readonly argument: DataType;
  readonly type: DataType;

  constructor(argument: DataType, type: DataType) {
    super();
    this.argument = argument;
    this.type = type;
  }

  /** For generated code. A json value is given as canonical text. Sets hold one NaN and one 0. */
  add(group: number, value: RowValue): void {
    const set = this.items[group];
    if (set === undefined) this.items[group] = new Set([value]);
    else set.add(value);
  }

  fold(partials: readonly Vector[], rows: Int32Array, groups: Int32Array): void {
    for (let index = 0; index < rows.length; index++) {
      const values = jsonAt(partials[0]!, rows[index]!) as readonly JsonValue[];
      for (const value of values) this.add(groups[index]!, fromJson(value, this.argument));
    }
  }

  merge(other: Distinct, from: Int32Array, groups: Int32Array): void {
    for (let index = 0; index < from.length; index++) {
      for (const value of other.items[from[index]!] ?? []) this.add(groups[index]!, value);
    }
  }

  partials(groups: Int32Array): Vector[] {
    return [jsonVector(groups, (group) => Array.from(this.items[group] ?? [], toJson))];
  }

  result(groups: Int32Array): Vector {
    const values = Float64Array.from(groups, (group) => this.items[group]?.size ?? 0);
    return countVector({ kind: 'number', values, valid: null }, this.type);
  }

  byteSize(capacity: number): number {
    let size = capacity * 8;
    for (const item of this.items) size += (item?.size ?? 0) * 48;
    return size;
  }

  /** How many values each group has, and the values of all in order of coming. */
  save(to: ColumnWriter, groups: RowSet): void {
    const rows = numbersOf(groups);
    to.i32(rows.map((group) => this.items[group]?.size ?? 0));
    const values = new ValueColumn(keptType(this.argument));
    for (const group of rows) for (const value of this.items[group] ?? []) values.append(value);
    values.save(to);
  }

  load(from: ColumnReader, groups: RowSet): void {
    const rows = numbersOf(groups);
    const counts = from.i32(groups.count);
    const values = loadValues(from, keptType(this.argument), sumOf(counts));
    let next = 0;
    for (let index = 0; index < rows.length; index++) {
      const count = counts[index]!;
      const kept = values.slice(next, next + count);
      this.items[rows[index]!] = count === 0 ? undefined : new Set(kept);
      next += count;
    }
  }
}

type Ranked = { readonly value: RowValue; readonly by: RowValue };

/** The `k` values with the greatest `by`, greatest first; of equals the earlier comer first. */
export class TopK extends ObjectAccumulator<Ranked[]> {
  readonly kind = 'top-k';
  readonly call: AggregateCall;
  readonly k: number;

  constructor(call: AggregateCall) {
    super();
    this.call = call;
    this.k = call.k ?? 1;
  }

  /** For generated code; neither argument is null. */
  add(group: number, value: RowValue, by: RowValue): void {
    const ranked = (this.items[group] ??= []);
    let at = ranked.length;
    while (at > 0 && isGreater(by, ranked[at - 1]!.by)) at--;
    if (at >= this.k) return;
    ranked.splice(at, 0, { value, by });
    if (ranked.length > this.k) ranked.pop();
  }

  fold(partials: readonly Vector[], rows: Int32Array, groups: Int32Array): void {
    const [valueType, byType] = this.call.args.map((arg) => arg.type);
    for (let index = 0; index < rows.length; index++) {
      const pairs = jsonAt(partials[0]!, rows[index]!) as readonly (readonly JsonValue[])[];
      for (const [value, by] of pairs) {
        this.add(groups[index]!, fromJson(value!, valueType!), fromJson(by!, byType!));
      }
    }
  }

  merge(other: TopK, from: Int32Array, groups: Int32Array): void {
    for (let index = 0; index < from.length; index++) {
      const ranked = other.items[from[index]!] ?? [];
      for (const { value, by } of ranked) this.add(groups[index]!, value, by);
    }
  }

  partials(groups: Int32Array): Vector[] {
    return [
      jsonVector(groups, (group) =>
        (this.items[group] ?? []).map(({ value, by }) => [toJson(value), toJson(by)]),
      ),
    ];
  }

  result(groups: Int32Array): Vector {
    const column = new StringColumn(Math.max(1, groups.length));
    for (const group of groups) {
      const ranked = this.items[group];
      if (ranked === undefined) column.appendNull();
      else appendText(column, JSON.stringify(ranked.map(({ value }) => plainJson(value))));
    }
    return column.finish();
  }

  byteSize(capacity: number): number {
    return capacity * (8 + this.k * 64);
  }

  /** How many pairs each group has, then the values and what they are ranked by, greatest first. */
  save(to: ColumnWriter, groups: RowSet): void {
    const rows = numbersOf(groups);
    to.i32(rows.map((group) => this.items[group]?.length ?? 0));
    const [values, bys] = this.call.args.map(({ type }) => new ValueColumn(type));
    for (const group of rows) {
      for (const { value, by } of this.items[group] ?? []) {
        values!.append(value);
        bys!.append(by);
      }
    }
    values!.save(to);
    bys!.save(to);
  }

  load(from: ColumnReader, groups: RowSet): void {
    const rows = numbersOf(groups);
    const counts = from.i32(groups.count);
    const count = sumOf(counts);
    const [values, bys] = this.call.args.map(({ type }) => loadValues(from, type, count));
    let next = 0;
    for (let index = 0; index < rows.length; index++) {
      const ranked: Ranked[] = [];
      for (let left = counts[index]!; left > 0; left--, next++) {
        ranked.push({ value: values![next]!, by: bys![next]! });
      }
      this.items[rows[index]!] = ranked.length === 0 ? undefined : ranked;
    }
  }
}

/** NaN is greater than every other number; strings go by their code points, as UTF-8 does. */
function isGreater(left: RowValue, right: RowValue): boolean {
  if (typeof left === 'string' && typeof right === 'string') return isGreaterText(left, right);
  if (left !== left) return right === right;
  return (left as number) > (right as number);
}

/** UTF-16 order differs from that of code points only where surrogates meet U+E000 and above. */
function isGreaterText(left: string, right: string): boolean {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a !== b)
      return isSurrogate(a) === isSurrogate(b) ? a > b : isSurrogate(a) ? b < 0xd800 : a >= 0xe000;
  }
  return left.length > right.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xe000;
}

export class Custom extends ObjectAccumulator<{ state: unknown }> {
  readonly kind = 'custom';
  readonly call: AggregateCall;
  readonly aggregate: CustomAggregate;

  constructor(call: AggregateCall, aggregate: CustomAggregate) {
    super();
    this.call = call;
    this.aggregate = aggregate;
  }

  /** For generated code. */
  add(group: number, row: RowObject): void {
    const item = this.#item(group);
    item.state = this.aggregate.add(item.state, row);
  }

  fold(partials: readonly Vector[], rows: Int32Array, groups: Int32Array): void {
    for (let index = 0; index < rows.length; index++) {
      this.#mergeState(groups[index]!, stateFromText(textAt(partials[0]!, rows[index]!)));
    }
  }

  merge(other: Custom, from: Int32Array, groups: Int32Array): void {
    for (let index = 0; index < from.length; index++) {
      const item = other.items[from[index]!];
      // The user's `merge` may keep or change what it gets, which other windows still need.
      if (item === undefined) continue;
      this.#mergeState(groups[index]!, stateFromText(this.#textOf(item.state)));
    }
  }

  partials(groups: Int32Array): Vector[] {
    const column = new StringColumn(Math.max(1, groups.length));
    for (const group of groups) appendText(column, this.#textOf(this.#stateOf(group)));
    return [column.finish()];
  }

  result(groups: Int32Array): Vector {
    const column = builderColumn(this.call.type, groups.length);
    for (const group of groups) {
      const value: unknown = this.aggregate.result(this.#stateOf(group));
      if (value === null || value === undefined) {
        if (!this.call.nullable) throw this.#badResult('null');
        column.appendNull();
      } else if (appendValue(column, this.call.type, value) !== null) {
        throw this.#badResult(typeof value);
      }
    }
    return column.finish();
  }

  byteSize(capacity: number): number {
    return capacity * 8 + this.items.length * 128;
  }

  /** The state's text; null where a group has none yet. */
  save(to: ColumnWriter, groups: RowSet): void {
    const column = new StringColumn(Math.max(1, groups.count));
    for (const group of numbersOf(groups)) {
      const item = this.items[group];
      if (item === undefined) column.appendNull();
      else appendText(column, this.#textOf(item.state));
    }
    to.vector(column.finish(), 0, groups.count);
  }

  load(from: ColumnReader, groups: RowSet): void {
    const rows = numbersOf(groups);
    const vector = from.vector('string', groups.count);
    for (let index = 0; index < rows.length; index++) {
      const isNull = vector.valid !== null && vector.valid[index] === 0;
      this.items[rows[index]!] = isNull ? undefined : { state: savedState(vector, index) };
    }
  }

  /** The accumulator of a group as JSON, for reading state; null where it has none yet. */
  savedState(group: number): JsonValue {
    const item = this.items[group];
    return item === undefined ? null : (JSON.parse(this.#textOf(item.state)) as JsonValue);
  }

  #textOf(state: unknown): string {
    return stateToText(state, this.call.name);
  }

  #item(group: number): { state: unknown } {
    return (this.items[group] ??= { state: this.aggregate.init() });
  }

  /** Results of a group without rows do not create state. */
  #stateOf(group: number): unknown {
    const item = this.items[group];
    return item === undefined ? this.aggregate.init() : item.state;
  }

  #mergeState(group: number, right: unknown): void {
    const item = this.items[group];
    // The merge of a fresh state with another is that other.
    if (item === undefined) this.items[group] = { state: right };
    else item.state = this.aggregate.merge(item.state, right);
  }

  #badResult(got: string): StreamError {
    const { name, type } = this.call;
    return new StreamError({
      code: 'user-function',
      message: `custom aggregate "${name}" gave ${got} where ${type.kind} was declared`,
      fields: { aggregate: name },
    });
  }
}

function savedState(vector: Vector, row: number): unknown {
  try {
    return stateFromText(textAt(vector, row));
  } catch {
    throw damagedState('the state of a custom aggregate is not JSON');
  }
}

/** Values of one type that accumulators hold, as a column. */
class ValueColumn {
  readonly #type: DataType;
  readonly #column: BuilderColumn;

  constructor(type: DataType) {
    this.#type = type;
    this.#column = builderColumn(type, 64);
  }

  append(value: RowValue): void {
    const problem = appendValue(this.#column, this.#type, value);
    assert(problem === null, 'an accumulator holds values of its type');
  }

  save(to: ColumnWriter): void {
    to.vector(viewOf(this.#column), 0, this.#column.count);
  }
}

function loadValues(from: ColumnReader, type: DataType, count: number): RowValue[] {
  const vector = from.vector(vectorKind(type), count);
  if (vector.valid !== null) throw damagedState('a kept value is null');
  if (type.kind === 'timestamp' && vector.kind === 'number') {
    for (const time of vector.values) {
      if (!(Math.abs(time) <= timeMsMax && Number.isInteger(time))) {
        throw damagedState('a kept time is none');
      }
    }
  }
  try {
    return Array.from({ length: count }, (_, row) => valueAt(vector, type, row));
  } catch {
    throw damagedState('a kept json value is not JSON');
  }
}

/** ECMAScript's greatest time. */
const timeMsMax = 8.64e15;

/** Of a json value only its canonical text is kept. */
function keptType(argument: DataType): DataType {
  return argument.kind === 'json' ? { kind: 'string' } : argument;
}

function sumOf(counts: Int32Array): number {
  let sum = 0;
  for (const count of counts) {
    if (count < 0) throw damagedState('a count is negative');
    sum += count;
  }
  return sum;
}

function jsonAt(vector: Vector, row: number): JsonValue {
  return JSON.parse(textAt(vector, row)) as JsonValue;
}

function textAt(vector: Vector, row: number): string {
  const { bytes, offsets } = vector as StringVector;
  return decodeUtf8(bytes, offsets[row]!, offsets[row + 1]!);
}

function jsonVector(groups: Int32Array, valueOf: (group: number) => JsonValue): Vector {
  const column = new StringColumn(Math.max(1, groups.length));
  for (const group of groups) appendText(column, JSON.stringify(valueOf(group)));
  const vector = column.finish();
  assert(vector.kind === 'string', 'text columns make string vectors');
  return vector;
}
