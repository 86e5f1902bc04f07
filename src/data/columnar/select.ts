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

/** Appends the first `rowCount` values of `vector` to a column of the same kind. */
export function appendVector(column: BuilderColumn, vector: Vector, rowCount: number): void {
  const { count } = column;
  const end = count + rowCount;
  while (column.valid.length < end) column.grow();
  if (column.kind === 'string') {
    assert(vector.kind === 'string', 'a string column takes from a string vector');
    appendStrings(column, vector, rowCount);
  } else {
    assert(vector.kind === column.kind, 'a column takes from a vector of its kind');
    column.values.set(vector.values.subarray(0, rowCount) as never, count);
  }
  column.count = end;
  if (vector.valid === null) return;
  for (let row = 0; row < rowCount; row++) {
    if (vector.valid[row] === 1) continue;
    column.valid[count + row] = 0;
    column.nullCount++;
  }
}

function appendStrings(
  column: Extract<BuilderColumn, { kind: 'string' }>,
  vector: Extract<Vector, { kind: 'string' }>,
  rowCount: number,
): void {
  const { offsets, count } = column;
  const from = vector.offsets[0]!;
  const length = vector.offsets[rowCount]! - from;
  const at = offsets[count]!;
  if (at + length > column.bytes.length) column.growBytes(at + length);
  column.bytes.set(vector.bytes.subarray(from, from + length), at);
  const shift = at - from;
  for (let row = 1; row <= rowCount; row++) {
    offsets[count + row] = vector.offsets[row]! + shift;
  }
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
