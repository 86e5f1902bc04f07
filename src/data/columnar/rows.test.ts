// What a memory source may give, and what is said of the rest.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataType, RowSchema, RowValue, TimeEncoding } from '../../schema/data-type.ts';
import { batchToRows, rowObjectsToBatch, rowsToBatch } from './rows.ts';
import type { RowError } from './rows.ts';

function schemaOf(type: DataType, nullable = false): RowSchema {
  return { fields: [{ name: 'x', path: ['x'], type, nullable }] };
}

function read(schema: RowSchema, rows: readonly unknown[]): { good: RowValue[]; bad: RowError[] } {
  const bad: RowError[] = [];
  const check = { nowMs: 1000, timeAheadMsMax: 10, timeField: -1 };
  const batch = rowsToBatch(schema, rows, { ...check, onBad: (error) => bad.push(error) });
  return { good: batchToRows(batch).map((row) => row['x'] ?? null), bad };
}

function readValues(type: DataType, values: readonly unknown[]): readonly unknown[] {
  const { good, bad } = read(
    schemaOf(type),
    values.map((x) => ({ x })),
  );
  const codes = new Map(bad.map((error) => [error.row, error.code]));
  return values.map((_, row) => codes.get(row) ?? good.shift());
}

test('rowsToBatch checks every value against its type', () => {
  const type = 'json-type';
  const range = 'number-range';
  assert.deepEqual(readValues({ kind: 'boolean' }, [true, 1, 'true']), [true, type, type]);
  assert.deepEqual(readValues({ kind: 'int32' }, [-5, 1.5, 2 ** 31, NaN, 5n]), [
    -5,
    range,
    range,
    range,
    type,
  ]);
  assert.deepEqual(readValues({ kind: 'int64' }, [7, 7n, 2n ** 63n, 2 ** 53, '7']), [
    7n,
    7n,
    range,
    range,
    type,
  ]);
  assert.deepEqual(readValues({ kind: 'float64' }, [1.5, NaN, '1']), [1.5, NaN, type]);
  assert.deepEqual(readValues({ kind: 'string' }, ['é', 5, {}]), ['é', type, type]);
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  assert.deepEqual(readValues({ kind: 'json' }, [{ a: [1] }, 'text', 5n, cycle, () => 1]), [
    { a: [1] },
    'text',
    type,
    type,
    type,
  ]);
});

test('rowsToBatch reads times by their encoding', () => {
  const at = (encoding: TimeEncoding, ...values: unknown[]): readonly unknown[] =>
    readValues({ kind: 'timestamp', encoding }, values);
  assert.deepEqual(at('s', 1.5, '2', new Date(7)), [1500, 2000, 7]);
  assert.deepEqual(at('ms', 1.9, '25', '1970-01-02', -0.0), [1, 25, 'json-type', 0]);
  assert.deepEqual(at('us', 1999, '2000'), [1, 2]);
  assert.deepEqual(at('auto', 5, '1970-01-01T00:00:01Z', '6'), [5, 1000, 6]);
  assert.deepEqual(at('iso', '1970-01-02', 'soon', '25', true, null, new Date(NaN)), [
    86_400_000,
    'json-type',
    'json-type',
    'json-type',
    'json-missing',
    'number-range',
  ]);
});

test('rowsToBatch reads null and undefined as null where that is allowed', () => {
  const rows = [{ x: null }, {}, { x: 'a' }, null, 'text'];
  assert.deepEqual(read(schemaOf({ kind: 'string' }, true), rows).good, [
    null,
    null,
    'a',
    null,
    null,
  ]);
  assert.deepEqual(read(schemaOf({ kind: 'string' }), rows).good, ['a']);
});

test('rowsToBatch looks fields up by path, among own members only', () => {
  const type: DataType = { kind: 'string' };
  const field = { name: 'x', path: ['user', 'id'], type, nullable: true };
  const rows = [{ user: { id: 'u1' } }, { user: 'u1' }, { user: Object.create({ id: 'u2' }) }];
  assert.deepEqual(read({ fields: [field] }, rows).good, ['u1', null, null]);
  const method = { name: 'x', path: ['toString'], type, nullable: false };
  assert.deepEqual(
    read({ fields: [method] }, [{}]).bad.map((bad) => bad.code),
    ['json-missing'],
  );
});

test('rowsToBatch leaves a bad row out whole and says why', () => {
  const fields = [
    { name: 'a', path: ['a'], type: { kind: 'string' }, nullable: true },
    { name: 'at', path: ['at'], type: { kind: 'timestamp', encoding: 'ms' }, nullable: false },
  ] as const;
  const bad: RowError[] = [];
  const rows = [{ a: 'x', at: 1010 }, { a: null, at: 1011 }, { a: 'y', at: -1 }, { a: 'z' }];
  const batch = rowsToBatch({ fields }, [...rows, { a: 'w', at: 3 }], {
    nowMs: 1000,
    timeAheadMsMax: 10,
    timeField: 1,
    onBad: (error) => bad.push(error),
  });
  assert.deepEqual(batchToRows(batch), [
    { a: 'x', at: 1010 },
    { a: 'w', at: 3 },
  ]);
  assert.deepEqual(
    bad.map(({ row, code, field }) => [row, code, field]),
    [
      [1, 'time-range', 'at'],
      [2, 'time-range', 'at'],
      [3, 'json-missing', 'at'],
    ],
  );
  assert.equal(bad[0]?.message, 'column "at" has 1011, which is no plausible event time');
});

test('batchToRows makes own members of any name', () => {
  const field = { name: '__proto__', path: ['x'], type: { kind: 'string' }, nullable: false };
  const schema = { fields: [field as RowSchema['fields'][number]] };
  const batch = rowsToBatch(schema, [{ x: 'a' }], {
    nowMs: 0,
    timeAheadMsMax: 0,
    timeField: -1,
    onBad: () => assert.fail(),
  });
  assert.deepEqual(Object.entries(batchToRows(batch)[0]!), [['__proto__', 'a']]);
});

test('rowObjectsToBatch takes members by name and times as epoch milliseconds', () => {
  const at = { kind: 'timestamp', encoding: 's' } as const;
  const schema = { fields: [{ name: 'meta.at', path: ['meta', 'at'], type: at, nullable: true }] };
  const rows = [{ 'meta.at': 1_500 }, { 'meta.at': null }];
  const batch = rowObjectsToBatch(schema, rows, (bad) => assert.fail(bad.message));
  assert.deepEqual(batchToRows(batch), rows);
  assert.equal(batch.schema, schema);
});
