// Batches out of batches: some rows of one, or several one behind the other. For late rows, dead
// letters and tests; the row loop of a stage is generated code and does not come through here.

import { assert } from '../../base/assert.ts';
import type { RowSchema } from '../../schema/data-type.ts';
import { BatchBuilder } from './batch-builder.ts';
import type { BuilderColumn } from './batch-builder.ts';
import type { Batch, Vector } from './batch.ts';

/** The rows of `batch` at `rows`, in that order; a row may come more than once. */
export function gather(batch: Batch, rows: ArrayLike<number>): Batch {
  const builder = new BatchBuilder(batch.schema, rows.length);
  gatherInto(builder, batch, rows);
  return builder.finish();
}

/** Appends the rows of `batch` at `rows`; the builder has the batch's schema. */
export function gatherInto(builder: BatchBuilder, batch: Batch, rows: ArrayLike<number>): void {
  const { columns } = builder;
  for (let index = 0; index < columns.length; index++) {
    const vector = batch.vectors[index]!;
    const column = columns[index]!;
    for (let at = 0; at < rows.length; at++) appendFrom(column, vector, rows[at]!);
  }
  builder.rowCount += rows.length;
}

/** The rows of all batches, which share `schema`, in order. */
export function concat(schema: RowSchema, batches: readonly Batch[]): Batch {
  const builder = new BatchBuilder(
    schema,
    batches.reduce((sum, batch) => sum + batch.rowCount, 0),
  );
  for (const batch of batches) appendBatch(builder, batch);
  return builder.finish();
}

/** Appends every row of `batch`; the builder has the batch's schema. */
export function appendBatch(builder: BatchBuilder, batch: Batch): void {
  const { columns } = builder;
  for (let index = 0; index < columns.length; index++) {
    const vector = batch.vectors[index]!;
    const column = columns[index]!;
    for (let row = 0; row < batch.rowCount; row++) appendFrom(column, vector, row);
  }
  builder.rowCount += batch.rowCount;
}

/** Appends value `row` of `vector` to a column of the same kind. */
export function appendFrom(column: BuilderColumn, vector: Vector, row: number): void {
  if (vector.valid !== null && vector.valid[row] === 0) {
    column.appendNull();
    return;
  }
  switch (column.kind) {
    case 'number':
      assert(vector.kind === 'number', 'a number column takes from a number vector');
      return column.appendNumber(vector.values[row]!);
    case 'int32':
      assert(vector.kind === 'int32', 'an int32 column takes from an int32 vector');
      return column.appendNumber(vector.values[row]!);
    case 'int64':
      assert(vector.kind === 'int64', 'an int64 column takes from an int64 vector');
      return column.appendBigint(vector.values[row]!);
    case 'boolean':
      assert(vector.kind === 'boolean', 'a boolean column takes from a boolean vector');
      return column.appendBoolean(vector.values[row] === 1);
    case 'string':
      assert(vector.kind === 'string', 'a string column takes from a string vector');
      return column.appendSpan(vector.bytes, vector.offsets[row]!, vector.offsets[row + 1]!);
  }
}
