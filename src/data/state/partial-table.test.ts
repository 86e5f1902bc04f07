import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AggregateSpec } from '../../plan/logical-plan.ts';
import { aggregateCall, column } from '../../testing/plan-builder.ts';
import { batchToRows } from '../columnar/rows.ts';
import { hashAt } from '../shuffle/hash.ts';
import { accumulatorsOf } from './keyed-table.ts';
import { PartialTable } from './partial-table.ts';
import type { DictionaryColumn } from './partial-table.ts';

const aggregate: AggregateSpec = {
  keys: [{ name: 'key', expr: column('key', 'int32') }],
  window: { kind: 'tumbling', sizeMs: 10, offsetMs: 0 },
  aggregates: [aggregateCall('rows', 'count')],
  time: column('time', 'timestamp'),
  allowedLatenessMs: 0,
  late: null,
  emit: 'close',
};

function dictionaryOf(size: number) {
  const values = {
    kind: 'int32',
    valid: null,
    values: Int32Array.from({ length: size }, (_, i) => i),
  } as const;
  return { values, hashes: values.values.map((_, id) => hashAt(values, id)), size };
}

function directTable(size: number): PartialTable {
  const accumulators = accumulatorsOf(aggregate, new Map());
  return new PartialTable({ aggregate, dictionaries: [dictionaryOf(size)], accumulators });
}

/** What generated code does for a row. */
function add(table: PartialTable, id: number, pane: number): void {
  const slot = table.paneBase(pane) + id;
  let group = table.direct[slot]! - 1;
  if (group < 0) {
    group = table.insertDirect(slot, id, pane);
    (table.keys[0] as DictionaryColumn).append(id);
  }
  table.rows[group]! += 1;
}

function sums(table: PartialTable): Map<string, number> {
  const counts = new Map<string, number>();
  for (const batch of table.flush(3)) {
    for (const row of batch === null ? [] : batchToRows(batch)) {
      const name = `${row['key']}@${row['$pane']}`;
      counts.set(name, (counts.get(name) ?? 0) + Number(row['$rows']));
    }
  }
  return counts;
}

test('PartialTable stays small however wild event times are, and loses nothing', () => {
  const table = directTable(50_000);
  const expected = new Map<string, number>();
  for (let round = 0; round < 3; round++) {
    for (let pane = 0; pane < 500; pane++) {
      const id = (pane * 7919) % 50_000;
      add(table, id, pane * 10);
      add(table, id, pane * 10);
      expected.set(`${id}@${pane * 10}`, (round + 1) * 2);
    }
  }
  assert.deepEqual(sums(table), expected);
  assert.ok(table.direct.length <= 1 << 21, `${table.direct.length} slots`);
});

test('PartialTable is as new after clear', () => {
  const table = directTable(100);
  for (let round = 0; round < 3; round++) {
    for (let id = 0; id < 100; id++) add(table, id, (id % 3) * 10);
    const counts = sums(table);
    assert.equal(counts.size, 100);
    assert.ok([...counts.values()].every((count) => count === 1));
    table.clear();
    assert.equal(
      table.direct.findIndex((slot) => slot !== 0),
      -1,
    );
  }
});
