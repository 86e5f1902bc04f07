// The source `kafkaSource` in pipelines over a real broker, written to by another client.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Admin, Producer, stringSerializers } from '@platformatic/kafka';
import type { KafkaLayout } from '../../src/connectors/kafka/kafka-layout.ts';
import { KafkaSource } from '../../src/connectors/kafka/kafka-source.ts';
import { socketPlatform } from '../../src/connectors/kafka/sockets/platform.ts';
import { sourceContext } from '../../src/connectors/source-reading.fixture.ts';
import {
  avro,
  kafkaSink,
  kafkaSource,
  protobuf,
} from '../../src/connectors/kafka/sockets/kafka.ts';
import type { KafkaSourceOptions } from '../../src/connectors/kafka/sockets/kafka.ts';
import { collect, int32, memory, pipeline, schema, string, timestamp } from '../../src/index.ts';
import { kafkaMissing, startKafka } from './kafka-server.fixture.ts';
import type { KafkaServer } from './kafka-server.fixture.ts';
import { summing, sums } from './sum.fixture.ts';

const skip = kafkaMissing() ?? false;

type Numbered = { readonly n: number };
type TextProducer = Producer<string, string, string, string>;
type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

const columns = schema({ n: int32() });

describe('kafkaSource over a broker', { skip }, () => {
  let kafka: KafkaServer;
  let admin: Admin;
  let producer: TextProducer;

  before(async () => {
    // The cleaner runs often, so that a test need not wait for it.
    kafka = await startKafka({ config: { 'log.cleaner.backoff.ms': '200' } });
    const bootstrapBrokers = [kafka.bootstrap];
    admin = new Admin({ clientId: 'admin', bootstrapBrokers });
    producer = newProducer({});
  });
  after(async () => {
    await producer.close();
    await admin.close();
    await kafka.stop();
  });

  function newProducer(options: { readonly transactionalId?: string }): TextProducer {
    return new Producer({
      clientId: 'test',
      bootstrapBrokers: [kafka.bootstrap],
      serializers: stringSerializers,
      ...(options.transactionalId === undefined ? {} : { ...options, idempotent: true }),
    });
  }

  async function newTopic(
    topic: string,
    partitions = 1,
    configs: readonly (readonly [string, string])[] = [],
  ): Promise<void> {
    const named = configs.map(([name, value]) => ({ name, value }));
    await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs: named });
  }

  /** Records { n } as one batch. */
  async function write(
    topic: string,
    numbers: readonly number[],
    { partition = 0, compression = 'none' }: { partition?: number; compression?: Compression } = {},
  ): Promise<void> {
    const messages = numbers.map((n) => ({
      topic,
      partition,
      key: `k${n % 3}`,
      value: `{"n":${n}}`,
    }));
    await producer.send({ messages, compression });
  }

  function sourceOf(topic: string, options: Partial<KafkaSourceOptions<'n'>> = {}) {
    return kafkaSource({ brokers: kafka.bootstrap, topic, schema: columns, ...options });
  }

  async function readBounded(
    topic: string,
    options: Partial<KafkaSourceOptions<'n'>> = {},
  ): Promise<readonly number[]> {
    const rows = collect<Numbered>();
    const source = sourceOf(topic, { until: 'latest', ...options });
    const job = await pipeline('bounded').from(source).to(rows).run({ workers: 0 });
    await job.done;
    return rows.rows.map(({ n }) => n);
  }

  test('every record comes once, of all partitions and in every compression', async () => {
    await newTopic('plain', 3);
    const compressions: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
    let next = 0;
    for (const compression of compressions) {
      for (const partition of [0, 1, 2]) {
        await write('plain', upTo(500, next), { partition, compression });
        next += 500;
      }
    }
    const read = await readBounded('plain');
    assert.deepEqual(
      read.toSorted((a, b) => a - b),
      upTo(next),
    );
    assert.deepEqual(await readBounded('plain', { from: 'latest' }), []);
    const some = await readBounded('plain', { from: { offsets: { 0: 2499, 1: 2500, 2: 2500 } } });
    assert.deepEqual(some, [6499]);
  });

  test('aborted transactions are not read, and markers are passed over', async () => {
    await newTopic('transactions');
    const writer = newProducer({ transactionalId: 'writer' });
    for (const [at, end] of (['commit', 'abort', 'commit', 'abort'] as const).entries()) {
      const transaction = await writer.beginTransaction();
      const messages = upTo(10, at * 10).map((n) => ({
        topic: 'transactions',
        partition: 0,
        value: `{"n":${n}}`,
      }));
      await transaction.send({ messages });
      await transaction[end]();
    }
    await writer.close();
    const kept = [...upTo(10), ...upTo(10, 20)];
    assert.deepEqual(await readBounded('transactions'), kept);
    const all = await readBounded('transactions', { isolation: 'read-uncommitted' });
    assert.deepEqual(all, upTo(40));
  });

  test('a compacted topic gives what is left, and its gaps end no run', async () => {
    const configs = [
      ['cleanup.policy', 'compact'],
      ['segment.ms', '100'],
      ['min.cleanable.dirty.ratio', '0.001'],
    ] as const;
    await newTopic('compacted', 1, configs);
    await write('compacted', upTo(300));
    const deadlineMs = Date.now() + 30_000;
    for (let n = 300; ; n++) {
      // A segment is closed by what is written behind it.
      await new Promise((resolve) => setTimeout(resolve, 150));
      await write('compacted', [n]);
      const read = await readBounded('compacted');
      assert.deepEqual(read.slice(-1), [n]);
      assert.deepEqual(
        read,
        read.toSorted((a, b) => a - b),
      );
      for (const last of upTo(3, n - 2)) assert.ok(read.includes(last), 'the last of each key');
      if (read.length < 100) break;
      assert.ok(Date.now() < deadlineMs, 'the broker compacts');
    }
  });

  test('key, time, offset and header are columns, and text needs no JSON', async () => {
    await newTopic('meta');
    // Not long ago: retention goes by the records' own time.
    const at = Date.now() - 1_000;
    await producer.send({
      messages: [
        { topic: 'meta', partition: 0, key: 'a"b', value: 'one "1"', timestamp: BigInt(at) },
        {
          topic: 'meta',
          partition: 0,
          value: 'two',
          timestamp: BigInt(at + 1),
          headers: { trace: 't2' },
        },
      ],
    });
    const rows = collect();
    const source = kafkaSource({
      brokers: kafka.bootstrap,
      topic: 'meta',
      until: 'latest',
      format: 'text',
      schema: schema({
        line: string(),
        key: string().nullable(),
        at: timestamp('ms'),
        offset: int32(),
        trace: string().nullable(),
      }),
      columns: { key: 'key', at: 'timestamp', offset: 'offset', trace: { header: 'trace' } },
    });
    const job = await pipeline('meta').from(source, { time: 'at' }).to(rows).run({ workers: 0 });
    await job.done;
    assert.deepEqual(rows.rows, [
      { line: 'one "1"', key: 'a"b', at, offset: 0, trace: null },
      { line: 'two', key: null, at: at + 1, offset: 1, trace: 't2' },
    ]);
  });

  test('a bad record is named by its offset, and its neighbours arrive', async () => {
    await newTopic('bad');
    await write('bad', [0, 1]);
    const values = ['{"n":2}', '{"n":\n"x"}', 'nonsense', '{"n":5}'];
    const messages = values.map((value) => ({ topic: 'bad', partition: 0, value }));
    await producer.send({ messages });
    const rows = collect<Numbered>();
    const dead = collect<{ origin: string; offset: number }>();
    const source = sourceOf('bad', { until: 'latest' });
    const job = await pipeline('bad')
      .from(source, { onError: { deadLetter: dead } })
      .to(rows)
      .run({ workers: 0 });
    await job.done;
    assert.deepEqual(
      rows.rows.map(({ n }) => n),
      [0, 1, 2, 5],
    );
    assert.deepEqual(
      dead.rows.map(({ origin, offset }) => [origin, offset]),
      [
        ['topic "bad", partition 0', 3],
        ['topic "bad", partition 0', 4],
      ],
    );
    const failing = await pipeline('bad').from(source).to(collect()).run({ workers: 0 });
    await assert.rejects(failing.done, { message: /at topic "bad", partition 0, offset 3: / });
  });

  test('records that were deleted before they were read are an error, or a gap', async () => {
    await newTopic('retained');
    await write('retained', upTo(100));
    const read = async (options: Partial<KafkaSourceOptions<'n'>>): Promise<readonly number[]> => {
      const source = sourceOf('retained', { until: 'latest', ...options }).source;
      const layout = { topicId: (await layoutNow(source)).topicId, starts: [0], ends: [100] };
      source.layout = () => Promise.resolve(layout);
      const rows = collect<Numbered>();
      const job = await pipeline('retained')
        .from({ source, schema: columns })
        .to(rows)
        .run({ workers: 0 });
      await job.done;
      return rows.rows.map(({ n }) => n);
    };
    const name = 'retained';
    await admin.deleteRecords({ topics: [{ name, partitions: [{ partition: 0, offset: 60n }] }] });
    const start = { from: { offsets: { 0: 60 } } } as const;
    await assert.rejects(read(start), {
      code: 'offset-out-of-range',
      message: /topic "retained", partition 0 from offset 0 on: the partition begins at 60/,
    });
    assert.deepEqual(await read({ ...start, onRetention: 'earliest' }), upTo(40, 60));
    assert.deepEqual(await read({ ...start, onRetention: 'latest' }), []);
  });

  test('a broker that comes back is read on from where it was', async () => {
    await newTopic('survivor');
    await write('survivor', upTo(10));
    const rows = collect<Numbered>();
    const job = await pipeline('survivor')
      .from(sourceOf('survivor', { group: 'lag-of-survivor' }))
      .to(rows)
      .run({ workers: 0, interval: 10 });
    await until(() => rows.rows.length === 10);
    await kafka.restart(1);
    await write('survivor', upTo(10, 10));
    await until(() => rows.rows.length >= 20);
    await job.stop();
    assert.deepEqual(
      rows.rows.map(({ n }) => n),
      upTo(20),
    );
    const groups = await admin.listConsumerGroupOffsets({ groups: ['lag-of-survivor'] });
    const committed = groups[0]!.topics[0]!.partitions[0]!.committedOffset;
    assert.equal(Number(committed), 20, 'and the group has the position');
  });

  test('what is written is a row at once, and a topic that goes is an error', async () => {
    await newTopic('gone');
    const rows = collect<Numbered>();
    const job = await pipeline('gone')
      .from(sourceOf('gone', { fetchWaitMs: 4_000 }))
      .to(rows)
      .run({ workers: 0, interval: 2 });
    const failed = assert.rejects(job.done, { code: 'topic-unknown', message: /"gone"/ });
    await write('gone', [0]);
    await until(() => rows.rows.length === 1);
    // The poll by now is a long one.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    const beginMs = performance.now();
    await write('gone', [1]);
    await until(() => rows.rows.length === 2);
    const ms = performance.now() - beginMs;
    assert.ok(ms < 1_000, `${ms} ms`);
    await admin.deleteTopics({ topics: ['gone'] });
    await failed;
  });

  test('a run goes on from its checkpoint, over partitions added since, too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mizzle-kafka-source-'));
    await newTopic('resumed', 2);
    const read = async (count: number): Promise<readonly number[]> => {
      const rows = collect<Numbered>();
      const job = await pipeline('resumed')
        .from(sourceOf('resumed'))
        .to(rows)
        .run({ workers: 0, interval: 10, checkpoints: folder });
      await until(() => rows.rows.length >= count);
      await job.stop();
      await job.done;
      return rows.rows.map(({ n }) => n).toSorted((a, b) => a - b);
    };
    await write('resumed', upTo(10), { partition: 0 });
    await write('resumed', upTo(10, 10), { partition: 1 });
    assert.deepEqual(await read(20), upTo(20));
    await write('resumed', upTo(10, 20), { partition: 1 });
    assert.deepEqual(await read(10), upTo(10, 20));
    await admin.createPartitions({
      topics: [{ name: 'resumed', count: 3, assignments: [{ brokerIds: [1] }] }],
    });
    await until(async () => {
      const { partitions } = await layoutNow(sourceOf('resumed').source);
      return partitions === 3;
    });
    await write('resumed', upTo(5, 30), { partition: 2 });
    await write('resumed', upTo(5, 35), { partition: 0 });
    assert.deepEqual(await read(10), upTo(10, 30));
    await admin.deleteTopics({ topics: ['resumed'] });
    await until(async () => !(await admin.listTopics()).includes('resumed'));
    await newTopic('resumed', 3);
    await assert.rejects(read(0), { code: 'topic-recreated', message: /"resumed"/ });
    rmSync(folder, { recursive: true });
  });

  test('partitions that are added while a run lasts are told of', async () => {
    await newTopic('growing', 1);
    // A minute is half a second, and patience is long.
    const platform = { ...socketPlatform, nowMs: () => Date.now() * 120 };
    const options = { brokers: kafka.bootstrap, topic: 'growing', schema: columns };
    const source = new KafkaSource({ ...options, patienceMs: 1e7, fetchWaitMs: 100 }, platform);
    const warnings: string[] = [];
    const context = sourceContext({ warn: (text) => warnings.push(text) });
    const layout = await source.layout(context);
    const reader = await source.open(0, { ...context, layout });
    await admin.createPartitions({
      topics: [
        { name: 'growing', count: 3, assignments: [{ brokerIds: [1] }, { brokerIds: [1] }] },
      ],
    });
    await until(() => warnings.length > 0);
    assert.match(warnings[0]!, /"growing" has 3 partitions, and this run reads the 1 that it had/);
    await reader.close();
  });

  test('what a sink writes in Avro and Protobuf, a source reads', async () => {
    const avroSchema = {
      type: 'record',
      name: 'Sold',
      fields: [
        { name: 'n', type: 'int' },
        { name: 'city', type: ['null', 'string'], default: null },
      ],
    };
    const proto = 'syntax = "proto3"; message Sold { int32 n = 1; optional string city = 2; }';
    const cities = schema({ n: int32(), city: string().nullable() });
    const sold = Array.from({ length: 500 }, (_, n) => ({ n, city: n % 3 === 0 ? null : `c${n}` }));
    const formats = { avro: avro({ schema: avroSchema }), protobuf: protobuf({ proto }) };
    for (const [topic, format] of Object.entries(formats)) {
      const place = { brokers: kafka.bootstrap, topic };
      const sink = kafkaSink({ ...place, value: format, create: { partitions: 2 } });
      const given = memory(sold, { schema: cities });
      const written = await pipeline('writes').from(given).to(sink).run({ workers: 0 });
      await written.done;
      const rows = collect<(typeof sold)[number]>();
      const source = kafkaSource({ ...place, schema: cities, format, until: 'latest' });
      await (
        await pipeline('reads').from(source).to(rows).run({ workers: 0 })
      ).done;
      const ordered = rows.rows.toSorted((a, b) => a.n - b.n);
      assert.deepEqual(ordered, sold);
    }
  });

  test('threads read a topic, each its partitions by a connection of its own', async () => {
    await newTopic('threads', 4);
    for (const partition of upTo(4)) {
      for (let round = 0; round < 5; round++) await write('threads', upTo(100), { partition });
    }
    process.env['MIZZLE_TEST_BROKERS'] = kafka.bootstrap;
    const module = new URL('./sum.fixture.ts', import.meta.url);
    const job = await summing.run({ module, workers: 2 });
    const { recordsIn } = await job.done;
    assert.equal(recordsIn, 2_000);
    assert.deepEqual(
      sums.rows.toSorted((a, b) => a.n - b.n).map(({ n, records, total }) => [n, records, total]),
      upTo(100).map((n) => [n, 20, 20 * n]),
    );
  });

  test('a topic that is not there, and brokers that are not, say so', async () => {
    await assert.rejects(readBounded('nowhere'), { code: 'topic-unknown', message: /"nowhere"/ });
    const absent = { brokers: '127.0.0.1:1', patienceMs: 100 };
    await assert.rejects(readBounded('nowhere', absent), { code: 'kafka-unreachable' });
  });
});

type Source = ReturnType<typeof kafkaSource>['source'];

async function layoutNow(
  source: Source,
): Promise<{ readonly topicId: string; readonly partitions: number }> {
  const layout = await source.layout!({
    nowMs: () => 0,
    warn: () => {},
    startMs: 0,
    schema: columns,
    format: source.format,
    workerCount: 1,
  });
  const { topicId, starts } = layout as unknown as KafkaLayout;
  return { topicId, partitions: starts.length };
}

function upTo(count: number, from = 0): readonly number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + 60_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadlineMs, 'it takes too long');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
