import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { SourceReader } from '../../ports/source.ts';
import { readAll, sourceContext, textOf } from '../source-reading.fixture.ts';
import { FilesSource } from './files.ts';
import type { FilesOptions } from './files.ts';
import { recordBytesMax } from './segment-filler.ts';

const folder = mkdtempSync(join(tmpdir(), 'mizzle-files-'));
after(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** The records of each partition. */
async function check(options: FilesOptions, workerCount = 1): Promise<string[][]> {
  const source = new FilesSource(options);
  const first = sourceContext({ workerCount });
  const context = { ...first, layout: await source.layout(first) };
  const count = await source.partitions(context);
  const partitions: string[][] = [];
  for (let partition = 0; partition < count; partition++) {
    const records: string[] = [];
    const reader = await source.open(partition, context);
    try {
      await readAll(
        reader,
        () => 1e6,
        (chunk) => records.push(...textOf(chunk)),
      );
    } finally {
      await reader.close();
    }
    partitions.push(records);
  }
  return partitions;
}

test('files: reads a file, also without its last line end', async () => {
  const path = write('a.jsonl', '{"n":1}\n{"n":2}');
  assert.deepEqual(await check({ path }), [['{"n":1}', '{"n":2}']]);
  assert.deepEqual(await check({ path: write('empty.jsonl', '') }), [[]]);
});

test('files: a folder gives a partition for each of its files, by name', async () => {
  const path = join(folder, 'parts');
  mkdirSync(path);
  for (const name of ['b.jsonl', 'a.jsonl', '.hidden.jsonl', 'notes.txt']) {
    writeFileSync(join(path, name), `${name}\n`);
  }
  assert.deepEqual(await check({ path }), [['a.jsonl'], ['b.jsonl']]);
  const all = await check({ path, format: 'jsonl' });
  assert.deepEqual(all.flat(), ['a.jsonl', 'b.jsonl', 'notes.txt']);
});

test('files: a file that comes after the start is not read', async () => {
  const path = join(folder, 'growing');
  mkdirSync(path);
  writeFileSync(join(path, 'b.jsonl'), 'b\n');
  const source = new FilesSource({ path });
  const layout = await source.layout(sourceContext());
  writeFileSync(join(path, 'a.jsonl'), 'a\n');
  appendFileSync(join(path, 'b.jsonl'), 'late\n');
  const context = sourceContext({ layout });
  assert.equal(await source.partitions(context), 1);
  const reader = await source.open(0, context);
  const seen: string[] = [];
  await readAll(
    reader,
    () => 100,
    (chunk) => seen.push(...textOf(chunk)),
  );
  assert.deepEqual(seen, ['b']);
});

test('files: more files than partitions are read in order', async () => {
  const path = join(folder, 'many');
  mkdirSync(path);
  const names = Array.from({ length: 100 }, (_, i) => `${String(i).padStart(3, '0')}.jsonl`);
  for (const name of names) writeFileSync(join(path, name), `${name}\n`);
  const partitions = await check({ path });
  assert.equal(partitions.length, 64);
  assert.deepEqual(partitions.flat(), names);
});

test('files: a large file is read by all workers, each record once', async () => {
  const lines = Array.from(
    { length: 60_000 },
    (_, i) => `{"n":${i},"text":"${'x'.repeat(i % 97)}"}`,
  );
  const path = write('large.jsonl', lines.join('\n'));
  const partitions = await check({ path }, 3);
  assert.equal(partitions.length, 3);
  for (const part of partitions) assert.ok(part.length > 10_000);
  assert.deepEqual(partitions.flat(), lines);
  assert.equal((await check({ path, split: false }, 3)).length, 1);
});

test('files: unpacks .gz', async () => {
  const lines = Array.from({ length: 5000 }, (_, i) => `{"n":${i}}`);
  const path = write('a.jsonl.gz', gzipSync(`${lines.join('\n')}\n`));
  assert.deepEqual(await check({ path }), [lines]);
  const damaged = write('b.jsonl.gz', gzipSync('{"n":1}\n').subarray(0, 20));
  await assert.rejects(check({ path: damaged }), { code: 'file-damaged' });
  await assert.rejects(check({ path: write('c.jsonl.gz', 'no') }), { code: 'file-damaged' });
});

test('files: CSV gives the header as columns', async () => {
  const path = write('a.csv', 'x,"y z"\r\n1,"a\nb"\r\n');
  const source = new FilesSource({ path });
  assert.deepEqual(source.format, { kind: 'csv', delimiter: ',', header: null });
  const reader = await source.open(0, sourceContext());
  const pieces: unknown[] = [];
  await readAll(
    reader,
    () => 100,
    (chunk) => {
      if (chunk.data.kind !== 'bytes') return;
      for (const piece of chunk.data.pieces) pieces.push([piece.originOffset, piece.columns]);
    },
  );
  assert.deepEqual(pieces, [[9, ['x', 'y z']]]);
  const tsv = new FilesSource({ path: 'a.tsv', csv: { header: ['a'] } });
  assert.deepEqual(tsv.format, { kind: 'csv', delimiter: '\t', header: ['a'] });
});

test('files: names the file and what to do about what is wrong with it', async () => {
  const missing = join(folder, 'missing.jsonl');
  await assert.rejects(check({ path: missing }), {
    code: 'file-not-found',
    message: `could not read "${missing}"`,
  });
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  await assert.rejects(check({ path: empty }), { code: 'folder-empty' });
  writeFileSync(join(empty, 'a.csv'), '');
  await assert.rejects(check({ path: empty }), (error: Error & { hint?: string }) => {
    return (
      error.hint ===
      'found "a.csv", looked for .jsonl, .ndjson, .json: state the format to read all'
    );
  });
  const endless = write('endless.jsonl', `{}\n${'x'.repeat(recordBytesMax + 10)}`);
  await assert.rejects(check({ path: endless }), {
    code: 'record-too-long',
    fields: { file: endless, offset: 3, recordBytesMax },
  });
});

test('files: refuses to read a file twice, as itself and in its folder', async () => {
  const twice = join(folder, 'twice');
  mkdirSync(twice);
  const path = write('twice/a.jsonl', '{}\n');
  await assert.rejects(check({ path: [twice, path] }), { code: 'file-twice' });
  await assert.rejects(check({ path: [path, `${twice}/./a.jsonl`] }), { code: 'file-twice' });
});

test('files: refuses a CSV file whose lines end by carriage returns alone', async () => {
  const path = write('old.csv', 'x,y\r1,2\r3,4\r');
  await assert.rejects(check({ path }), { code: 'csv-header' });
});

test('files: says so when it may not read', { skip: process.getuid?.() === 0 }, async () => {
  const path = write('secret.jsonl', '');
  chmodSync(path, 0);
  await assert.rejects(check({ path }), { code: 'file-permission' });
});

test('files: refuses options that contradict each other', () => {
  const refused: FilesOptions[] = [
    { path: [] },
    { path: ['-', 'a'] },
    { path: ['a.csv', 'b.jsonl'] },
    { path: 'a.gz', follow: true },
    { path: 'a.jsonl', csv: { delimiter: ';' } },
    { path: 'a.csv', csv: { delimiter: ', ' } },
  ];
  for (const options of refused) {
    assert.throws(
      () => new FilesSource(options),
      { code: 'option-invalid' },
      JSON.stringify(options),
    );
  }
});

/** Waits until the reader has something and gives its records. */
async function next(reader: SourceReader): Promise<string[]> {
  while (!reader.ready()) await new Promise<void>((resolve) => reader.onReady(resolve));
  return textOf(reader.take(1e6));
}

test('files: follows a growing file, whole lines only, until it is finished', async () => {
  const path = write('followed.jsonl', 'one\ntw');
  const reader = await new FilesSource({ path, follow: true }).open(0, sourceContext());
  assert.deepEqual(await next(reader), ['one']);
  assert.deepEqual(reader.lag(), { records: null, bytes: 2, ms: null });
  appendFileSync(path, 'o\nthree\nfo');
  assert.deepEqual(await next(reader), ['two', 'three']);
  reader.finish();
  assert.deepEqual(reader.take(100), { from: 14, to: 14, ended: true, data: { kind: 'none' } });
  await reader.close();
});

test('files: a followed file that is cut or replaced is an error', async () => {
  const cut = write('cut.jsonl', 'one\ntwo\n');
  const reader = await new FilesSource({ path: cut, follow: true }).open(0, sourceContext());
  await next(reader);
  truncateSync(cut, 2);
  await assert.rejects(next(reader), { code: 'file-truncated' });
  await reader.close();
  const moved = write('moved.jsonl', 'one\n');
  const other = await new FilesSource({ path: moved, follow: true }).open(0, sourceContext());
  await next(other);
  appendFileSync(moved, 'last\n');
  renameSync(moved, `${moved}.1`);
  const seen: string[] = [];
  await assert.rejects(
    async () => {
      for (;;) seen.push(...(await next(other)));
    },
    { code: 'file-rotated' },
  );
  assert.deepEqual(seen, ['last']);
  await other.close();
});

const filesModule = new URL('files.ts', import.meta.url).href;
const stdinScript = `
  import { Worker, isMainThread } from 'node:worker_threads';
  if (isMainThread) {
    new Worker(new URL(import.meta.url));
  } else {
    const { FilesSource } = await import(${JSON.stringify(filesModule)});
    const source = new FilesSource({ path: '-' });
    const context = { workerCount: 1 };
    const reader = await source.open(0, { ...context, layout: await source.layout(context) });
    for (;;) {
      while (!reader.ready()) await new Promise((resolve) => reader.onReady(resolve));
      const { data, ended } = reader.take(1e6);
      for (const { bytes, start, end } of data.pieces ?? []) {
        console.log(JSON.stringify(new TextDecoder().decode(bytes.subarray(start, end))));
        if (end - start === 5) { await reader.close(); process.exit(); }
      }
      if (ended) break;
    }
    await reader.close();
  }`;

async function runStdin(
  feed: (write: (text: string) => void, end: () => void) => void,
): Promise<string> {
  const script = join(folder, 'stdin.mjs');
  writeFileSync(script, stdinScript);
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  feed(
    (text) => child.stdin.write(text),
    () => child.stdin.end(),
  );
  child.stdin.on('error', () => {});
  let output = '';
  for await (const text of child.stdout.setEncoding('utf8')) output += text;
  return output;
}

test('files: reads standard input in a worker thread to its end', async () => {
  const output = await runStdin((put, end) => {
    put('{"n":1}\n{"n"');
    put(':2}');
    end();
  });
  const text = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as string)
    .join('');
  assert.equal(text, '{"n":1}\n{"n":2}');
});

test('files: standard input that stays open does not keep a finished run', async () => {
  const output = await runStdin((put) => put('four\n'));
  assert.equal(output, '"four\\n"\n');
});
