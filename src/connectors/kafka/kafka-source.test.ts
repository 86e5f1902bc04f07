import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FetchRequest } from '../../ports/kafka-wire.ts';
import { WireFailure } from '../../ports/kafka-wire.ts';
import { offsetAt } from '../../ports/source-chunk.ts';
import type { SourceChunk } from '../../ports/source-chunk.ts';
import type { SourceContext, SourceReader } from '../../ports/source.ts';
import { int32, string } from '../../schema/column-type.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import { schema } from '../../schema/schema.ts';
import { readAll, sourceContext } from '../source-reading.fixture.ts';
import { TestCluster } from './kafka-logs.fixture.ts';
import { KafkaSource } from './kafka-source.ts';
import type { KafkaSourceOptions } from './source-options.ts';

const columns = schema({ n: int32() });

function sourceOf(cluster: TestCluster, options: Partial<KafkaSourceOptions> = {}): KafkaSource {
  const given = { brokers: 'test:9092', topic: 'orders', schema: columns, ...options };
  return new KafkaSource(given, cluster.platform());
}

/** Records { n } from `from` on. */
function numbers(from: number, count: number): readonly { readonly value: string }[] {
  return Array.from({ length: count }, (_, index) => ({ value: `{"n":${from + index}}` }));
}

function offsetsOf({ data }: SourceChunk): readonly number[] {
  if (data.kind !== 'bytes') return [];
  return data.pieces.flatMap((piece) => {
    const offsets: number[] = [];
    for (let at = piece.start; at < piece.end; at++) {
      if (piece.bytes[at] === 0x7b) offsets.push(offsetAt(piece, at));
    }
    return offsets;
  });
}

async function opened(
  source: KafkaSource,
  part: Partial<SourceContext> = {},
): Promise<{ readonly reader: SourceReader; readonly context: SourceContext }> {
  const layout = await source.layout(sourceContext());
  const context = sourceContext({ layout, ...part });
  return { reader: await source.open(0, context), context };
}

/** Takes until so many records have come, or it ends or fails. */
async function takeOffsets(reader: SourceReader, count: number): Promise<readonly number[]> {
  const offsets: number[] = [];
  while (offsets.length < count) {
    await isReady(reader);
    offsets.push(...offsetsOf(reader.take(1e6)));
  }
  return offsets;
}

async function isReady(reader: SourceReader): Promise<void> {
  if (!reader.ready()) await new Promise<void>((resolve) => reader.onReady(resolve));
}

function upTo(count: number, from = 0): readonly number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

test('a producer is seen again after its abort, within one answer', async () => {
  const cluster = new TestCluster(1);
  const log = cluster.logs[0]!;
  const by7 = { producerId: 7, transactional: true };
  log.append(numbers(0, 2), by7);
  log.append(numbers(2, 1), { producerId: 8, transactional: true });
  log.mark(7, 'abort');
  log.append(numbers(4, 2), by7);
  log.mark(7, 'commit');
  log.mark(8, 'commit');
  log.append(numbers(8, 1), by7);
  const { reader } = await opened(sourceOf(cluster, { until: 'latest' }));
  const chunks: SourceChunk[] = [];
  await readAll(
    reader,
    () => 1e6,
    (chunk) => chunks.push(chunk),
  );
  await reader.close();
  assert.deepEqual(chunks.flatMap(offsetsOf), [2, 4, 5], 'and an open transaction is not');
  assert.equal(chunks.at(-1)!.to, 8);
  const all = await opened(sourceOf(cluster, { isolation: 'read-uncommitted' }));
  assert.deepEqual(await takeOffsets(all.reader, 6), [0, 1, 2, 4, 5, 8]);
  await all.reader.close();
});

test('two runs of one source read the same partition, each all of it', async () => {
  const cluster = new TestCluster(1);
  const log = cluster.logs[0]!;
  const source = sourceOf(cluster, { fetchWaitMs: 20 });
  const first = await opened(source);
  const second = await opened(source);
  const read = Promise.all([first, second].map(({ reader }) => takeOffsets(reader, 6)));
  for (let n = 0; n < 6; n++) {
    log.append(numbers(n, 1));
    cluster.wake();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const late = new Promise((resolve) => setTimeout(resolve, 2_000, 'late'));
  assert.deepEqual(await Promise.race([read, late]), [upTo(6), upTo(6)]);
  await first.reader.close();
  await second.reader.close();
});

test('partitions that the run does not read are told of, once for each number', async () => {
  const cluster = new TestCluster(2);
  // A minute is six milliseconds.
  const platform = { ...cluster.platform(), nowMs: () => performance.now() * 10_000 };
  const given = { brokers: 'test:9092', topic: 'orders', schema: columns, patienceMs: 1e9 };
  const source = new KafkaSource({ ...given, fetchWaitMs: 2 }, platform);
  const layout = await source.layout(sourceContext());
  const warnings: string[] = [];
  const context = sourceContext({ layout, warn: (text) => warnings.push(text) });
  const readers = await Promise.all([0, 1].map((partition) => source.open(partition, context)));
  const passing = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 60));
  await passing();
  assert.deepEqual(warnings, []);
  cluster.addPartition();
  await passing();
  await passing();
  cluster.addPartition();
  await passing();
  assert.equal(warnings.length, 2, warnings.join('\n'));
  assert.match(
    warnings[0]!,
    /"orders" has 3 partitions, and this run reads the 2 .*start it again/,
  );
  assert.match(warnings[1]!, /"orders" has 4 partitions, and this run reads the 2 /);
  await Promise.all(readers.map((reader) => reader.close()));
  cluster.addPartition();
  await passing();
  assert.equal(warnings.length, 2);
});

test('a change of the leader, and brokers that do not answer, are passed over', async () => {
  const cluster = new TestCluster(1);
  const log = cluster.logs[0]!;
  log.append(numbers(0, 3));
  const { reader } = await opened(sourceOf(cluster, { fetchWaitMs: 20 }));
  assert.deepEqual(await takeOffsets(reader, 3), [0, 1, 2]);
  log.leader = 2;
  log.epoch = 5;
  log.append(numbers(3, 2));
  assert.deepEqual(await takeOffsets(reader, 2), [3, 4]);
  let failures = 0;
  cluster.fault = () => (failures++ < 5 ? new WireFailure('gone', { unclear: true }) : null);
  log.append(numbers(5, 1));
  cluster.wake();
  assert.deepEqual(await takeOffsets(reader, 1), [5]);
  assert.ok(failures > 5);
  failures = 0;
  cluster.fault = () => (failures++ < 4 ? 56 : null);
  log.append(numbers(6, 1));
  cluster.wake();
  assert.deepEqual(await takeOffsets(reader, 1), [6]);
  await reader.close();
  assert.equal(cluster.openWires, 0);
});

test('what does not get better is an error, once patience is at an end', async () => {
  const cases = [
    { fault: 6, code: 'kafka-refused' },
    { fault: 29, code: 'kafka-permission' },
    { fault: new WireFailure('gone', { unclear: true }), code: 'kafka-unreachable' },
  ] as const;
  for (const { fault, code } of cases) {
    const cluster = new TestCluster(1);
    const { reader } = await opened(sourceOf(cluster, { patienceMs: 60 }));
    cluster.fault = () => fault;
    await isReady(reader);
    assert.throws(() => reader.take(1e6), { code, message: /partition 0 of the topic "orders"/ });
    await reader.close();
  }
});

test('a topic that is deleted is told from one that is made anew', async () => {
  for (const change of ['deleted', 'recreated'] as const) {
    const cluster = new TestCluster(1);
    cluster.logs[0]!.append(numbers(0, 1));
    const source = sourceOf(cluster, { patienceMs: 60, fetchWaitMs: 10 });
    const { reader, context } = await opened(source);
    await takeOffsets(reader, 1);
    if (change === 'deleted') cluster.exists = false;
    else cluster.topicId = '00000000-0000-4000-8000-000000000002';
    await isReady(reader);
    const code = change === 'deleted' ? 'topic-unknown' : 'topic-recreated';
    assert.throws(() => reader.take(1e6), { code, message: /"orders"/ });
    await reader.close();
    await assert.rejects(source.layout(context), { code }, 'and so is a run that resumes');
    const replayer = await source.replayer(0, context);
    await assert.rejects(replayer.read(0, 1), { code });
    await replayer.close();
  }
});

test('what retention took is an error that says what is there, or a gap', async () => {
  for (const onRetention of ['fail', 'earliest', 'latest'] as const) {
    const cluster = new TestCluster(1);
    const log = cluster.logs[0]!;
    log.append(numbers(0, 10));
    log.append(numbers(10, 10));
    log.append(numbers(20, 10));
    const source = sourceOf(cluster, { onRetention });
    const layout = await source.layout(sourceContext());
    log.deleteBefore(12);
    const context = sourceContext({ layout, from: 5 });
    const reader = await source.open(0, context);
    const replayer = await source.replayer(0, context);
    await isReady(reader);
    if (onRetention === 'fail') {
      const fields = { topic: 'orders', partition: 0, offset: 5, first: 12, end: 30 };
      assert.throws(() => reader.take(1e6), { code: 'offset-out-of-range', fields });
      const gone = { code: 'range-gone', fields: { offset: 5, first: 12 } };
      await assert.rejects(replayer.read(5, 20), gone);
    } else {
      const begin = onRetention === 'earliest' ? 12 : 30;
      const gap = reader.take(1e6);
      const none = { kind: 'none' };
      assert.deepEqual(gap, { from: 5, to: begin, ended: false, data: none });
      log.append(numbers(30, 1));
      cluster.wake();
      const next = await takeOffsets(reader, 31 - begin);
      assert.deepEqual(next, upTo(31 - begin, begin));
      assert.deepEqual((await replayer.read(5, 12)).data, none);
      assert.deepEqual(offsetsOf(await replayer.read(5, 14)), [12, 13]);
    }
    await reader.close();
    await replayer.close();
  }
});

test('a start at the earliest record follows retention until something was read', async () => {
  const cluster = new TestCluster(1);
  cluster.logs[0]!.append(numbers(0, 5));
  cluster.logs[0]!.append(numbers(5, 5));
  const source = sourceOf(cluster);
  const layout = await source.layout(sourceContext());
  cluster.logs[0]!.deleteBefore(5);
  const context = sourceContext({ layout });
  const reader = await source.open(0, context);
  assert.deepEqual(await takeOffsets(reader, 5), [5, 6, 7, 8, 9]);
  await reader.close();
  const replayer = await source.replayer(0, context);
  assert.deepEqual(offsetsOf(await replayer.read(0, 7)), [5, 6]);
  await replayer.close();
});

test('a log that has lost its end is an error', async () => {
  const cluster = new TestCluster(1);
  cluster.logs[0]!.append(numbers(0, 5));
  const { reader } = await opened(sourceOf(cluster, { onRetention: 'earliest' }), { from: 9 });
  await isReady(reader);
  const fields = { topic: 'orders', partition: 0, offset: 9, first: 0, end: 5 };
  assert.throws(() => reader.take(1e6), { code: 'offset-out-of-range', fields });
  await reader.close();
});

test('damage is an error that names the batch, behind all that was good', async () => {
  const cluster = new TestCluster(1);
  const log = cluster.logs[0]!;
  log.append(numbers(0, 3));
  log.append(numbers(3, 3));
  log.batches[1]!.bytes[70]! ^= 1;
  const { reader } = await opened(sourceOf(cluster));
  assert.deepEqual(await takeOffsets(reader, 3), [0, 1, 2]);
  const fields = { topic: 'orders', partition: 0, offset: 3 };
  assert.throws(() => reader.take(1e6), { code: 'kafka-batch-damaged', fields });
  assert.throws(() => reader.take(1e6), { code: 'kafka-batch-damaged', fields });
  await reader.close();
});

test('a reader that nobody takes from asks for no more than its share of memory', async () => {
  const cluster = new TestCluster(2);
  const [slow, quick] = cluster.logs;
  for (let n = 0; n < 100; n++) {
    slow!.append([{ value: `{"n":${n},"t":"${'x'.repeat(10_000)}"}` }]);
  }
  const asked: FetchRequest[] = [];
  cluster.fault = (request) => {
    asked.push(request);
    return null;
  };
  // 128 KiB is the least a partition gets.
  const source = sourceOf(cluster, { bufferBytes: 1, fetchWaitMs: 30 });
  const { reader, context } = await opened(source);
  const other = await source.open(1, context);
  await isReady(reader);
  quick!.append(numbers(0, 1));
  cluster.wake();
  assert.deepEqual(await takeOffsets(other, 1), [0], 'and holds nobody up');
  const isFull = ({ partitions }: FetchRequest): boolean =>
    partitions.length === 1 && partitions[0]!.partition === 1;
  while (!asked.some(isFull)) await new Promise((resolve) => setTimeout(resolve, 5));
  const ofSlow = asked.flatMap(({ partitions }) =>
    partitions.filter((each) => each.partition === 0),
  );
  const furthest = Math.max(...ofSlow.map(({ offset }) => offset));
  assert.ok(furthest < 25, `${furthest} records of 10 kB were asked for`);
  assert.ok(
    asked.some(({ partitions }) => partitions.length === 2),
    'one request for both',
  );
  assert.deepEqual(await takeOffsets(reader, 100), upTo(100));
  await Promise.all([reader.close(), other.close()]);
});

test('what is written is there at once, though the broker would have waited', async () => {
  const cluster = new TestCluster(1);
  const { reader } = await opened(sourceOf(cluster, { fetchWaitMs: 60_000 }));
  await new Promise((resolve) => setTimeout(resolve, 300));
  const before = cluster.fetches;
  cluster.logs[0]!.append(numbers(0, 1));
  cluster.wake();
  assert.deepEqual(await takeOffsets(reader, 1), [0]);
  assert.ok(cluster.fetches - before < 4);
  await reader.close();
  assert.equal(cluster.openWires, 0, 'a poll under way does not keep it open');
});

test('lag is what is behind the position, and the group is told the position', async () => {
  const cluster = new TestCluster(1);
  const log = cluster.logs[0]!;
  log.append(numbers(0, 10).map((record) => ({ ...record, timestampMs: 0 })));
  const { reader } = await opened(sourceOf(cluster, { group: 'lag' }));
  await isReady(reader);
  assert.equal(reader.lag().records, 10);
  assert.ok(reader.lag().ms! > 0);
  reader.take(1);
  reader.take(1);
  assert.equal(reader.lag().records, 8);
  await takeOffsets(reader, 8);
  reader.take(1);
  assert.deepEqual(reader.lag(), { records: 0, bytes: null, ms: null });
  await reader.close();
  assert.deepEqual(cluster.committed.get('lag'), [{ topic: 'orders', partition: 0, offset: 10 }]);
});

test('a layout begins where it is told to, and a run that resumes keeps it', async () => {
  const cluster = new TestCluster(2);
  for (const log of cluster.logs) {
    log.append(numbers(0, 10).map((record, at) => ({ ...record, timestampMs: 1000 + at })));
    log.deleteBefore(2);
  }
  const startsOf = async (options: Partial<KafkaSourceOptions>): Promise<JsonValue> =>
    await sourceOf(cluster, options).layout(sourceContext());
  const { topicId } = cluster;
  const layout = (starts: readonly number[], ends: readonly number[] | null = null): JsonValue => ({
    topicId,
    starts,
    ends,
  });
  assert.deepEqual(await startsOf({}), layout([2, 2]));
  assert.deepEqual(await startsOf({ from: 'latest' }), layout([10, 10]));
  assert.deepEqual(await startsOf({ from: { timestamp: 1004 } }), layout([4, 4]));
  assert.deepEqual(await startsOf({ from: { timestamp: 9000 } }), layout([10, 10]));
  assert.deepEqual(await startsOf({ from: { offsets: { 1: 7 } } }), layout([2, 7]));
  const fields = { topic: 'orders', partition: 0, offset: 1, first: 2, end: 10 };
  const refused = { code: 'offset-out-of-range', fields };
  await assert.rejects(startsOf({ from: { offsets: { 0: 1 } } }), refused);
  const latest = { from: 'latest', until: 'latest' } as const;
  const first = await startsOf(latest);
  assert.deepEqual(first, layout([10, 10], [10, 10]));
  cluster.logs[0]!.append(numbers(10, 1));
  const context = sourceContext({ layout: first });
  assert.deepEqual(await sourceOf(cluster, latest).layout(context), first);
  const grown = new TestCluster(3);
  grown.logs[2]!.append(numbers(0, 4));
  const added = await sourceOf(grown, latest).layout(context);
  assert.deepEqual(added, layout([10, 10, 0], [10, 10, 4]), 'new partitions from their start');
});

test('options that contradict each other or the schema are refused', () => {
  const cluster = new TestCluster(1);
  const decoder = { decode: () => null };
  const cases: readonly (readonly [Partial<KafkaSourceOptions>, RegExp])[] = [
    [{ topic: '' }, /no topic/],
    [{ columns: { other: 'key' } }, /no column "other"/],
    [{ columns: { n: 'value' as 'key' } }, /what column "n" holds/],
    [{ columns: { n: 'offset' }, format: decoder }, /next to a decoder/],
    [{ format: 'text' }, /one column of strings/],
    [{ format: 'avro' as 'json' }, /format "avro" is unknown/],
    [{ bufferBytes: 0.5 }, /bufferBytes is 0.5/],
  ];
  for (const [options, message] of cases) {
    assert.throws(() => sourceOf(cluster, options), { code: 'option-invalid', message });
  }
  const two = { schema: schema({ a: string(), b: string() }), format: 'text' } as const;
  assert.throws(() => sourceOf(cluster, two), { code: 'option-invalid' });
});
