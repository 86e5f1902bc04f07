// A static table to join with: its rows as vectors and a hash index over its key columns, built
// once per worker. Rows with equal keys are chained in table order; rows with a null key are not in
// the index, since null matches nothing.

import type { RowSchema } from '../../schema/data-type.ts';
import type { Batch, Vector } from '../columnar/batch.ts';
import { gather } from '../columnar/select.ts';
import { decodeUtf8 } from '../columnar/utf8.ts';
import { hashAt, hashRows, sampleHash } from '../shuffle/hash.ts';
import { GroupTable } from './group-table.ts';
import type { Dictionary } from './partial-table.ts';

export class LookupTable {
  readonly batch: Batch;
  readonly keys: readonly Vector[];
  /** First row with a key + 1, or 0 for a free slot. */
  readonly slots: Int32Array;
  readonly mask: number;
  /** By row. */
  readonly hashes: Int32Array;
  /** How `hashes` come about: as `hashRows` has it, or a single string by `sampleHash`. */
  readonly hashing: 'rows' | 'sample';
  /** By row: the next row with the same key + 1; 0: none. */
  readonly next: Int32Array;
  readonly hasDuplicates: boolean;
  /** By column: a list of its vector alone, as generated code binds columns. */
  readonly #columns: readonly (readonly Vector[])[];
  readonly #dictionaries = new Map<number, { ids: Int32Array; dictionary: Dictionary }>();

  constructor(batch: Batch, keyColumns: readonly string[]) {
    const { fields } = batch.schema;
    const indices = keyColumns.map((name) => fields.findIndex((field) => field.name === name));
    this.batch = batch;
    this.#columns = batch.vectors.map((vector) => [vector]);
    this.keys = indices.map((index) => batch.vectors[index]!);
    const count = batch.rowCount;
    const sample = sampleHashes(this.keys, count);
    this.hashing = sample === null ? 'rows' : 'sample';
    this.hashes = sample ?? new Int32Array(count);
    if (sample === null) hashRows(this.keys, count, this.hashes);
    this.next = new Int32Array(count);
    let size = 16;
    while (size < count * 4) size *= 2;
    this.slots = new Int32Array(size);
    this.mask = size - 1;
    const schema: RowSchema = { fields: indices.map((index) => fields[index]!) };
    this.hasDuplicates = this.#index(new GroupTable(schema.fields, []));
  }

  /** Puts every row into the index and says whether two have the same key. */
  #index(distinct: GroupTable): boolean {
    const count = this.batch.rowCount;
    const lastOfGroup: number[] = [];
    const row = new Int32Array(1);
    const group = new Int32Array(1);
    let hasDuplicates = false;
    for (let at = 0; at < count; at++) {
      if (this.keys.some((key) => key.valid !== null && key.valid[at] === 0)) continue;
      row[0] = at;
      distinct.upsert(this.keys, this.hashes, row, group);
      const last = lastOfGroup[group[0]!];
      lastOfGroup[group[0]!] = at;
      if (last !== undefined) {
        this.next[last] = at + 1;
        hasDuplicates = true;
        continue;
      }
      let slot = this.hashes[at]! & this.mask;
      while (this.slots[slot] !== 0) slot = (slot + 1) & this.mask;
      this.slots[slot] = at + 1;
    }
    return hasDuplicates;
  }

  column(index: number): readonly Vector[] {
    return this.#columns[index]!;
  }

  /** A column's distinct values and the id of each row's; id 0 is null, also of no row at all. */
  dictionary(column: number): { readonly ids: Int32Array; readonly dictionary: Dictionary } {
    const known = this.#dictionaries.get(column);
    if (known !== undefined) return known;
    const { rowCount, schema, vectors } = this.batch;
    const vector = vectors[column]!;
    const field = { ...schema.fields[column]!, nullable: true };
    const distinct = new GroupTable([field], []);
    const hashes = new Int32Array(rowCount);
    hashRows([vector], rowCount, hashes);
    const groups = new Int32Array(rowCount);
    distinct.insert(0);
    distinct.keys[0]!.appendNull();
    const rows = Int32Array.from({ length: rowCount }, (_, row) => row);
    const present = rows.filter((row) => vector.valid === null || vector.valid[row] === 1);
    const found = new Int32Array(present.length);
    distinct.upsert([vector], hashes, present, found);
    for (let index = 0; index < present.length; index++) groups[present[index]!] = found[index]!;
    const size = distinct.count;
    const all = Int32Array.from({ length: size }, (_, id) => id);
    const batch = { schema: { fields: [field] }, rowCount: size, vectors: distinct.keyVectors() };
    const values = gather(batch, all).vectors[0]!;
    const valueHashes = Int32Array.from(all, (id) => hashAt(values, id));
    const made = { ids: groups, dictionary: { values, hashes: valueHashes, size } };
    this.#dictionaries.set(column, made);
    return made;
  }
}

/** More keys than this with one sampled hash: then all bytes are hashed. */
const sampleCollisionsMax = 4;

/**
 * Sampled hashes of a single string key, where they tell the keys apart: the table is static, so
 * that is known before the first record, and no record can make its chains longer.
 */
function sampleHashes(keys: readonly Vector[], count: number): Int32Array | null {
  const [key] = keys;
  if (keys.length !== 1 || key?.kind !== 'string') return null;
  const hashes = new Int32Array(count);
  const collisions = new Map<number, Set<string>>();
  for (let row = 0; row < count; row++) {
    const start = key.offsets[row]!;
    const end = key.offsets[row + 1]!;
    const hash = sampleHash(key.bytes, start, end);
    hashes[row] = hash;
    const texts = collisions.get(hash) ?? new Set<string>();
    texts.add(decodeUtf8(key.bytes, start, end));
    if (texts.size > sampleCollisionsMax) return null;
    collisions.set(hash, texts);
  }
  return hashes;
}
