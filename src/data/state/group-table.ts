// A hash table of groups: what map-side partials, panes and merged windows are made of. Groups are
// dense numbers in order of insertion; keys and accumulators are columns indexed by them, so that
// emitting is column at a time and a snapshot needs no walk of the index. Open addressing, linear
// probing, at most half full. Zeroed columns are the initial state of every accumulator.

import { BatchBuilder } from '../columnar/batch-builder.ts';
import type { BuilderColumn } from '../columnar/batch-builder.ts';
import type { Vector } from '../columnar/batch.ts';
import { appendFrom, appendVector } from '../columnar/select.ts';
import { hashRows } from '../shuffle/hash.ts';
import type { ColumnReader } from '../snapshot/column-reader.ts';
import type { ColumnWriter } from '../snapshot/column-writer.ts';
import type { Field } from '../../schema/data-type.ts';
import type { Accumulator } from './accumulator.ts';

const initialCapacity = 16;

export class GroupTable {
  /** Groups so far. */
  count = 0;
  /** Rows that `hashes` and the accumulators have room for. */
  capacity = initialCapacity;
  /** Group + 1, or 0 for a free slot; a power of two long. */
  slots: Int32Array = new Int32Array(initialCapacity * 2);
  mask: number = initialCapacity * 2 - 1;
  /** By group. */
  hashes: Int32Array = new Int32Array(initialCapacity);
  readonly keys: readonly BuilderColumn[];
  readonly accumulators: readonly Accumulator[];

  constructor(keyFields: readonly Field[], accumulators: readonly Accumulator[]) {
    this.keys = new BatchBuilder({ fields: keyFields }, initialCapacity).columns;
    this.accumulators = accumulators;
    for (const accumulator of accumulators) accumulator.grow(initialCapacity);
  }

  /** Adds a group; the caller then appends its key to every key column. */
  insert(hash: number): number {
    const group = this.count;
    if (group === this.capacity) this.#grow();
    this.count = group + 1;
    this.hashes[group] = hash;
    this.#place(group, hash);
    return group;
  }

  /** Finds or adds the groups of `rows`: groups[i] belongs to row rows[i] of the key vectors. */
  upsert(keys: readonly Vector[], hashes: Int32Array, rows: Int32Array, groups: Int32Array): void {
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index]!;
      let group = this.find(keys, hashes[row]!, row);
      if (group < 0) {
        group = this.insert(hashes[row]!);
        for (let key = 0; key < keys.length; key++) appendFrom(this.keys[key]!, keys[key]!, row);
      }
      groups[index] = group;
    }
  }

  /** The group whose key is row `row` of the vectors, or -1. */
  find(keys: readonly Vector[], hash: number, row: number): number {
    const { slots, mask, hashes } = this;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const group = slots[slot]! - 1;
      if (group < 0) return -1;
      if (hashes[group] === hash && this.#sameKey(keys, row, group)) return group;
    }
  }

  /** Adds groups whose keys are the rows of the vectors, none of them in the table yet. */
  append(keys: readonly Vector[], rowCount: number): void {
    const first = this.count;
    this.#reserve(first + rowCount);
    this.count = first + rowCount;
    hashRows(keys, rowCount, this.hashes.subarray(first));
    this.#placeFrom(first);
    for (let key = 0; key < keys.length; key++) {
      appendVector(this.keys[key]!, keys[key]!, rowCount);
    }
  }

  /** Writes the keys of the groups from `from` on. */
  saveKeys(to: ColumnWriter, from: number): void {
    for (const key of this.keyVectors()) to.vector(key, from, this.count);
  }

  /** Adds groups with the keys that `saveKeys` wrote. */
  loadKeys(from: ColumnReader, count: number): void {
    this.append(
      this.keys.map(({ kind }) => from.vector(kind, count)),
      count,
    );
  }

  /** Key columns of all groups, as views that hold until the table changes. */
  keyVectors(): Vector[] {
    return this.keys.map(viewOf);
  }

  clear(): void {
    const { slots, mask, hashes, count } = this;
    if (count * 8 > slots.length) {
      slots.fill(0);
    } else {
      for (let group = 0; group < count; group++) {
        let slot = hashes[group]! & mask;
        while (slots[slot] !== group + 1) slot = (slot + 1) & mask;
        slots[slot] = 0;
      }
    }
    for (const key of this.keys) key.reset();
    for (const accumulator of this.accumulators) accumulator.clear(count);
    this.count = 0;
  }

  /** Bytes held, accumulator objects as an estimate. */
  byteSize(): number {
    let size = this.slots.byteLength + this.hashes.byteLength;
    for (const key of this.keys) {
      size += key.kind === 'string' ? key.bytes.length + key.offsets.byteLength : 0;
      size += key.kind === 'string' ? 0 : key.values.byteLength;
      size += key.valid.length;
    }
    for (const accumulator of this.accumulators) size += accumulator.byteSize(this.capacity);
    return size;
  }

  #sameKey(keys: readonly Vector[], row: number, group: number): boolean {
    for (let index = 0; index < keys.length; index++) {
      if (!sameValue(this.keys[index]!, group, keys[index]!, row)) return false;
    }
    return true;
  }

  #place(group: number, hash: number): void {
    const { slots, mask } = this;
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = group + 1;
  }

  #placeFrom(first: number): void {
    const { slots, mask, hashes, count } = this;
    for (let group = first; group < count; group++) {
      let slot = hashes[group]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = group + 1;
    }
  }

  #grow(): void {
    this.#resize(this.capacity * 2);
  }

  #reserve(count: number): void {
    let capacity = this.capacity;
    while (capacity < count) capacity *= 2;
    if (capacity > this.capacity) this.#resize(capacity);
  }

  #resize(capacity: number): void {
    this.capacity = capacity;
    const hashes = new Int32Array(this.capacity);
    hashes.set(this.hashes);
    this.hashes = hashes;
    this.slots = new Int32Array(this.capacity * 2);
    this.mask = this.capacity * 2 - 1;
    this.#placeFrom(0);
    for (const accumulator of this.accumulators) accumulator.grow(this.capacity);
  }
}

function sameValue(column: BuilderColumn, group: number, vector: Vector, row: number): boolean {
  const isNull = vector.valid !== null && vector.valid[row] === 0;
  if (column.valid[group] === 0) return isNull;
  if (isNull) return false;
  if (column.kind === 'string') {
    return vector.kind === 'string' && sameBytes(column, group, vector, row);
  }
  if (vector.kind === 'string') return false;
  const left = column.values[group]!;
  const right = vector.values[row]!;
  return left === right || (left !== left && right !== right);
}

type StringVector = Extract<Vector, { kind: 'string' }>;
type Spans = { readonly bytes: Uint8Array; readonly offsets: Int32Array };

function sameBytes(column: Spans, group: number, vector: StringVector, row: number): boolean {
  let left = column.offsets[group]!;
  let right = vector.offsets[row]!;
  const end = vector.offsets[row + 1]!;
  if (column.offsets[group + 1]! - left !== end - right) return false;
  for (; right < end; left++, right++) {
    if (column.bytes[left] !== vector.bytes[right]) return false;
  }
  return true;
}

/** A growable column as a vector, without a copy. */
export function viewOf(column: BuilderColumn): Vector {
  const valid = column.nullCount === 0 ? null : column.valid;
  switch (column.kind) {
    case 'string':
      return { kind: 'string', offsets: column.offsets, bytes: column.bytes, valid };
    case 'number':
      return { kind: 'number', values: column.values, valid };
    case 'int32':
      return { kind: 'int32', values: column.values, valid };
    case 'int64':
      return { kind: 'int64', values: column.values, valid };
    case 'boolean':
      return { kind: 'boolean', values: column.values, valid };
  }
}
