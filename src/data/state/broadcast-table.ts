// What a partition has of a broadcast stream: the latest row of each key, by order of arrival. Keys
// are groups of a `GroupTable`; rows are appended to columns, and what is outdated is left behind
// until half of it is. A row with a null key is nothing: null matches nothing. Keys stay for ever.

import type { RowSchema } from '../../schema/data-type.ts';
import { assert } from '../../base/assert.ts';
import { BatchBuilder } from '../columnar/batch-builder.ts';
import type { BuilderColumn } from '../columnar/batch-builder.ts';
import type { Batch, Vector } from '../columnar/batch.ts';
import { gather, gatherInto } from '../columnar/select.ts';
import { hashRows } from '../shuffle/hash.ts';
import type { ColumnReader } from '../snapshot/column-reader.ts';
import type { ColumnWriter } from '../snapshot/column-writer.ts';
import { sectionKinds } from '../snapshot/snapshot-file.ts';
import { GroupTable, viewOf } from './group-table.ts';

/** Outdated rows below this are not worth moving the others for. */
const outdatedMin = 64;

export class BroadcastTable {
  readonly section = sectionKinds.broadcast;
  readonly groups: GroupTable;
  /** By group: its latest row. */
  latest: Int32Array = new Int32Array(16);
  readonly #schema: RowSchema;
  readonly #keys: readonly number[];
  #rows: BatchBuilder;

  constructor(schema: RowSchema, keys: readonly string[]) {
    this.#schema = schema;
    this.#keys = keys.map((name) => schema.fields.findIndex((field) => field.name === name));
    assert(!this.#keys.includes(-1), 'keys of a broadcast stream are among its columns');
    this.groups = new GroupTable(
      this.#keys.map((index) => schema.fields[index]!),
      [],
    );
    this.#rows = new BatchBuilder(schema);
  }

  /** Columns of all rows, outdated ones too, as views that hold until the table changes. */
  get vectors(): readonly Vector[] {
    return this.#rows.columns.map(viewOf);
  }

  get keyColumns(): readonly BuilderColumn[] {
    return this.groups.keys;
  }

  /** The latest rows, in the order in which their keys were first seen. */
  contents(): Batch {
    const { schema, rowCount } = this.#rows;
    const all = { schema, rowCount, vectors: this.vectors };
    return gather(all, this.latest.subarray(0, this.groups.count));
  }

  fold(batch: Batch): void {
    const keys = this.#keys.map((index) => batch.vectors[index]!);
    const rows = rowsWithKeys(keys, batch.rowCount);
    const hashes = new Int32Array(batch.rowCount);
    const groups = new Int32Array(rows.length);
    hashRows(keys, batch.rowCount, hashes);
    this.groups.upsert(keys, hashes, rows, groups);
    this.#makeRoom();
    const first = this.#rows.rowCount;
    gatherInto(this.#rows, batch, rows);
    for (let index = 0; index < rows.length; index++) this.latest[groups[index]!] = first + index;
    if (this.#rows.rowCount > 2 * this.groups.count + outdatedMin) this.#dropOutdated();
  }

  /** A delta is not kept: the table is meant to be small. */
  changes(): null {
    return null;
  }

  save(to: ColumnWriter): void {
    const { rowCount, vectors } = this.contents();
    to.counts(rowCount);
    for (const vector of vectors) to.vector(vector, 0, rowCount);
  }

  load(from: ColumnReader): void {
    const count = from.i32(1)[0]!;
    const vectors = this.#rows.columns.map(({ kind }) => from.vector(kind, count));
    this.fold({ schema: this.#schema, rowCount: count, vectors });
  }

  settle(): void {
    // A single base has been folded.
  }

  byteSize(): number {
    let size = this.groups.byteSize() + this.latest.byteLength;
    for (const column of this.#rows.columns) {
      size += column.valid.length;
      if (column.kind === 'string') size += column.bytes.length + column.offsets.byteLength;
      else size += column.values.byteLength;
    }
    return size;
  }

  #makeRoom(): void {
    if (this.groups.count <= this.latest.length) return;
    const latest = new Int32Array(Math.max(this.groups.count, this.latest.length * 2));
    latest.set(this.latest);
    this.latest = latest;
  }

  #dropOutdated(): void {
    const { count } = this.groups;
    const kept = new BatchBuilder(this.#schema, count);
    const { schema, rowCount } = this.#rows;
    gatherInto(kept, { schema, rowCount, vectors: this.vectors }, this.latest.subarray(0, count));
    this.#rows = kept;
    for (let group = 0; group < count; group++) this.latest[group] = group;
  }
}

function rowsWithKeys(keys: readonly Vector[], rowCount: number): Int32Array {
  const rows = new Int32Array(rowCount);
  let count = 0;
  for (let row = 0; row < rowCount; row++) {
    if (keys.every(({ valid }) => valid === null || valid[row] === 1)) rows[count++] = row;
  }
  return rows.subarray(0, count);
}
