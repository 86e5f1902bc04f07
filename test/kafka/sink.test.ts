// The sink `kafka` against real brokers: the suite that all sinks pass, with transactions of both
// kinds; a broker that dies; and what Kafka's own consumer sees.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Admin } from '@platformatic/kafka';
import { KafkaSink } from '../../src/connectors/kafka/kafka-sink.ts';
import type { KafkaSinkOptions } from '../../src/connectors/kafka/kafka-sink.ts';
import { kafkaSink } from '../../src/connectors/kafka/sockets/kafka.ts';
import { socketPlatform } from '../../src/connectors/kafka/sockets/platform.ts';
import { rowsAsBatch, sinkContext } from '../../src/connectors/sink-writing.fixture.ts';
import { generator, int32, pipeline, schema, timestamp } from '../../src/index.ts';
import type { Isolation, KafkaPlatform, KafkaWire } from '../../src/ports/kafka-wire.ts';
import type { SinkWriter } from '../../src/ports/sink.ts';
import type { RowObject, RowSchema } from '../../src/schema/data-type.ts';
import type { HaltingProcess } from '../../src/testing/halting-process.ts';
import {
  checkKept,
  checkKills,
  checkReopening,
  checkZombies,
} from '../../src/testing/sink-conformance.ts';
import type { NewWorld } from '../../src/testing/sink-conformance.ts';
import { readByJava, readCommitted } from './committed-reader.fixture.ts';
import { kafkaMissing, startKafka } from './kafka-server.fixture.ts';
import type { KafkaServer } from './kafka-server.fixture.ts';

const skip = kafkaMissing() ?? false;

const counts: RowSchema = {
  fields: [
    { name: 'batch', path: ['batch'], type: { kind: 'int32' }, nullable: false },
    { name: 'row', path: ['row'], type: { kind: 'int32' }, nullable: false },
  ],
};

function commit(writer: SinkWriter, batch: number, rowCount = 3): Promise<void> {
  const rows = Array.from({ length: rowCount }, (_, row) => ({ batch, row }));
  return writer.commit({ batch, rows: rowsAsBatch(counts, rows), watermarkMs: 0 });
}

const compacted = { 'cleanup.policy': 'compact' };

/** Each request is a step of a process; one that is torn is carried out, unheard. */
function halting(process: HaltingProcess, isTorn: boolean): KafkaPlatform {
  const open: KafkaPlatform['open'] = (connection) => {
    const wire = socketPlatform.open(connection);
    process.onDeath(() => void wire.close());
    const handler: ProxyHandler<KafkaWire> = {
      get(target, name: keyof KafkaWire) {
        const found = target[name];
        if (typeof found !== 'function') return found;
        const call = found.bind(target) as (...asked: unknown[]) => Promise<unknown>;
        if (name === 'close') return call;
        return (...asked: unknown[]) => {
          const act = (): Promise<unknown> => call(...asked);
          return process.step(act, isTorn ? async () => void (await act()) : undefined);
        };
      },
    };
    return new Proxy(wire, handler);
  };
  return { ...socketPlatform, open };
}

/** What the made-up cluster has tried already takes a minute here: `npm run test:long` has it. */
const long = process.env['MIZZLE_LONG'] === '1';

for (const transactionVersion of long ? ([2, 0] as const) : ([2] as const)) {
  describe(`the kafka sink, transaction.version ${transactionVersion}`, { skip }, () => {
    let kafka: KafkaServer;
    let reader: KafkaWire;
    before(async () => {
      kafka = await startKafka({ transactionVersion });
      reader = socketPlatform.open({
        brokers: kafka.bootstrap.split(','),
        clientId: 'test',
        tls: false,
        sasl: null,
        connectTimeoutMs: 5000,
        requestTimeoutMs: 10_000,
      });
    });
    after(async () => {
      await reader?.close();
      await kafka?.stop();
    });

    const sinkTo = (topic: string, options: Partial<KafkaSinkOptions> = {}): KafkaSink =>
      new KafkaSink({ brokers: kafka.bootstrap, topic, ...options }, socketPlatform);

    const worldOf = ({ isTorn }: { readonly isTorn: boolean }): NewWorld => {
      return async () => {
        const topic = `t-${randomUUID()}`;
        const made = { replication: 1, configs: {} };
        await reader.createTopics(null, [
          { ...made, topic, partitions: 2 },
          // Fewer than usual: there will be some hundreds of them.
          { topic: `${topic}.mizzle-ledger`, partitions: 1, replication: 1, configs: compacted },
        ]);
        // Brokers learn of it a moment later.
        const places = [
          { topic, partition: 0, timestamp: -1 },
          { topic, partition: 1, timestamp: -1 },
          { topic: `${topic}.mizzle-ledger`, partition: 0, timestamp: -1 },
        ];
        for (let isThere = false; !isThere;) {
          await sleep(2);
          const found = await reader.listOffsets(1, 'read-committed', places);
          isThere = found.every(({ error }) => error === 0);
        }
        const sink = (process: HaltingProcess): KafkaSink => {
          const options = { brokers: kafka.bootstrap, topic, key: 'partition' };
          return new KafkaSink(options, halting(process, isTorn));
        };
        const visible = async (): Promise<RowObject[]> => {
          const places = [0, 1].map((partition) => ({ topic, partition }));
          const found = await Promise.all(places.map((place) => readCommitted(reader, place)));
          return found.flat().map((value) => JSON.parse(value) as RowObject);
        };
        return { sink, visible, fencesForeignRows: true };
      };
    };

    test('goes on when the broker has crashed and comes back', async () => {
      const topic = `crash-${randomUUID()}`;
      const sink = sinkTo(topic, { create: { partitions: 3 }, key: 'row' });
      const context = sinkContext(counts);
      await sink.prepare(context);
      const writer = await sink.open(0, context);
      const batches = 40;
      let crashing: Promise<void> | null = null;
      for (let batch = 0; batch < batches; batch++) {
        if (batch === 10) crashing = kafka.restart(1);
        await commit(writer, batch);
      }
      await crashing;
      await writer.close();
      const places = [0, 1, 2].map((partition) => ({ topic, partition }));
      const found = await Promise.all(places.map((place) => readCommitted(reader, place)));
      const rows = found.flat().map((value) => JSON.parse(value) as { batch: number; row: number });
      assert.deepEqual(
        rows.toSorted((a, b) => a.batch - b.batch || a.row - b.row),
        Array.from({ length: batches * 3 }, (_, n) => ({ batch: Math.floor(n / 3), row: n % 3 })),
      );
    });

    test("Kafka's own consumer sees each record once, and agrees where it belongs", async (t) => {
      const topic = `java-${randomUUID()}`;
      const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
      for (const [index, compression] of compressions.entries()) {
        const options = { key: 'row', compression, batchBytesMax: 2000, create: { partitions: 5 } };
        const sink = sinkTo(topic, options);
        const context = sinkContext(counts, { pipeline: compression });
        await sink.prepare(context);
        const writers = await Promise.all([0, 1].map((n) => sink.open(n, context)));
        for (let batch = 0; batch < 10; batch++) {
          await commit(writers[batch % 2]!, 10 * index + batch, 100);
        }
        for (const writer of writers) await writer.close();
      }
      const records = await readByJava(kafka.bootstrap, topic);
      if (records === null) return t.skip('this Java has no compiler');
      for (const { partition, chosen } of records) assert.equal(partition, chosen);
      const rows = records.map(({ key, value }) => {
        const row = JSON.parse(value!) as { batch: number; row: number };
        assert.equal(key, String(row.row));
        return row.batch * 100 + row.row;
      });
      const all = Array.from({ length: 5000 }, (_, n) => n);
      assert.deepEqual(
        rows.toSorted((left, right) => left - right),
        all,
      );
    });

    test('what was committed is shown once its writer has closed', async () => {
      const topic = `shown-${randomUUID()}`;
      const sink = sinkTo(topic, { create: { partitions: 3 }, key: 'row' });
      await sink.prepare(sinkContext(counts));
      const places = [0, 1, 2].map((partition) => ({ topic, partition, timestamp: -1 }));
      const endsOf = async (isolation: Isolation): Promise<readonly number[]> =>
        (await reader.listOffsets(1, isolation, places)).map(({ offset }) => offset);
      for (let life = 0; life < (long ? 20 : 5); life++) {
        const writer = await sink.open(0, sinkContext(counts, { incarnation: life + 1 }));
        await commit(writer, life);
        await writer.close();
        const ends = await endsOf('read-committed');
        assert.deepEqual(ends, await endsOf('read-uncommitted'), `life ${life}`);
        assert.ok(ends.reduce((sum, end) => sum + end, 0) >= 3 * (life + 1));
      }
    });

    // The made-up cluster has it, too, without the five seconds in which a topic may be new.
    test(
      'does not go on without its ledger, nor with one that forgets',
      { skip: !long },
      async () => {
        const topic = `lost-${randomUUID()}`;
        const ledgerTopic = `${topic}.mizzle-ledger`;
        // In one phase it would be noticed a second after a commit.
        const sink = sinkTo(topic, { create: { partitions: 1 }, onePhase: false });
        await sink.prepare(sinkContext(counts));
        const writer = await sink.open(0, sinkContext(counts));
        await commit(writer, 0);
        const admin = new Admin({ clientId: 'test', bootstrapBrokers: kafka.bootstrap.split(',') });
        await admin.deleteTopics({ topics: [ledgerTopic] });
        await assert.rejects(commit(writer, 1), { code: 'ledger-missing' });
        await writer.close();
        const resumed = sinkContext(counts, { term: 2, resumes: true });
        await assert.rejects(sink.prepare(resumed), { code: 'ledger-missing', message: /is gone/ });
        const forgetful = { topic: ledgerTopic, partitions: 1, replication: 1, configs: {} };
        await reader.createTopics(null, [forgetful]);
        await sleep(100);
        await assert.rejects(sink.prepare(resumed), { code: 'ledger-policy', message: /"delete"/ });
        await admin.close();
        assert.equal((await readCommitted(reader, { topic, partition: 0 })).length, 3);
      },
    );

    test('goes on behind what is visible', async () => {
      await checkReopening(worldOf({ isTorn: true }));
    });

    test('a pipeline writes by all its workers', async () => {
      const topic = `job-${randomUUID()}`;
      process.env['MIZZLE_TEST_BROKERS'] = kafka.bootstrap;
      const sink = kafkaSink({
        brokers: { env: 'MIZZLE_TEST_BROKERS' },
        topic,
        key: 'n',
        create: { partitions: 3 },
      });
      const job = await pipeline('numbers')
        .from(
          generator({
            schema: schema({ n: int32(), at: timestamp('ms') }),
            eventsPerSecond: 1e6,
            events: 1000,
            partitions: 3,
            rows: (index, dueMs) => ({ n: index, at: dueMs }),
          }),
        )
        .to(sink)
        .run({ workers: 0 });
      await job.done;
      const places = [0, 1, 2].map((partition) => ({ topic, partition }));
      const found = await Promise.all(places.map((place) => readCommitted(reader, place)));
      const numbers = found.flat().map((value) => (JSON.parse(value) as { n: number }).n);
      assert.deepEqual(
        numbers.toSorted((left, right) => left - right),
        Array.from({ length: 1000 }, (_, n) => n),
      );
    });

    // Either way to die with either kind of transaction is tried on the cluster that is made up.
    if (transactionVersion === 0) {
      test('killed before any request, it loses and repeats nothing', async () => {
        assert.ok((await checkKills(worldOf({ isTorn: false }))) > 30);
      });
      return;
    }

    test('killed at any step, it loses and repeats nothing', async () => {
      assert.ok((await checkKills(worldOf({ isTorn: true }))) > 30);
    });

    if (!long) return;

    test('a writer that was replaced at any step is fenced', async () => {
      const world = worldOf({ isTorn: true });
      assert.ok((await checkZombies(world, { incarnation: 2 })) > 15);
    });

    test('a new history keeps what another has left', async () => {
      assert.ok((await checkKept(worldOf({ isTorn: true }))) > 30);
    });
  });
}
