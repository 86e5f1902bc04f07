// The map-side half of an aggregate: the groups of one micro-batch, by key and pane (or session).
// Generated code finds or inserts groups and adds rows; after the task the table is flushed as one
// batch for each consumer partition and cleared. A single key out of a dictionary needs no hashing:
// `direct` holds the group for each (pane, dictionary id).

import type { AggregateSpec } from '../../plan/logical-plan.ts';
import type { RowSchema } from '../../schema/data-type.ts';
import { partialSchema } from '../../plan/partials.ts';
import { builderColumn } from '../columnar/batch-builder.ts';
import type { BuilderColumn } from '../columnar/batch-builder.ts';
import type { Batch, Vector } from '../columnar/batch.ts';
import { appendFrom } from '../columnar/select.ts';
import { partitionOf } from '../shuffle/hash.ts';
import type { Accumulator } from './accumulator.ts';
import { viewOf } from './group-table.ts';

/** The distinct values of a table column: ids instead of values, hashed once. */
export type Dictionary = {
  /** By id. */
  readonly values: Vector;
  /** By id: what the value gives to `mixHash`. */
  readonly hashes: Int32Array;
  readonly size: number;
};

/** Key column of dictionary ids. */
export class DictionaryColumn {
  readonly kind = 'dictionary';
  readonly dictionary: Dictionary;
  ids: Int32Array = new Int32Array(16);
  count = 0;

  constructor(dictionary: Dictionary) {
    this.dictionary = dictionary;
  }

  append(id: number): void {
    if (this.count === this.ids.length) {
      const ids = new Int32Array(this.count * 2);
      ids.set(this.ids);
      this.ids = ids;
    }
    this.ids[this.count++] = id;
  }

  reset(): void {
    this.count = 0;
  }
}

export type PartialKey = BuilderColumn | DictionaryColumn;

/** A dictionary of more values than this is hashed. */
const directSizeMax = 1 << 16;
/** Slots of `direct`, 4 bytes each, unless that is less than a few panes. */
const directLengthMax = 1 << 20;
const directPanesMin = 4;

const initialCapacity = 64;

export class PartialTable {
  count = 0;
  capacity = initialCapacity;
  /** Group + 1, or 0 for a free slot; a power of two long. */
  slots: Int32Array = new Int32Array(initialCapacity * 2);
  mask: number = initialCapacity * 2 - 1;
  // By group.
  hashes: Int32Array = new Int32Array(initialCapacity);
  /** The hash of the keys alone, which says the partition. */
  keyHashes: Int32Array = new Int32Array(initialCapacity);
  /** Start of the pane, or of the session. */
  starts: Float64Array = new Float64Array(initialCapacity);
  ends: Float64Array = new Float64Array(initialCapacity);
  rows: Float64Array = new Float64Array(initialCapacity);
  readonly keys: readonly PartialKey[];
  readonly accumulators: readonly Accumulator[];
  /** With one dictionary key: group + 1 by pane base + id. */
  direct: Int32Array;
  readonly #bases = new Map<number, number>();
  /** Groups before this one are not in `direct` any more. */
  #forgotten = 0;
  readonly #directSize: number;
  readonly #schema: RowSchema;
  readonly #window: AggregateSpec['window']['kind'];

  constructor(options: {
    readonly aggregate: AggregateSpec;
    /** By key: the dictionary of its values, or null. */
    readonly dictionaries: readonly (Dictionary | null)[];
    readonly accumulators: readonly Accumulator[];
  }) {
    const { aggregate, dictionaries, accumulators } = options;
    this.keys = aggregate.keys.map(({ expr }, index) => {
      const dictionary = dictionaries[index]!;
      return dictionary === null ? builderColumn(expr.type, 16) : new DictionaryColumn(dictionary);
    });
    this.accumulators = accumulators;
    for (const accumulator of accumulators) accumulator.grow(initialCapacity);
    this.#directSize = isDirect(aggregate, dictionaries) ? dictionaries[0]!.size : 0;
    this.direct = new Int32Array(this.#directSize);
    this.#schema = partialSchema(aggregate);
    this.#window = aggregate.window.kind;
  }

  /** Adds a group; the caller appends its key to every key column. */
  insert(hash: number, keyHash: number, start: number): number {
    const group = this.#append(hash, keyHash, start);
    this.#place(group, hash);
    return group;
  }

  insertDirect(slot: number, keyHash: number, start: number): number {
    // `hashes` says where the group is, for `clear`.
    const group = this.#append(slot, keyHash, start);
    this.direct[slot] = group + 1;
    return group;
  }

  /**
   * Where the ids of a pane start in `direct`. When panes are too many, because event times are
   * wild, the groups so far are not found any more: two partials of one group are as right as one.
   */
  paneBase(pane: number): number {
    const known = this.#bases.get(pane);
    if (known !== undefined) return known;
    const size = this.#directSize;
    if ((this.#bases.size + 1) * size > Math.max(directLengthMax, directPanesMin * size)) {
      this.#forgetDirect();
    }
    const base = this.#bases.size * size;
    this.#bases.set(pane, base);
    if (base + size > this.direct.length) {
      this.direct = grownInts(this.direct, Math.max(base + size, this.direct.length * 2));
    }
    return base;
  }

  clear(): void {
    const { count, hashes } = this;
    if (this.#directSize > 0) {
      this.#forgetDirect();
      this.#forgotten = 0;
    } else if (count * 8 > this.slots.length) {
      this.slots.fill(0);
    } else {
      const { slots, mask } = this;
      for (let group = 0; group < count; group++) {
        let slot = hashes[group]! & mask;
        while (slots[slot] !== group + 1) slot = (slot + 1) & mask;
        slots[slot] = 0;
      }
    }
    this.rows.fill(0, 0, count);
    for (const key of this.keys) key.reset();
    for (const accumulator of this.accumulators) accumulator.clear(count);
    this.count = 0;
  }

  /** The groups as partials, by consumer partition; null where there is none. */
  flush(partitionCount: number): (Batch | null)[] {
    if (partitionCount === 1) return [this.#batch(allGroups(this.count))];
    const lists: number[][] = Array.from({ length: partitionCount }, () => []);
    for (let group = 0; group < this.count; group++) {
      lists[partitionOf(this.keyHashes[group]!, partitionCount)]!.push(group);
    }
    return lists.map((groups) => this.#batch(Int32Array.from(groups)));
  }

  #forgetDirect(): void {
    for (let group = this.#forgotten; group < this.count; group++) {
      this.direct[this.hashes[group]!] = 0;
    }
    this.#forgotten = this.count;
    this.#bases.clear();
  }

  byteSize(): number {
    let size = this.slots.byteLength + this.capacity * 32 + this.direct.byteLength;
    for (const accumulator of this.accumulators) size += accumulator.byteSize(this.capacity);
    return size;
  }

  #batch(groups: Int32Array): Batch | null {
    if (groups.length === 0) return null;
    const vectors = this.keys.map((key) => gatherKey(key, groups));
    if (this.#window === 'session') {
      vectors.push(numbers(this.starts, groups), numbers(this.ends, groups));
    } else if (this.#window !== 'global') {
      vectors.push(numbers(this.starts, groups));
    }
    vectors.push(numbers(this.rows, groups));
    for (const accumulator of this.accumulators) vectors.push(...accumulator.partials(groups));
    return { schema: this.#schema, rowCount: groups.length, vectors };
  }

  #append(hash: number, keyHash: number, start: number): number {
    const group = this.count;
    if (group === this.capacity) this.#grow();
    this.count = group + 1;
    this.hashes[group] = hash;
    this.keyHashes[group] = keyHash;
    this.starts[group] = start;
    return group;
  }

  #place(group: number, hash: number): void {
    const { slots, mask } = this;
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = group + 1;
  }

  #grow(): void {
    this.capacity *= 2;
    this.hashes = grownInts(this.hashes, this.capacity);
    this.keyHashes = grownInts(this.keyHashes, this.capacity);
    this.starts = grownFloats(this.starts, this.capacity);
    this.ends = grownFloats(this.ends, this.capacity);
    this.rows = grownFloats(this.rows, this.capacity);
    for (const accumulator of this.accumulators) accumulator.grow(this.capacity);
    if (this.#directSize > 0) return;
    this.slots = new Int32Array(this.capacity * 2);
    this.mask = this.capacity * 2 - 1;
    for (let group = 0; group < this.count; group++) this.#place(group, this.hashes[group]!);
  }
}

/** Whether groups are found by dictionary id without a hash table. */
export function isDirect(
  aggregate: AggregateSpec,
  dictionaries: readonly (Dictionary | null)[],
): boolean {
  const dictionary = dictionaries[0];
  if (dictionaries.length !== 1 || dictionary === null || dictionary === undefined) return false;
  return aggregate.window.kind !== 'session' && dictionary.size <= directSizeMax;
}

function gatherKey(key: PartialKey, groups: Int32Array): Vector {
  if (key.kind === 'dictionary') {
    const ids = Int32Array.from(groups, (group) => key.ids[group]!);
    return gatherVector(key.dictionary.values, ids);
  }
  return gatherVector(viewOf(key), groups);
}

function gatherVector(vector: Vector, rows: Int32Array): Vector {
  const column = builderColumn(typeOfVector(vector), rows.length);
  for (let index = 0; index < rows.length; index++) appendFrom(column, vector, rows[index]!);
  return column.finish();
}

/** Some column type that has this kind of vector. */
function typeOfVector({ kind }: Vector): Parameters<typeof builderColumn>[0] {
  return { kind: kind === 'number' ? 'float64' : kind };
}

function numbers(values: Float64Array, groups: Int32Array): Vector {
  const gathered = new Float64Array(groups.length);
  for (let index = 0; index < groups.length; index++) gathered[index] = values[groups[index]!]!;
  return { kind: 'number', values: gathered, valid: null };
}

function allGroups(count: number): Int32Array {
  const groups = new Int32Array(count);
  for (let group = 0; group < count; group++) groups[group] = group;
  return groups;
}

function grownInts(values: Int32Array, capacity: number): Int32Array {
  const more = new Int32Array(capacity);
  more.set(values);
  return more;
}

function grownFloats(values: Float64Array, capacity: number): Float64Array {
  const more = new Float64Array(capacity);
  more.set(values);
  return more;
}
