// Rows that leave an aggregate: keys, windowStart and windowEnd, results. Collected as pieces, one
// for each table that emits, and joined into one batch at the end of the micro-batch.

import type { RowSchema } from '../../schema/data-type.ts';
import type { Batch, Vector } from '../columnar/batch.ts';
import { gather as gatherBatch, concat } from '../columnar/select.ts';
import type { Accumulator } from './accumulator.ts';
import type { GroupTable } from './group-table.ts';

export class WindowOutput {
  readonly #schema: RowSchema;
  readonly #keyCount: number;
  #pieces: Batch[] = [];

  constructor(schema: RowSchema, keyCount: number) {
    this.#schema = schema;
    this.#keyCount = keyCount;
  }

  /** The groups of a table as rows of one window; a global window has no bounds. */
  emitWindow(table: GroupTable, groups: Int32Array, window: WindowBounds | null): void {
    const bounds =
      window === null ? [] : [constant(window.start, groups), constant(window.end, groups)];
    this.emitRows(table, table.accumulators, { groups, keyRows: groups, bounds });
  }

  /** As `emitWindow`, where keys and bounds come row by row. */
  emitRows(keys: GroupTable, accumulators: readonly Accumulator[], rows: OutputRows): void {
    const { groups, keyRows, bounds } = rows;
    if (groups.length === 0) return;
    const keyBatch: Batch = {
      schema: { fields: this.#schema.fields.slice(0, this.#keyCount) },
      rowCount: keys.count,
      vectors: keys.keyVectors(),
    };
    const vectors = [
      ...gatherBatch(keyBatch, keyRows).vectors,
      ...bounds,
      ...accumulators.map((accumulator) => accumulator.result(groups)),
    ];
    this.#pieces.push({ schema: this.#schema, rowCount: groups.length, vectors });
  }

  /** What was emitted since the last call, or null. */
  take(): Batch | null {
    const pieces = this.#pieces;
    if (pieces.length === 0) return null;
    this.#pieces = [];
    return pieces.length === 1 ? pieces[0]! : concat(this.#schema, pieces);
  }
}

export type WindowBounds = { readonly start: number; readonly end: number };

export type OutputRows = {
  /** Groups of the accumulators. */
  readonly groups: Int32Array;
  /** Groups of the key table, one for each row. */
  readonly keyRows: Int32Array;
  readonly bounds: readonly Vector[];
};

function constant(value: number, groups: Int32Array): Vector {
  return { kind: 'number', values: new Float64Array(groups.length).fill(value), valid: null };
}
