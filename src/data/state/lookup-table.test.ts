import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaOf } from '../../testing/plan-builder.ts';
import type { RowObject, RowSchema } from '../../schema/data-type.ts';
import { rowsToBatch } from '../columnar/rows.ts';
import { encodeUtf8 } from '../columnar/utf8.ts';
import { hashBytes, sampleHash } from '../shuffle/hash.ts';
import { LookupTable } from './lookup-table.ts';

const schema = schemaOf({ key: 'string?', group: 'string?', weight: 'int32' });

function tableOf(of: RowSchema, rows: readonly RowObject[], keys: readonly string[]): LookupTable {
  const onBad = ({ message }: { readonly message: string }): void => assert.fail(message);
  const check = { nowMs: 0, timeAheadMsMax: Infinity, timeField: -1, onBad };
  return new LookupTable(rowsToBatch(of, rows, check), keys);
}

function rowsOf(keys: readonly (string | null)[]): RowObject[] {
  return keys.map((key, index) => ({ key, group: index % 2 === 0 ? 'even' : null, weight: index }));
}

/** Rows that the index holds, slot by slot, each with the rows chained to it. */
function chains(table: LookupTable): number[][] {
  const found: number[][] = [];
  for (const first of table.slots) {
    if (first === 0) continue;
    const chain: number[] = [];
    for (let row = first; row !== 0; row = table.next[row - 1]!) chain.push(row - 1);
    found.push(chain);
  }
  return found.toSorted((a, b) => a[0]! - b[0]!);
}

test('LookupTable chains rows of equal keys in table order and leaves null keys out', () => {
  const table = tableOf(schema, rowsOf(['a', 'b', null, 'a', 'c', 'a']), ['key']);
  assert.deepEqual(chains(table), [[0, 3, 5], [1], [4]]);
  assert.equal(table.hasDuplicates, true);
  const unique = tableOf(schema, rowsOf(['a', 'b']), ['key']);
  assert.equal(unique.hasDuplicates, false);
});

test('LookupTable samples the bytes of a key unless too many keys look alike', () => {
  const ids = Array.from({ length: 100 }, (_, index) => `id-${index}-of-something`);
  const alike = tableOf(schema, rowsOf(ids), ['key']);
  assert.equal(alike.hashing, 'rows');
  assert.equal(chains(alike).length, 100);
  const spread = tableOf(schema, rowsOf(ids.map((id, index) => `${index * 977}${id}`)), ['key']);
  assert.equal(spread.hashing, 'sample');
  assert.equal(chains(spread).length, 100);
  assert.equal(tableOf(schema, rowsOf(ids), ['key', 'weight']).hashing, 'rows');
});

test('LookupTable gives equal values of a column one id, and null the id 0', () => {
  const table = tableOf(schema, rowsOf(['a', 'b', 'c', 'd']), ['key']);
  const { ids, dictionary } = table.dictionary(1);
  assert.deepEqual([...ids], [1, 0, 1, 0]);
  assert.equal(dictionary.size, 2);
});

test('sampleHash reads the ends of long strings and all of short ones', () => {
  const of = (text: string): number => {
    const bytes = encodeUtf8(`..${text}..`);
    return sampleHash(bytes, 2, bytes.length - 2);
  };
  assert.equal(of('abcdXefgh'), of('abcdYefgh'));
  assert.notEqual(of('abcdefgh'), of('abcdXefgh'));
  const short = encodeUtf8('abc');
  assert.equal(of('abc'), hashBytes(short, 0, 3));
});
