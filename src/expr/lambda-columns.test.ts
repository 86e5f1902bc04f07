// What lambdas read, from the commonest forms to those that hide it. A column too many is slow; a
// column too few is wrong, so each doubtful form must give all.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columnsReadBy } from './lambda-columns.ts';

type Row = { a: number; b: number; c: number; $d: number };
const names = ['a', 'b', 'c', '$d'];

function readOf(source: string, index = 0): string {
  // oxlint-disable-next-line no-new-func -- Sources that no formatter touches.
  const fn = new Function(`return ${source}`)() as (...args: never[]) => unknown;
  return columnsReadBy(fn, index, names).join();
}

test('columnsReadBy finds members that are read by name', () => {
  const typed = (row: Row, ctx: { batchTimeMs: number }): number => row.a + ctx.batchTimeMs + row.c;
  assert.deepEqual(columnsReadBy(typed, 0, names), ['a', 'c']);
  const cases = {
    'row => row.a': 'a',
    '(row) => row.b > 1 && row\n  ?.c': 'b,c',
    'async r => r . $d': '$d',
    'function (row) { return row.a; }': 'a',
    'function named(row, ctx) { return ctx.time + row.b; }': 'b',
    '({ a, c: x, $d = 2 }) => a + x': 'a,c,$d',
    '({ a }, ctx) => a': 'a',
    '() => true': '',
    '_ => 1': '',
    '(row) => ["row.b", { arrow: row.a }]': 'a,b',
    '(row) => arrow.row.c + rows.b + row.a': 'a,c',
    '({ add(row) { return row.a } }).add': 'a',
  };
  for (const [source, read] of Object.entries(cases)) assert.equal(readOf(source), read, source);
  assert.equal(readOf('(acc, row) => acc + row.b', 1), 'b');
  assert.equal(readOf('(acc) => acc + 1', 1), '');
  assert.equal(readOf('acc => acc', 1), '');
});

test('columnsReadBy gives all columns when it cannot be sure', () => {
  const doubtful = [
    '(row) => ({ ...row, x: 1 })',
    '(row) => f(row)',
    '(row, ctx) => ctx.row + row.b',
    '(row) => row["a"]',
    '(row) => row?.["a"]',
    '(row) => ({ row })',
    '(row) => { const other = row; return other.a; }',
    '(row) => row.hasOwnProperty("a")',
    '(row) => row.toString()',
    '(row) => row /* here */ .a',
    '(row) => `${row}`',
    '(row) => { for (const k in row) return k; }',
    '({ a, ...rest }) => rest',
    '({ ["a"]: x }) => x',
    '({ a: { b } }) => b',
    '({ a = g({}) }) => a',
    '(row = {}) => row.a',
    '(...rows) => rows.a',
    '(/* the row */ row) => row.a',
    'function (row) { return arguments[0].b + row.a; }',
    '(row) => eval("ro" + "w").b + row.a',
    '(row) => r\\u006fw.b + row.a',
    '((row) => row.a).bind(null)',
    '(class { static f(row) { return row.a; } })',
    'Math.abs',
    'new Proxy((row) => row.a, {})',
  ];
  for (const source of doubtful) assert.equal(readOf(source), names.join(), source);
  assert.equal(readOf('({ a }, row) => f(row)', 1), names.join());
  assert.equal(readOf('(acc = 1, row) => row.a', 1), names.join());
});
