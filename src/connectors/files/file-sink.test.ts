import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { StreamError } from '../../base/stream-error.ts';
import type { Batch } from '../../data/columnar/batch.ts';
import type { Sink, SinkContext } from '../../ports/sink.ts';
import type { RowSchema } from '../../schema/data-type.ts';
import { rowsAsBatch, sinkContext } from '../sink-writing.fixture.ts';
import { csv, jsonLines } from './file-sink.ts';

const folder = mkdtempSync(join(tmpdir(), 'mizzle-sink-'));
after(() => rmSync(folder, { recursive: true }));

const schema: RowSchema = {
  fields: [
    { name: 'n', path: ['n'], type: { kind: 'int32' }, nullable: false },
    { name: 'text', path: ['text'], type: { kind: 'string' }, nullable: true },
  ],
};
const context = sinkContext(schema);

/** Of a history of its own. */
function newRun(): SinkContext {
  return sinkContext(schema, { history: randomUUID() });
}

function batchOf(...rows: { n: number; text: string | null }[]): Batch {
  return rowsAsBatch(schema, rows);
}

/** What a reader of the folder sees. */
function visible(path: string): string[] {
  return readdirSync(path).filter((name) => !name.startsWith('.'));
}

async function commit(sink: Sink, partition: number, batches: readonly [number, Batch][]) {
  const writer = await sink.open(partition, context);
  for (const [batch, rows] of batches) await writer.commit({ batch, rows, watermarkMs: 0 });
  await writer.close();
}

test('jsonLines: a folder gets a file for each partition and micro-batch', async () => {
  const path = `${join(folder, 'new', 'out')}/`;
  const sink = jsonLines(path);
  assert.equal(sink.partitions, null);
  await sink.prepare(context);
  await commit(sink, 3, [
    [7, batchOf({ n: 1, text: 'a' }, { n: 2, text: null })],
    [12, batchOf({ n: 3, text: 'b' })],
  ]);
  assert.deepEqual(visible(path), ['part-3-000000000007.jsonl', 'part-3-000000000012.jsonl']);
  const first = readFileSync(join(path, 'part-3-000000000007.jsonl'), 'utf8');
  assert.equal(first, '{"n":1,"text":"a"}\n{"n":2,"text":null}\n');
});

test('jsonLines: refuses what is there already, unless it may overwrite it', async () => {
  const path = join(folder, 'full');
  mkdirSync(path);
  writeFileSync(join(path, 'part-0-000000000001.jsonl'), '{}\n');
  writeFileSync(join(path, 'notes.txt'), '');
  await assert.rejects(jsonLines(path).prepare(newRun()), { code: 'output-exists' });
  await jsonLines(path, { overwrite: true }).prepare(newRun());
  assert.deepEqual(visible(path), ['notes.txt']);
  const file = join(path, 'notes.txt');
  const empty = jsonLines(file);
  await empty.prepare(newRun());
  await empty.finish();
  writeFileSync(file, 'old');
  await assert.rejects(jsonLines(file).prepare(newRun()), { code: 'output-exists' });
  await jsonLines(file, { overwrite: true }).prepare(newRun());
  assert.equal(readFileSync(file, 'utf8'), '');
});

test('jsonLines: one file grows by each micro-batch', async () => {
  const path = join(folder, 'all.jsonl');
  const sink = jsonLines(path);
  assert.equal(sink.partitions, 1);
  await sink.prepare(context);
  await commit(sink, 0, [
    [1, batchOf({ n: 1, text: 'a' })],
    [2, batchOf({ n: 2, text: 'b' })],
  ]);
  assert.equal(readFileSync(path, 'utf8'), '{"n":1,"text":"a"}\n{"n":2,"text":"b"}\n');
});

test('csv: every file has a header and quotes what needs it', async () => {
  const path = join(folder, 'all.csv');
  await csv(path).prepare(context);
  const rows = batchOf({ n: 1, text: 'a,"b"\n' }, { n: 2, text: null }, { n: 3, text: '' });
  await commit(csv(path), 0, [[1, rows]]);
  assert.equal(readFileSync(path, 'utf8'), 'n,text\n1,"a,""b""\n"\n2,\n3,""\n');
  const parts = `${join(folder, 'csv')}/`;
  await csv(parts, { delimiter: ';' }).prepare(context);
  await commit(csv(parts, { delimiter: ';' }), 1, [[9, batchOf({ n: 1, text: 'a,b' })]]);
  assert.equal(readFileSync(join(parts, 'part-1-000000000009.csv'), 'utf8'), 'n;text\n1;a,b\n');
});

test('jsonLines: a part file is whole whenever it can be seen', async () => {
  const path = `${join(folder, 'atomic')}/`;
  const sink = jsonLines(path, { fsync: false });
  await sink.prepare(context);
  const rows = Array.from({ length: 5000 }, (_, n) => ({ n, text: 'x'.repeat(100) }));
  const batch = batchOf(...rows);
  const writer = await sink.open(0, context);
  let expected = '';
  for (let number = 1; number <= 20; number++) {
    let committed = false;
    const writing = writer.commit({ batch: number, rows: batch, watermarkMs: 0 }).then(() => {
      committed = true;
    });
    while (!committed) {
      for (const name of readdirSync(path).filter((some) => some.startsWith('part-'))) {
        const text = readFileSync(join(path, name), 'utf8');
        if (expected === '') expected = text;
        assert.equal(text.length, expected.length);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await writing;
  }
  assert.equal(expected.trim().split('\n').length, rows.length);
  await writer.close();
});

test('jsonLines: names the file when it cannot be written', async () => {
  const sink = jsonLines(join(folder, 'all.jsonl', 'below'));
  await assert.rejects(sink.prepare(context), { name: 'StreamError' });
  const gone = jsonLines(`${join(folder, 'gone')}/`);
  await assert.rejects(commit(gone, 0, [[1, batchOf()]]), {
    code: 'output-not-shared',
    fields: { target: `${join(folder, 'gone')}/`, ledger: join(folder, 'gone', '.mizzle') },
  });
});

test('jsonLines: a full disk is an error with a hint', async () => {
  await assert.rejects(commit(jsonLines('/dev/full'), 0, [[1, batchOf({ n: 1, text: '' })]]), {
    code: 'disk-full',
  });
});

test('jsonLines: refuses a path that another sink of the process writes to', async () => {
  const path = join(folder, 'shared.jsonl');
  const first = jsonLines(path);
  await first.prepare(context);
  const second = jsonLines(`${folder}/./shared.jsonl`, { overwrite: true });
  await assert.rejects(second.prepare(context), { code: 'output-in-use' });
  await second.finish();
  await assert.rejects(second.prepare(context), { code: 'output-in-use' });
  await first.finish();
  await second.prepare(context);
  await second.finish();
});

test('jsonLines: leaves nothing of a part file behind that it could not write', async () => {
  const path = `${join(folder, 'blocked')}/`;
  const sink = jsonLines(path);
  await sink.prepare(context);
  mkdirSync(join(path, 'part-0-000000000001.jsonl'));
  const writer = await sink.open(0, context);
  const output = { batch: 1, rows: batchOf({ n: 1, text: 'a' }), watermarkMs: 0 };
  await assert.rejects(writer.commit(output), StreamError);
  assert.deepEqual(visible(path), ['part-0-000000000001.jsonl']);
});
