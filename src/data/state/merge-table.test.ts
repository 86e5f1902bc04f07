import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AggregateSpec } from '../../plan/logical-plan.ts';
import { partialSchema } from '../../plan/partials.ts';
import type { RowObject } from '../../schema/data-type.ts';
import { aggregateCall, column } from '../../testing/plan-builder.ts';
import { batchToRows, rowsToBatch } from '../columnar/rows.ts';
import type { Batch } from '../columnar/batch.ts';
import { accumulatorsOf } from './keyed-table.ts';
import { MergeTable } from './merge-table.ts';

const aggregate: AggregateSpec = {
  keys: [],
  window: { kind: 'tumbling', sizeMs: 10, offsetMs: 0 },
  aggregates: [
    aggregateCall('total', 'sum', { args: [column('real', 'float64')], type: 'float64?' }),
  ],
  time: column('time', 'timestamp'),
  allowedLatenessMs: 0,
  late: null,
  emit: 'close',
};

function partials(rows: readonly (readonly [pane: number, rows: number, total: number])[]): Batch {
  const objects = rows.map(([pane, count, total]): RowObject => {
    return { $pane: pane, $rows: count, $a0_0: total };
  });
  return rowsToBatch(partialSchema(aggregate), objects, {
    nowMs: 0,
    timeAheadMsMax: Infinity,
    timeField: -1,
    onBad: (error) => assert.fail(error.message),
  });
}

function table(): MergeTable {
  return new MergeTable(aggregate, accumulatorsOf(aggregate, new Map()));
}

test('MergeTable gives one partial a pane, in order of first sight, with all rows counted', () => {
  const merged = table();
  merged.fold(
    partials([
      [10, 2, 1],
      [0, 1, 5],
    ]),
  );
  merged.fold(
    partials([
      [0, 3, 7],
      [20, 1, 2],
      [10, 4, 9],
    ]),
  );
  assert.deepEqual(batchToRows(merged.flush()[0]!), [
    { $pane: 10, $rows: 6, $a0_0: 10 },
    { $pane: 0, $rows: 4, $a0_0: 12 },
    { $pane: 20, $rows: 1, $a0_0: 2 },
  ]);
});

test('MergeTable adds in the order in which partials come, and forgets what it gave', () => {
  const merged = table();
  const tiny = 2 ** -53;
  const sumOf = (...parts: readonly number[]): unknown => {
    merged.clear();
    for (const part of parts) merged.fold(partials([[0, 1, part]]));
    return batchToRows(merged.flush()[0]!)[0]?.['$a0_0'];
  };
  assert.equal(sumOf(1, tiny, tiny), 1);
  assert.equal(sumOf(tiny, tiny, 1), 1 + 2 * tiny);
  assert.equal(sumOf(1, tiny, tiny), 1);
  merged.clear();
  assert.equal(merged.count, 0);
});

test('MergeTable holds more panes than it began with room for', () => {
  const merged = table();
  const panes = Array.from({ length: 1000 }, (_, index) => index * 10);
  for (const turn of [1, 2]) merged.fold(partials(panes.map((pane) => [pane, 1, turn * pane])));
  const rows = batchToRows(merged.flush()[0]!);
  assert.deepEqual(
    rows.map((row) => row['$a0_0']),
    panes.map((pane) => 3 * pane),
  );
});
