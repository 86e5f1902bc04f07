import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RowObject } from '../../schema/data-type.ts';
import { schemaOf } from '../../testing/plan-builder.ts';
import type { Batch } from '../columnar/batch.ts';
import { batchToRows, rowsToBatch } from '../columnar/rows.ts';
import { gather } from '../columnar/select.ts';
import { ColumnReader } from '../snapshot/column-reader.ts';
import { ColumnWriter } from '../snapshot/column-writer.ts';
import { BroadcastTable } from './broadcast-table.ts';

const schema = schemaOf({ id: 'int32?', rate: 'float64', note: 'string?' });

function batchOf(rows: readonly RowObject[]): Batch {
  return rowsToBatch(schema, rows, {
    nowMs: 0,
    timeAheadMsMax: Infinity,
    timeField: -1,
    onBad: (error) => assert.fail(error.message),
  });
}

const row = fc.record(
  {
    id: fc.option(fc.integer({ min: 0, max: 30 })),
    rate: fc.integer(),
    note: fc.option(fc.constantFrom('', 'a', 'a longer note')),
  },
  { noNullPrototype: true },
);

function columnsOf(table: BroadcastTable): Uint8Array {
  const columns = new ColumnWriter();
  table.save(columns);
  const bytes = new Uint8Array(columns.byteLength);
  columns.copyTo(bytes, 0);
  return bytes;
}

function latestRows(table: BroadcastTable): readonly RowObject[] {
  const all = { schema, rowCount: Infinity, vectors: table.vectors };
  return batchToRows(gather(all, table.latest.subarray(0, table.groups.count)));
}

test('BroadcastTable keeps the latest row of each key, whatever was outdated before', () => {
  const batches = fc.array(fc.array(row, { maxLength: 80 }), { maxLength: 12 });
  fc.assert(
    fc.property(batches, (list) => {
      const table = new BroadcastTable(schema, ['id']);
      const expected = new Map<number, RowObject>();
      for (const rows of list) {
        table.fold(batchOf(rows));
        for (const one of rows) if (one.id !== null) expected.set(one.id, one);
      }
      // A `Map` keeps the place of a key that is set again, as the table does.
      const saved = columnsOf(table);
      const restored = new BroadcastTable(schema, ['id']);
      restored.load(new ColumnReader(saved, 0, saved.length));
      assert.deepEqual(latestRows(restored), [...expected.values()]);
      assert.deepEqual(columnsOf(restored), saved);
    }),
    { numRuns: 200 },
  );
});

test('BroadcastTable does not grow with the number of times that a key is broadcast', () => {
  const table = new BroadcastTable(schema, ['id']);
  const rows = Array.from({ length: 100 }, (_, id) => ({ id, rate: id, note: 'of some length' }));
  for (let turn = 0; turn < 10; turn++) table.fold(batchOf(rows));
  const size = table.byteSize();
  for (let turn = 0; turn < 1000; turn++) table.fold(batchOf(rows));
  assert.ok(table.byteSize() <= 2 * size, `${table.byteSize()} bytes after ${size}`);
});

test('BroadcastTable takes -0 for 0, and rows without a key for nothing', () => {
  const rates = schemaOf({ rate: 'float64?' });
  const table = new BroadcastTable(rates, ['rate']);
  for (const rate of [0, -0, null]) table.fold({ ...batchOf([]), ...floats(rate) });
  assert.equal(table.groups.count, 1);

  function floats(rate: number | null): Batch {
    const vector = {
      kind: 'number',
      values: Float64Array.of(rate ?? 0),
      valid: rate === null ? Uint8Array.of(0) : null,
    } as const;
    return { schema: rates, rowCount: 1, vectors: [vector] };
  }
});
