// Source and sink over three brokers that hold each record twice or more: what is led, coordinated
// or remembered by one of them goes on at the others when it is killed, and when it hands over.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { KafkaSink } from '../../src/connectors/kafka/kafka-sink.ts';
import { kafkaSource } from '../../src/connectors/kafka/sockets/kafka.ts';
import { socketPlatform } from '../../src/connectors/kafka/sockets/platform.ts';
import { rowsAsBatch, sinkContext } from '../../src/connectors/sink-writing.fixture.ts';
import { collect, int32, pipeline, schema } from '../../src/index.ts';
import type { KafkaPlatform, KafkaWire } from '../../src/ports/kafka-wire.ts';
import type { SinkWriter } from '../../src/ports/sink.ts';
import type { RowSchema } from '../../src/schema/data-type.ts';
import { readByJava } from './committed-reader.fixture.ts';
import { compilesJava, javaArguments } from './java-program.fixture.ts';
import type { KafkaServer } from './kafka-server.fixture.ts';
import { kafkaMissing } from './kafka-server.fixture.ts';
import { LineWriter } from './line-writer.fixture.ts';
import { startTorturable } from './torture/torture.fixture.ts';

/** Three brokers take long to start, and again when they come back: `npm run test:long`. */
const isLong = process.env['MIZZLE_LONG'] === '1';
const why = isLong ? kafkaMissing() : 'it takes long: set MIZZLE_LONG=1';
const skip = why ?? (compilesJava() ? false : 'this Java has no compiler');

const waitMsMax = 300_000;

describe('three brokers', { skip }, () => {
  let kafka: KafkaServer;
  let wire: KafkaWire;

  before(async () => {
    kafka = await startTorturable();
    wire = open(kafka.bootstrap);
  });

  after(async () => {
    await wire?.close();
    await kafka?.stop();
  });

  async function newTopic(topic: string, partitions: number): Promise<void> {
    await wire.createTopics(null, [{ topic, partitions, replication: 3, configs: {} }]);
    for (let partition = 0; partition < partitions; partition++) await leaderOf(topic, partition);
  }

  /** As soon as there is one. */
  async function leaderOf(topic: string, partition: number): Promise<number> {
    let leader = -1;
    await until(async () => {
      const [found] = (await wire.metadata(null, [topic])).topics;
      const at = found?.partitions.find((other) => other.partition === partition);
      leader = at?.leader ?? -1;
      return leader > 0;
    });
    return leader;
  }

  async function kill(id: number): Promise<() => Promise<void>> {
    await kafka.kill(id);
    return () => kafka.restart(id);
  }

  test('a source reads on where leaders are killed, come back and hand over', async () => {
    const topic = `read-${randomUUID()}`;
    const partitions = 3;
    await newTopic(topic, partitions);
    const rows = collect<{ readonly n: number; readonly partition: number }>();
    const source = kafkaSource({
      brokers: kafka.bootstrap,
      topic,
      patienceMs: waitMsMax,
      schema: schema({ n: int32(), partition: int32() }),
      columns: { partition: 'partition' },
    });
    const job = await pipeline('survivor').from(source).to(rows).run({ workers: 0, interval: 10 });
    const writer = new LineWriter(kafka.bootstrap, topic);
    let written = 0;
    // Some before, some while and some after it happens.
    const writeWhile = async (happens: () => Promise<unknown>): Promise<void> => {
      const write = (): void => {
        for (let left = partitions; left > 0; left--, written++) {
          const partition = written % partitions;
          writer.write({ partition, key: String(written), value: `{"n":${written}}` });
        }
      };
      const timer = setInterval(write, 5);
      await until(() => rows.rows.length > 0);
      await happens();
      const seen = written;
      await until(() => rows.rows.length > seen + 100);
      clearInterval(timer);
    };
    try {
      await writeWhile(async () => {
        const restart = await kill(await leaderOf(topic, 0));
        await until(async () => (await leaderOf(topic, 0)) > 0);
        const seen = rows.rows.length;
        // All partitions are led by the two that are left.
        await until(() => rows.rows.length > seen + 200);
        await restart();
      });
      for (const partition of [0, 1]) {
        await writeWhile(async () => {
          const leader = await leaderOf(topic, partition);
          const next = (leader % 3) + 1;
          const at = [topic, String(partition), String(next)];
          await promisify(execFile)(
            'java',
            javaArguments('MoveLeader.java', [kafka.bootstrap, ...at]),
          );
          await until(async () => (await leaderOf(topic, partition)) === next);
        });
      }
      await writeWhile(async () => kafka.restart(await leaderOf(topic, 1)));
      await writer.finish();
      await until(() => rows.rows.length >= written);
      await job.stop();
    } finally {
      writer.end();
      await job.stop().catch(() => {});
    }
    for (let partition = 0; partition < partitions; partition++) {
      const read = rows.rows.filter((row) => row.partition === partition).map(({ n }) => n);
      const count = Math.ceil((written - partition) / partitions);
      assert.deepEqual(
        read,
        Array.from({ length: count }, (_, n) => n * partitions + partition),
      );
    }
  });

  /** Who is killed before a request goes out, or while it is under way. */
  const breaks = [
    ['leader of output', 'produce', 'during'],
    ['leader of output', 'endTransaction', 'before'],
    ['coordinator', 'endTransaction', 'during'],
    ['coordinator', 'endTransaction', 'before'],
    ['leader of the ledger', 'produce', 'during'],
  ] as const;

  test('a sink commits each micro-batch once, whoever is killed in the midst of it', async () => {
    const topic = `written-${randomUUID()}`;
    await newTopic(topic, 3);
    const breaker = new Breaker(kafka);
    const sink = new KafkaSink(
      { brokers: kafka.bootstrap, topic, key: 'row', patienceMs: waitMsMax },
      breaker.platform(socketPlatform),
    );
    const context = sinkContext(counts);
    await sink.prepare(context);
    const writer = await sink.open(0, context);
    const key = breaker.transactionalId!;
    let batch = 0;
    for (; batch < 5; batch++) await commit(writer, batch);
    const ledgerPartition = breaker.ledgerPartition!;
    const victimOf = async (role: (typeof breaks)[number][0]): Promise<number> => {
      if (role === 'leader of output') return leaderOf(topic, batch % 3);
      if (role === 'leader of the ledger') {
        return leaderOf(`${topic}.mizzle-ledger`, ledgerPartition);
      }
      return (await wire.findCoordinator(null, { kind: 'transaction', key })).broker;
    };
    for (const [role, request, when] of breaks) {
      const broker = await victimOf(role);
      breaker.arm({ broker, request, when });
      await commit(writer, batch++);
      await breaker.broken();
      for (let more = 0; more < 5; more++) await commit(writer, batch++);
      await kafka.restart(broker);
      for (let more = 0; more < 5; more++) await commit(writer, batch++);
    }
    await writer.close();
    let rows: readonly { readonly batch: number; readonly row: number }[] = [];
    // Brokers show a transaction some milliseconds after it was decided.
    await until(async () => {
      const records = (await readByJava(kafka.bootstrap, topic))!;
      rows = records.map(({ value }) => JSON.parse(value!) as { batch: number; row: number });
      return rows.length >= batch * rowsPerBatch;
    });
    assert.deepEqual(
      rows.toSorted((a, b) => a.batch - b.batch || a.row - b.row),
      Array.from({ length: batch * rowsPerBatch }, (_, n) => {
        return { batch: Math.floor(n / rowsPerBatch), row: n % rowsPerBatch };
      }),
    );
  });
});

const counts: RowSchema = {
  fields: [
    { name: 'batch', path: ['batch'], type: { kind: 'int32' }, nullable: false },
    { name: 'row', path: ['row'], type: { kind: 'int32' }, nullable: false },
  ],
};
/** So many that each partition gets some. */
const rowsPerBatch = 12;

function commit(writer: SinkWriter, batch: number): Promise<void> {
  const rows = Array.from({ length: rowsPerBatch }, (_, row) => ({ batch, row }));
  return writer.commit({ batch, rows: rowsAsBatch(counts, rows), watermarkMs: 0 });
}

type Break = {
  readonly broker: number;
  readonly request: 'produce' | 'endTransaction';
  readonly when: 'before' | 'during';
};

/** Kills a broker when the sink comes to a certain request. */
class Breaker {
  transactionalId: string | null = null;
  ledgerPartition: number | null = null;
  readonly #kafka: KafkaServer;
  #break: Break | null = null;
  #broken: Promise<void> = Promise.resolve();

  constructor(kafka: KafkaServer) {
    this.#kafka = kafka;
  }

  arm(next: Break): void {
    this.#break = next;
  }

  /** Back when it has happened. */
  async broken(): Promise<void> {
    assert.equal(this.#break, null, 'the request has come');
    await this.#broken;
  }

  platform(platform: KafkaPlatform): KafkaPlatform {
    const open: KafkaPlatform['open'] = (connection) => {
      const wire = platform.open(connection);
      const produce: KafkaWire['produce'] = async (broker, request) => {
        this.transactionalId = request.transactionalId;
        const ledger = request.partitions.find((part) => part.topic.endsWith('.mizzle-ledger'));
        this.ledgerPartition = ledger?.partition ?? this.ledgerPartition;
        return this.#at('produce', () => wire.produce(broker, request));
      };
      const endTransaction: KafkaWire['endTransaction'] = (broker, asked) =>
        this.#at('endTransaction', () => wire.endTransaction(broker, asked));
      return new Proxy(wire, {
        get: (target, name: keyof KafkaWire) => {
          if (name === 'produce') return produce;
          if (name === 'endTransaction') return endTransaction;
          const found = target[name];
          return typeof found === 'function' ? found.bind(target) : found;
        },
      });
    };
    return { ...platform, open };
  }

  async #at<Answer>(request: Break['request'], ask: () => Promise<Answer>): Promise<Answer> {
    const due = this.#break;
    if (due?.request !== request) return ask();
    this.#break = null;
    if (due.when === 'before') {
      await this.#kafka.kill(due.broker);
      return ask();
    }
    const answer = ask();
    this.#broken = this.#kafka.kill(due.broker);
    return answer;
  }
}

function open(bootstrap: string): KafkaWire {
  return socketPlatform.open({
    brokers: bootstrap.split(','),
    clientId: 'test',
    tls: false,
    sasl: null,
    connectTimeoutMs: 2_000,
    requestTimeoutMs: 10_000,
  });
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + waitMsMax;
  // A broker that is asked may be the one that was killed.
  const isSo = async (): Promise<boolean> => condition();
  while (!(await isSo().catch(() => false))) {
    assert.ok(Date.now() < deadlineMs, 'it takes too long');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
