// What the tests of sinks share: a context, and batches of a small schema.

import assert from 'node:assert/strict';
import { rowsToBatch } from '../data/columnar/rows.ts';
import type { Batch } from '../data/columnar/batch.ts';
import type { SinkContext, SinkRun } from '../ports/sink.ts';
import type { RowObject, RowSchema } from '../schema/data-type.ts';

export function sinkContext(schema: RowSchema, run: Partial<SinkRun> = {}): SinkContext {
  return { nowMs: () => 0, schema, name: 'out', run: { ...firstRun, ...run } };
}

const firstRun: SinkRun = {
  pipeline: 'test',
  history: 'first',
  term: 1,
  incarnation: 1,
  resumes: false,
  keeps: null,
};

export function rowsAsBatch(schema: RowSchema, rows: readonly RowObject[]): Batch {
  const check = { nowMs: 0, timeAheadMsMax: 0, timeField: -1, onBad: () => assert.fail() };
  return rowsToBatch(schema, rows, check);
}
