import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Random } from '../base/random.ts';
import type { Source } from '../ports/source.ts';
import { int32, string, timestamp } from '../schema/column-type.ts';
import { schema } from '../schema/schema.ts';
import { checkSource } from '../testing/source-conformance.ts';
import { FilesSource } from './files/files.ts';
import type { FilesOptions } from './files/files.ts';
import { generator } from './generator/row-generator.ts';
import { YsbSource } from './generator/ysb-generator.ts';
import { TestCluster } from './kafka/kafka-logs.fixture.ts';
import { makeKafkaSource } from './kafka/kafka-source.ts';
import type { KafkaSourceOptions } from './kafka/source-options.ts';
import { MemoryBytesSource } from './memory/memory-bytes.ts';
import { MemoryRowsSource } from './memory/memory-rows.ts';
import { sourceContext } from './source-reading.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'mizzle-replay-'));
after(() => rmSync(folder, { recursive: true }));

const seeds = Array.from({ length: 8 }, (_, seed) => seed);

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function lines(count: number, seed: number): string {
  const line = (_: unknown, n: number): string =>
    `{"n":${n},"t":"${'x'.repeat((n * seed) % 61)}"}\n`;
  return Array.from({ length: count }, line).join('');
}

async function checkFiles(options: FilesOptions, seed: number, workerCount = 1): Promise<number> {
  const make = (): FilesSource => new FilesSource(options);
  return checkSource({ make, context: sourceContext({ workerCount }), seed });
}

test('memory: ranges of rows can be read again', async () => {
  for (const seed of seeds) {
    const rows = Array.from({ length: 90 }, (_, n) => ({ n, big: BigInt(n) }));
    const make = (): MemoryRowsSource => new MemoryRowsSource([rows, [], rows.slice(3)], seed + 1);
    assert.ok((await checkSource({ make, context: sourceContext(), seed })) > 90 / (seed + 1));
  }
});

test('memory: rows that are no longer there are an error', async () => {
  const replayer = await new MemoryRowsSource([[{ n: 1 }]], 5).replayer(0);
  await assert.rejects(replayer.read(0, 2), { code: 'range-gone', fields: { offset: 2, size: 1 } });
  const from = { ...sourceContext(), from: 2 };
  await assert.rejects(new MemoryRowsSource([[{ n: 1 }]], 5).open(0, from), { code: 'range-gone' });
});

test('memoryBytes: ranges can be read again, over the end of the ring too', async () => {
  for (const seed of seeds) {
    const ring = new TextEncoder().encode(lines(40, seed));
    const make = (): MemoryBytesSource => new MemoryBytesSource({ ring, times: 3 });
    const context = sourceContext({ workerCount: 1 + (seed % 3) });
    assert.ok((await checkSource({ make, context, seed })) > 10);
  }
});

test('generator: rows depend on the offset alone, whenever they are made', async () => {
  const make = () =>
    generator({
      schema: schema({ n: int32(), at: timestamp('ms') }),
      eventsPerSecond: 333,
      events: 1000,
      rows: (index, dueMs) => ({ n: index, at: dueMs }),
    }).source;
  for (const seed of seeds) {
    let nowMs = 1000;
    const context = sourceContext({ startMs: 1000, nowMs: () => (nowMs += 37.5), workerCount: 2 });
    assert.ok((await checkSource({ make, context, seed })) > 20);
  }
});

test('ysbGenerator: bytes and event times depend on the offset alone', async () => {
  for (const seed of seeds) {
    let nowMs = 1_790_000_000_007;
    const make = (): YsbSource => new YsbSource({ eventsPerSecond: 7777, events: 1500, seed });
    const clock = { startMs: nowMs, nowMs: () => (nowMs += 3) };
    const context = sourceContext({ ...clock, workerCount: 1 + (seed % 3) });
    assert.ok((await checkSource({ make, context, seed })) > 20);
  }
});

test('ysbGenerator: a range over 2³² events can be read again', async () => {
  const source = new YsbSource({ eventsPerSecond: 1e9, partitions: 1 });
  const at = 2 ** 32 - 5;
  const context = sourceContext({ startMs: 0, nowMs: () => 1e9, from: at });
  const reader = await source.open(0, context);
  const first = reader.take(1e4);
  assert.equal(first.to, 2 ** 32);
  const second = reader.take(1e4);
  await reader.close();
  const replayer = await source.replayer(0, context);
  const bytes = (chunk: typeof first): Buffer[] =>
    chunk.data.kind !== 'bytes'
      ? []
      : chunk.data.pieces.map((piece) => Buffer.from(piece.bytes.slice(piece.start, piece.end)));
  const whole = await replayer.read(at, second.to);
  assert.deepEqual(Buffer.concat(bytes(whole)), Buffer.concat([first, second].flatMap(bytes)));
});

test('files: ranges of JSON lines can be read again, of split files too', async () => {
  for (const seed of seeds) {
    const path = write('a.jsonl', lines(500, seed).slice(0, seed % 2 === 0 ? -1 : undefined));
    assert.ok((await checkFiles({ path }, seed)) > 10);
  }
  const large = write('large.jsonl', `\ufeff${lines(60_000, 59)}`);
  assert.ok((await checkFiles({ path: large }, 1, 3)) > 100);
});

test('files: ranges of CSV can be read again, with the header far in front', async () => {
  for (const seed of seeds) {
    const row = (_: unknown, n: number): string => `${n},"a\n""${'b'.repeat((n * seed) % 50)}"\r\n`;
    const rows = Array.from({ length: 300 }, row).join('');
    const path = write('a.csv', `${seed % 2 === 0 ? '\ufeff' : ''}n,"te\nxt"\r\n${rows}`);
    assert.ok((await checkFiles({ path }, seed)) > 10);
    const bare = write('bare.csv', rows);
    assert.ok((await checkFiles({ path: bare, csv: { header: ['n', 'text'] } }, seed)) > 10);
  }
});

test('files: ranges over many files, packed ones among them, can be read again', async () => {
  const path = join(folder, 'many');
  mkdirSync(path);
  for (let n = 0; n < 150; n++) {
    const name = join(path, `${String(n).padStart(3, '0')}.csv`);
    const text = `n,t\n${n},x\n${'1,y\n'.repeat(n % 5)}`;
    if (n % 3 === 0) writeFileSync(`${name}.gz`, gzipSync(text));
    else writeFileSync(name, n % 7 === 0 ? text.slice(0, -1) : text);
  }
  assert.ok((await checkFiles({ path, format: 'csv' }, 5)) > 64);
  const one = write('one.jsonl.gz', gzipSync(lines(2000, 7)));
  for (const seed of seeds) assert.ok((await checkFiles({ path: one }, seed)) > 10);
});

test('files: a followed file goes on where the run before had ended', async () => {
  const path = write('followed.jsonl', lines(6000, 13));
  const make = (): FilesSource => new FilesSource({ path, follow: true });
  for (const seed of seeds) {
    const takesMax = 5;
    assert.ok((await checkSource({ make, context: sourceContext(), seed, takesMax })) >= 5);
  }
});

test('files: files that come or grow later are no part of a run that resumes', async () => {
  const path = join(folder, 'kept');
  mkdirSync(path);
  writeFileSync(join(path, 'b.jsonl'), 'b\n');
  const layout = await new FilesSource({ path }).layout(sourceContext());
  writeFileSync(join(path, 'a.jsonl'), 'a\n');
  appendFileSync(join(path, 'b.jsonl'), 'late\n');
  const source = new FilesSource({ path });
  const context = sourceContext({ layout, workerCount: 9 });
  assert.deepEqual(await source.layout(context), layout);
  const reader = await source.open(0, { ...context, from: 0 });
  while (!reader.ready()) await new Promise<void>((resolve) => reader.onReady(resolve));
  assert.equal(reader.take(1e6).to, 2);
  await reader.close();
});

test('files: input that was cut or replaced is an error that names file and offset', async () => {
  const path = write('changed.jsonl', lines(50, 3));
  const source = new FilesSource({ path });
  const layout = await source.layout(sourceContext());
  const context = sourceContext({ layout, from: 20 });
  const replayer = await source.replayer(0, context);
  truncateSync(path, 10);
  const cut = { code: 'file-truncated', fields: { file: path, offset: 0, bytes: 10 } };
  await assert.rejects(replayer.read(0, 20), cut);
  await assert.rejects(source.open(0, context), { ...cut, fields: { ...cut.fields, offset: 20 } });
  writeFileSync(path, lines(50, 4).padEnd(5000));
  const other = { code: 'file-changed', fields: { file: path, offset: 20 } };
  await assert.rejects(source.open(0, context), other);
  await assert.rejects((await source.replayer(0, context)).read(20, 40), other);
  rmSync(path);
  await assert.rejects(source.open(0, context), { code: 'file-not-found' });
});

test('kafka: ranges can be read again, in every form of record', async () => {
  const all = schema({ n: int32(), key: string().nullable(), at: timestamp('ms') });
  const forms: readonly Partial<KafkaSourceOptions>[] = [
    {},
    { columns: { key: 'key', at: 'timestamp' } },
    { format: { decode: (value) => ({ n: value.length, key: null, at: 0 }) } },
  ];
  for (const seed of seeds) {
    const cluster = new TestCluster(2);
    fillLogs(cluster, seed);
    const form = forms[seed % forms.length]!;
    const make = (): Source => {
      const options = { brokers: 'test:9092', topic: 'orders', until: 'latest' } as const;
      return makeKafkaSource({ ...options, ...form, schema: all }, cluster.platform()).source;
    };
    assert.ok((await checkSource({ make, context: sourceContext(), seed })) > 20);
    assert.equal(cluster.openWires, 0, 'every connection is closed');
  }
});

/** Batches packed and plain, of transactions that are kept and dropped, with gaps. */
function fillLogs(cluster: TestCluster, seed: number): void {
  const random = new Random(seed);
  for (const log of cluster.logs) {
    for (let n = 0; n < 60; n++) {
      const records = Array.from({ length: random.integer(1, 9) }, (_, index) => ({
        value: random.chance(0.1) ? null : `{"n":${n * 10 + index}}`,
        key: random.chance(0.5) ? null : `k${n}`,
      }));
      const compression = random.pick(['none', 'none', 'gzip', 'zstd'] as const);
      const producerId = random.integer(1, 3);
      const transactional = random.chance(0.4);
      log.append(records, { compression, producerId, transactional });
      if (random.chance(0.3)) log.mark(producerId, random.chance(0.5) ? 'commit' : 'abort');
    }
    for (const producerId of [1, 2, 3]) log.mark(producerId, 'commit');
    if (seed % 2 === 0) log.compact((offset) => (offset * 7) % 5 !== seed % 5);
  }
  cluster.answerBytesMax = 100 * seed + 1500;
}

test('files: standard input is not replayable', () => {
  assert.equal(new FilesSource({ path: '-' }).replayable, false);
  assert.equal(new FilesSource({ path: '/dev/null' }).replayable, false);
  assert.equal(new FilesSource({ path: 'a.jsonl' }).replayable, true);
});
