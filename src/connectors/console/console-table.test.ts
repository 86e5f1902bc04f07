import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RowSchema } from '../../schema/data-type.ts';
import { rowsAsBatch, sinkContext } from '../sink-writing.fixture.ts';
import { consoleTable } from './console-table.ts';
import type { ConsoleTableOptions } from './console-table.ts';

const schema: RowSchema = {
  fields: [
    { name: 'user', path: ['user'], type: { kind: 'string' }, nullable: false },
    { name: 'count', path: ['count'], type: { kind: 'int32' }, nullable: true },
  ],
};

type User = { readonly user: string; readonly count: number | null };

/** What is written for each micro-batch. */
async function check(
  options: ConsoleTableOptions,
  terminal: { readonly isTTY: boolean; readonly columns?: number; readonly rows?: number },
  ...batches: readonly User[][]
): Promise<string[]> {
  const written: string[] = [];
  const output = { ...terminal, write: (text: string) => written.push(text) };
  const sink = consoleTable({ environment: {}, ...options, output });
  const context = { ...sinkContext(schema), name: 'table' };
  await sink.prepare(context);
  const writer = await sink.open(0, context);
  for (const [batch, rows] of batches.entries()) {
    await writer.commit({ batch, rows: rowsAsBatch(schema, rows), watermarkMs: 0 });
  }
  await writer.close();
  await sink.finish();
  return written;
}

test('consoleTable: prints plain lines where there is no terminal', async () => {
  const written = await check(
    { columns: ['count', 'user'], key: ['user'] },
    { isTTY: false },
    [{ user: 'a\u001b[31m', count: 1 }],
    [{ user: 'b', count: null }],
  );
  assert.deepEqual(written, ['count=1 user=a?[31m\n', 'count= user=b\n']);
});

test('consoleTable: redraws the latest row of each key', async () => {
  const written = await check(
    { key: ['user'] },
    { isTTY: true },
    [
      { user: 'bob', count: 1 },
      { user: 'al', count: 2 },
    ],
    [{ user: 'bob', count: 10 }],
  );
  assert.deepEqual(written, [
    '\r\u001b[1muser  count\u001b[0m\u001b[K\nal        2\u001b[K\nbob       1\u001b[K\n\u001b[J',
    '\r\u001b[3A\u001b[1muser  count\u001b[0m\u001b[K\n' +
      'al        2\u001b[K\nbob      10\u001b[K\n\u001b[J',
  ]);
});

test('consoleTable: respects NO_COLOR, the width and the height', async () => {
  const rows = ['first', 'second', 'third'].map((user, count) => ({ user, count }));
  const options = { environment: { NO_COLOR: '1' } };
  const written = await check(options, { isTTY: true, columns: 10, rows: 4 }, rows);
  assert.deepEqual(written, ['\ruser    c\u001b[K\nsecond\u001b[K\nthird\u001b[K\n\u001b[J']);
});

test('consoleTable: names a column that is not there', async () => {
  const terminal = { isTTY: true };
  await assert.rejects(check({ key: ['usr'] }, terminal), { code: 'column-unknown' });
  await assert.rejects(check({ columns: ['cnt'] }, terminal), { code: 'column-unknown' });
});
