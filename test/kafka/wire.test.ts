// The wire against a real broker. What it reads is judged by what was written, and by Kafka's own
// codes.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { kafkaErrors } from '../../src/connectors/kafka/error-codes.ts';
import { batchHeadAt, batchHeadBytes } from '../../src/connectors/kafka/record-batch.ts';
import { socketPlatform } from '../../src/connectors/kafka/sockets/platform.ts';
import { WireFailure } from '../../src/ports/kafka-wire.ts';
import type {
  CoordinatorFound,
  FetchedPartition,
  InitProducerAnswer,
  Isolation,
  KafkaConnection,
  KafkaWire,
  NewTopic,
  ProducedPartition,
} from '../../src/ports/kafka-wire.ts';
import { kafkaMissing, startKafka } from './kafka-server.fixture.ts';
import type { KafkaServer } from './kafka-server.fixture.ts';
import { recordBatch } from './record-batch.fixture.ts';
import type { BatchOptions } from './record-batch.fixture.ts';

const skip = kafkaMissing() ?? false;
const { codecs } = socketPlatform;
const users = { alice: 'secret' };
const compressions = ['gzip', 'snappy', 'lz4', 'zstd'] as const;

describe('the wire to a broker', { skip }, () => {
  let kafka: KafkaServer;
  let wire: KafkaWire;
  before(async () => {
    kafka = await startKafka({ users, config: { 'connections.max.reauth.ms': '2000' } });
    wire = open(kafka.bootstrap);
  });
  after(async () => {
    await wire.close();
    await kafka.stop();
  });

  test('metadata names brokers, topics, their ids and leaders, and makes no topic', async () => {
    assert.deepEqual(await makeTopic(wire, 'described', 3), { error: 0, message: null });
    const { brokers, topics } = await wire.metadata(null, ['described', 'absent']);
    assert.deepEqual(brokers, [1]);
    const described = topics.find(({ topic }) => topic === 'described');
    assert.match(described?.topicId ?? '', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.deepEqual(
      described?.partitions.map(({ partition, leader, error }) => [partition, leader, error]),
      [0, 1, 2].map((partition) => [partition, 1, 0]),
    );
    const absent = topics.find(({ topic }) => topic === 'absent');
    assert.equal(absent?.error, kafkaErrors.unknownTopicOrPartition);
    const all = await wire.metadata(1, null);
    assert.ok(all.topics.some(({ topic }) => topic === 'described'));
    assert.ok(!all.topics.some(({ topic }) => topic === 'absent'));
    assert.deepEqual(await wire.features(), { transactionVersion: 2 });
  });

  test('createTopics hands on the codes of refusals, with what the broker says', async () => {
    await makeTopic(wire, 'twice', 1);
    const again = await makeTopic(wire, 'twice', 1);
    assert.equal(again.error, kafkaErrors.topicAlreadyExists);
    assert.match(again.message ?? '', /already exists/);
    const wrong = { topic: 'wrong', partitions: 1, replication: 1, configs: { nonsense: '1' } };
    const [refused] = await wire.createTopics(null, [wrong]);
    assert.match(refused?.message ?? '', /nonsense/);
  });

  test('what is produced is fetched back, byte by byte', async () => {
    const topicId = await topicOf(wire, 'bytes', 2);
    const large = 'x'.repeat(900_000);
    const batches = [recordBatch(['one', 'two']), recordBatch([large]), recordBatch(['three'])];
    const produced: ProducedPartition[] = [];
    for (const records of batches) {
      const request = { transactionalId: null, acks: -1 as const, timeoutMs: 5_000 };
      const partitions = [{ topic: 'bytes', partition: 1, records }];
      produced.push(...(await wire.produce(1, { ...request, partitions })));
    }
    assert.deepEqual(
      produced.map(({ error, offset }) => [error, offset]),
      [
        [0, 0],
        [0, 2],
        [0, 3],
      ],
    );
    const [empty, full] = await fetchAll(wire, { topic: 'bytes', topicId, partitions: [0, 1] });
    assert.deepEqual([empty?.error, empty?.records.length, empty?.highWatermark], [0, 0, 0]);
    assert.deepEqual([full?.error, full?.highWatermark, full?.logStartOffset], [0, 4, 0]);
    const { records } = full!;
    let at = 0;
    for (const [index, batch] of batches.entries()) {
      const head = batchHeadAt(records, at)!;
      assert.equal(head.baseOffset, produced[index]?.offset);
      const got = records.subarray(at, at + head.bytes);
      // The broker puts in offset and leader's epoch; the checksum is of what follows.
      assert.deepEqual(Buffer.from(got.subarray(17)), Buffer.from(batch.subarray(17)));
      assert.equal(codecs.crc32c(records, at + 21, at + head.bytes), head.crc);
      at += head.bytes;
    }
    assert.equal(at, records.length);
  });

  for (const compression of compressions) {
    test(`${compression}: Kafka reads ours, and we read Kafka's`, async () => {
      // Over snappy's block of 32 KiB and lz4's of 64 KiB.
      const values = Array.from({ length: 20_000 }, (_, index) => `value ${index} of many`);
      const plain = recordBatch(values);
      const topics = { [`by-${compression}`]: compression, [`of-${compression}`]: 'uncompressed' };
      for (const [topic, type] of Object.entries(topics)) {
        const topicId = await topicOf(wire, topic, 1, { 'compression.type': type });
        const sent = type === compression ? plain : recordBatch(values, { compression });
        assert.equal((await produce(wire, topic, sent))[0]?.error, 0);
        const [{ records } = assert.fail()] = await fetchAll(wire, {
          topic,
          topicId,
          partitions: [0],
        });
        const head = batchHeadAt(records, 0)!;
        assert.equal(head.compression, type === compression ? compression : 'none');
        const packed = records.subarray(batchHeadBytes, head.bytes);
        const unpacked = codecs.decompress(head.compression ?? 'none', packed);
        assert.equal(Buffer.compare(unpacked, plain.subarray(batchHeadBytes)), 0);
      }
      const damaged = codecs.compress(compression, plain).slice(0, -20);
      assert.throws(() => codecs.decompress(compression, damaged));
    });
  }

  test('a damaged batch, a strange topic and a strange offset get their codes', async () => {
    const topicId = await topicOf(wire, 'codes', 1);
    const records = recordBatch(['fine']);
    records[70]! ^= 1;
    const [damaged] = await produce(wire, 'codes', records);
    assert.equal(damaged?.error, kafkaErrors.corruptMessage);
    const [strange] = await produce(wire, 'nowhere', recordBatch(['lost']));
    assert.equal(strange?.error, kafkaErrors.unknownTopicOrPartition);
    const [far] = await fetchAll(wire, { topic: 'codes', topicId, partitions: [0], offset: 99 });
    assert.equal(far?.error, kafkaErrors.offsetOutOfRange);
    const other = '12345678-1234-1234-1234-123456789abc';
    const [gone] = await fetchAll(wire, { topic: 'codes', topicId: other, partitions: [0] });
    assert.equal(gone?.error, kafkaErrors.unknownTopicId);
  });

  test('listOffsets finds the ends, and the first record that is as late', async () => {
    await topicOf(wire, 'ends', 1);
    await produce(wire, 'ends', recordBatch(['a', 'b']));
    const ask = async (timestamp: number): Promise<number | undefined> => {
      const asked = [{ topic: 'ends', partition: 0, timestamp }];
      const [found] = await wire.listOffsets(1, 'read-uncommitted', asked);
      assert.equal(found?.error, 0);
      return found?.offset;
    };
    assert.deepEqual(
      [await ask(-1), await ask(-2), await ask(500), await ask(1_001)],
      [2, 0, 0, -1],
    );
    const [unknown] = await wire.listOffsets(1, 'read-committed', [
      { topic: 'ends', partition: 7, timestamp: -1 },
    ]);
    assert.equal(unknown?.error, kafkaErrors.unknownTopicOrPartition);
  });

  test('a committed transaction is read, an aborted one listed, each end bumps', async () => {
    const topicId = await topicOf(wire, 'transactions', 1);
    const first = await initProducer(wire, 'writer-1');
    const write = (value: string, { producerId, epoch }: InitProducerAnswer): Promise<number> =>
      produceIn(wire, 'transactions', value, { producerId, epoch, transactionalId: 'writer-1' });
    const end = (committed: boolean, { producerId, epoch }: InitProducerAnswer) =>
      untilReady(() =>
        wire.endTransaction(1, {
          transactionalId: 'writer-1',
          producerId,
          epoch,
          committed,
          bumps: true,
        }),
      );
    assert.equal(await write('kept', first), 0);
    const open = await fetchAll(wire, { topic: 'transactions', topicId, partitions: [0] });
    assert.deepEqual([open[0]?.records.length, open[0]?.lastStableOffset], [0, 0]);
    const second = await end(true, first);
    assert.deepEqual([second.error, second.epoch], [0, first.epoch + 1]);
    assert.equal(await write('dropped', second), 0);
    const third = await end(false, second);
    assert.deepEqual([third.error, third.epoch], [0, second.epoch + 1]);

    const [read] = await untilRead(wire, { topic: 'transactions', topicId }, 4);
    const { producerId } = first;
    assert.deepEqual(read?.aborted, [{ producerId, firstOffset: 2 }]);
    assert.equal(read?.lastStableOffset, 4);
    const uncommitted = { topic: 'transactions', topicId, partitions: [0] };
    const [raw] = await fetchAll(wire, { ...uncommitted, isolation: 'read-uncommitted' });
    assert.deepEqual(raw?.aborted, []);
    assert.deepEqual(raw?.records, read?.records);
  });

  test('a new InitProducerId fences the writer before, and codes tell it so', async () => {
    await topicOf(wire, 'fenced', 1);
    const old = await initProducer(wire, 'writer-2');
    const taken = await initProducer(wire, 'writer-2');
    assert.deepEqual([taken.producerId, taken.epoch], [old.producerId, old.epoch + 1]);
    const { producerId, epoch } = old;
    const id = { transactionalId: 'writer-2', producerId, epoch };
    const code = await produceIn(wire, 'fenced', 'late', id);
    assert.equal(code, kafkaErrors.invalidProducerEpoch);
    const ended = await wire.endTransaction(1, { ...id, committed: true, bumps: true });
    assert.equal(ended.error, kafkaErrors.producerFenced);
    assert.deepEqual([ended.producerId, ended.epoch], [producerId, epoch]);
    const resumed = await wire.initProducerId(1, { ...id, timeoutMs: 60_000 });
    assert.equal(resumed.error, kafkaErrors.producerFenced);
  });

  // What the sink's commits in one phase rest on.
  test('an end tells partitions of its epoch, and older ones are out there for good', async () => {
    const topicId = await topicOf(wire, 'one-phase', 2);
    const transactionalId = 'writer-3';
    const older = await initProducer(wire, transactionalId);
    const append = async (
      identity: Pick<InitProducerAnswer, 'producerId' | 'epoch'>,
      sequence: number,
      partition = 0,
    ): Promise<number> => {
      const { producerId, epoch } = identity;
      const records = recordBatch(['row'], { producerId, epoch, sequence });
      return (await produce(wire, 'one-phase', records, partition))[0]!.error;
    };
    assert.equal(await append(older, 0), 0);
    const newer = await initProducer(wire, transactionalId);
    assert.equal(await append(older, 1), 0, 'only the coordinator knows of the new epoch');
    const id = { transactionalId, producerId: newer.producerId, epoch: newer.epoch };
    const partitions = [0, 1].map((partition) => ({ topic: 'one-phase', partition }));
    const entered = await untilReady(async () => {
      return (await wire.addPartitionsToTransaction(1, { ...id, partitions }))[0]!;
    });
    assert.equal(entered.error, 0);
    const ended = await wire.endTransaction(1, { ...id, committed: true, bumps: false });
    assert.deepEqual([ended.error, ended.epoch], [0, newer.epoch]);
    // Answers when the markers of what went before are written.
    const last = await initProducer(wire, transactionalId);
    assert.equal(last.epoch, newer.epoch + 1);
    assert.equal(await append(older, 2), kafkaErrors.invalidProducerEpoch);
    assert.equal(
      await append(older, 0, 1),
      kafkaErrors.invalidProducerEpoch,
      'also where nothing of the id has been before',
    );
    assert.equal(await append(last, 0), 0);
    assert.equal(await append(last, 0), 0, 'once more, and known');
    assert.equal(await append(newer, 0), kafkaErrors.invalidProducerEpoch);
    const [read] = await fetchAll(wire, { topic: 'one-phase', topicId, partitions: [0] });
    // Two of the older one, the marker, one of the last.
    assert.deepEqual([read?.highWatermark, read?.lastStableOffset], [4, 4]);
  });

  test('an identity without a transactional id comes from any broker', async () => {
    const asked = { transactionalId: null, producerId: -1, epoch: -1, timeoutMs: 1_000 };
    const { error, producerId, epoch } = await wire.initProducerId(null, asked);
    assert.deepEqual([error, epoch], [0, 0]);
    assert.ok(producerId >= 0);
  });

  test('a commit of offsets is taken for a group without members', async () => {
    await topicOf(wire, 'grouped', 2);
    const of = { kind: 'group' as const, key: 'readers' };
    const { broker } = await untilReady(() => wire.findCoordinator(null, of));
    const offsets = [0, 1].map((partition) => ({ topic: 'grouped', partition, offset: 5 }));
    const commit = async (): Promise<{ readonly error: number; readonly all: unknown }> => {
      const all = await wire.commitOffsets(broker, 'readers', offsets);
      return { error: all[0]?.error ?? -1, all };
    };
    assert.deepEqual(
      (await untilReady(commit)).all,
      [0, 1].map((partition) => ({ topic: 'grouped', partition, error: 0 })),
    );
  });

  test('a fetch that waits delays no other, and ends when there are records', async () => {
    const topicId = await topicOf(wire, 'awaited', 1);
    const fetch = { topic: 'awaited', topicId, partitions: [0], waitMs: 20_000 };
    const waits = [fetchAll(wire, fetch), fetchAll(wire, fetch)];
    const startMs = performance.now();
    await produce(wire, 'awaited', recordBatch(['now']));
    const answers = await Promise.all(waits);
    assert.ok(performance.now() - startMs < 5_000);
    for (const [answer] of answers) assert.equal(answer?.highWatermark, 1);
  });

  test('a login lets in, also after its session has ended; a wrong one is told so', async () => {
    const sasl = { mechanism: 'PLAIN' as const, username: 'alice', password: 'secret' };
    const own = open(kafka.loginBootstrap, { sasl });
    const startMs = performance.now();
    // A session lasts 2 s; a broker closes a connection that goes on beyond it.
    while (performance.now() - startMs < 3_000) {
      assert.deepEqual((await own.metadata(1, [])).brokers, [1]);
      await socketPlatform.sleep(100);
    }
    await own.close();
    const wrong = open(kafka.loginBootstrap, { sasl: { ...sasl, password: 'guessed' } });
    await assert.rejects(wrong.metadata(null, []), { name: 'StreamError', code: 'kafka-login' });
    await wrong.close();
    const missing = open(kafka.loginBootstrap);
    await assert.rejects(missing.metadata(null, ['described']), { code: 'kafka-login' });
    await missing.close();
  });

  test('a broker that is killed fails what is under way, and serves when it is back', async () => {
    const topicId = await topicOf(wire, 'survivor', 1);
    await produce(wire, 'survivor', recordBatch(['before']));
    const fetch = { topic: 'survivor', topicId, partitions: [0], offset: 1, waitMs: 20_000 };
    const cut = fetchAll(wire, fetch).catch((error: unknown) => error);
    // The broker must have got the request.
    await wire.metadata(1, []);
    await kafka.kill(1);
    const failure = await cut;
    assert.ok(failure instanceof WireFailure && failure.unclear, String(failure));
    // Whether this one went out is a matter of milliseconds; the next finds nobody.
    await assert.rejects(wire.metadata(null, []), { name: 'WireFailure' });
    await assert.rejects(wire.metadata(null, []), { name: 'WireFailure', unclear: false });
    await kafka.restart(1);
    await until(
      () => fetchAll(wire, { topic: 'survivor', topicId, partitions: [0] }),
      ([back]) => back?.error === 0 && back.highWatermark === 1,
    );
  });

  test('a broker that hangs is given up when its time is up', async () => {
    const hasty = open(kafka.bootstrap, { requestTimeoutMs: 300, connectTimeoutMs: 300 });
    await hasty.metadata(1, []);
    await kafka.freeze(1);
    try {
      // Fetches may wait some seconds longer; metadata may not.
      const late = hasty.metadata(1, []);
      await assert.rejects(late, { name: 'WireFailure', unclear: true });
      await assert.rejects(hasty.metadata(1, []), { name: 'WireFailure', unclear: false });
    } finally {
      kafka.unfreeze(1);
    }
    assert.deepEqual((await hasty.metadata(1, [])).brokers, [1]);
    await hasty.close();
  });

  test('closing fails what is under way and whatever follows', async () => {
    const topicId = await topicOf(wire, 'closed', 1);
    const own = open(kafka.bootstrap);
    const fetch = { topic: 'closed', topicId, partitions: [0], waitMs: 20_000 };
    const cut = assert.rejects(fetchAll(own, fetch), { name: 'WireFailure' });
    await own.metadata(1, []);
    await own.close();
    await cut;
    await assert.rejects(own.metadata(null, []), { name: 'WireFailure', unclear: false });
  });
});

describe('the wire to a cluster at transaction version 0', { skip }, () => {
  let kafka: KafkaServer;
  let wire: KafkaWire;
  before(async () => {
    kafka = await startKafka({ transactionVersion: 0 });
    wire = open(kafka.bootstrap);
  });
  after(async () => {
    await wire.close();
    await kafka.stop();
  });

  test('partitions are added first, and the end of a transaction keeps the epoch', async () => {
    const topicId = await topicOf(wire, 'older', 1);
    assert.deepEqual(await wire.features(), { transactionVersion: 0 });
    const { producerId, epoch } = await initProducer(wire, 'writer-1');
    const id = { transactionalId: 'writer-1', producerId, epoch };
    const partitions = [{ topic: 'older', partition: 0 }];
    const add = async (): Promise<{ readonly error: number; readonly added: unknown }> => {
      const added = await wire.addPartitionsToTransaction(1, { ...id, partitions });
      return { error: added[0]?.error ?? -1, added };
    };
    assert.deepEqual((await untilReady(add)).added, [{ topic: 'older', partition: 0, error: 0 }]);
    assert.equal(await produceIn(wire, 'older', 'kept', { ...id, joins: false }), 0);
    const ended = await wire.endTransaction(1, { ...id, committed: true, bumps: false });
    assert.deepEqual(ended, { error: 0, producerId, epoch });
    const [read] = await untilRead(wire, { topic: 'older', topicId }, 2);
    assert.equal(read?.aborted.length, 0);
  });
});

test('a connection that is refused says where, and that nothing was sent', async () => {
  const port = await listen(() => {}).then(async ({ port: free, close }) => {
    await close();
    return free;
  });
  const wire = open(`127.0.0.1:${port}`);
  await assert.rejects(wire.metadata(null, []), (error: unknown) => {
    assert.ok(error instanceof WireFailure && !error.unclear);
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}.*ECONNREFUSED`));
    return true;
  });
  await wire.close();
});

test('what is too old is an error that says what is needed', async () => {
  // ApiVersions, without tags in the header: no error, and Metadata up to version 9 only.
  const apis = Buffer.from([0, 0, 2, 0, 3, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0]);
  const server = await listen((socket) => {
    socket.on('data', (request) => {
      const head = Buffer.alloc(8);
      head.writeInt32BE(apis.length + 4);
      request.copy(head, 4, 8, 12);
      socket.write(Buffer.concat([head, apis]));
    });
  });
  const wire = open(`127.0.0.1:${server.port}`);
  await assert.rejects(wire.metadata(null, []), (error: unknown) => {
    assert.equal((error as { readonly code?: string }).code, 'kafka-too-old');
    assert.match(String(error), /Metadata of version 12, the broker has 0 to 9/);
    return true;
  });
  await wire.close();
  await server.close();
});

test('what is not Kafka fails the call, and ends nothing else', async () => {
  const server = await listen((socket) => {
    socket.resume();
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
  });
  const wire = open(`127.0.0.1:${server.port}`, { connectTimeoutMs: 500 });
  await assert.rejects(wire.metadata(null, []), { name: 'WireFailure' });
  await wire.close();
  await server.close();
});

function open(brokers: string, options: Partial<KafkaConnection> = {}): KafkaWire {
  return socketPlatform.open({
    brokers: brokers.split(','),
    clientId: 'mizzle-test',
    tls: false,
    sasl: null,
    connectTimeoutMs: 2_000,
    requestTimeoutMs: 10_000,
    ...options,
  });
}

async function makeTopic(
  wire: KafkaWire,
  topic: string,
  partitions: number,
  configs: NewTopic['configs'] = {},
): Promise<{ readonly error: number; readonly message: string | null }> {
  const asked = { topic, partitions, replication: -1, configs };
  const [made] = await wire.createTopics(null, [asked]);
  return { error: made?.error ?? -1, message: made?.message ?? null };
}

/** Makes it, and gives its id when its partitions have leaders that know it. */
async function topicOf(
  wire: KafkaWire,
  topic: string,
  partitions: number,
  configs: NewTopic['configs'] = {},
): Promise<string> {
  assert.equal((await makeTopic(wire, topic, partitions, configs)).error, 0);
  const asked = Array.from({ length: partitions }, (_, partition) => ({
    topic,
    partition,
    timestamp: -1,
  }));
  const [found] = await until(
    async () => (await wire.metadata(null, [topic])).topics,
    ([one]) => one?.error === 0 && one.partitions.every(({ leader }) => leader >= 0),
  );
  await until(
    () => wire.listOffsets(1, 'read-committed', asked),
    (offsets) => offsets.every(({ error }) => error === 0),
  );
  return found!.topicId;
}

function produce(
  wire: KafkaWire,
  topic: string,
  records: Uint8Array,
  partition = 0,
): Promise<readonly ProducedPartition[]> {
  const partitions = [{ topic, partition, records }];
  return wire.produce(1, { transactionalId: null, acks: -1, timeoutMs: 5_000, partitions });
}

/** The code of the answer. */
async function produceIn(
  wire: KafkaWire,
  topic: string,
  value: string,
  {
    transactionalId,
    joins = true,
    ...identity
  }: BatchOptions & { readonly transactionalId: string; readonly joins?: boolean },
): Promise<number> {
  const records = recordBatch([value], { ...identity, sequence: 0, transactional: true });
  const partitions = [{ topic, partition: 0, records }];
  const request = { transactionalId, joins, acks: -1 as const, timeoutMs: 5_000, partitions };
  const answer = await untilReady(async () => (await wire.produce(1, request))[0]!);
  return answer.error;
}

async function initProducer(wire: KafkaWire, key: string): Promise<InitProducerAnswer> {
  const find = (): Promise<CoordinatorFound> =>
    wire.findCoordinator(null, { kind: 'transaction', key });
  const { broker } = await untilReady(find);
  const asked = { transactionalId: key, producerId: -1, epoch: -1, timeoutMs: 60_000 };
  return untilReady(() => wire.initProducerId(broker, asked));
}

type FetchOptions = {
  readonly topic: string;
  readonly topicId: string;
  readonly partitions: readonly number[];
  readonly offset?: number;
  readonly waitMs?: number;
  readonly isolation?: Isolation;
};

function fetchAll(
  wire: KafkaWire,
  { topic, topicId, partitions, offset = 0, waitMs = 0, isolation }: FetchOptions,
): Promise<readonly FetchedPartition[]> {
  const bytesMax = 4_000_000;
  const asked = { topic, topicId, leaderEpoch: -1, offset, bytesMax };
  return wire.fetchRecords(1, {
    waitMs,
    bytesMin: 1,
    bytesMax,
    isolation: isolation ?? 'read-committed',
    partitions: partitions.map((partition) => ({ ...asked, partition })),
  });
}

/** The markers of a transaction are written a moment after its end was answered. */
function untilRead(
  wire: KafkaWire,
  of: { readonly topic: string; readonly topicId: string },
  stable: number,
): Promise<readonly FetchedPartition[]> {
  return until(
    () => fetchAll(wire, { ...of, partitions: [0] }),
    ([read]) => read?.lastStableOffset === stable,
  );
}

const passing: readonly number[] = [
  kafkaErrors.notLeaderOrFollower,
  kafkaErrors.coordinatorLoadInProgress,
  kafkaErrors.coordinatorNotAvailable,
  kafkaErrors.notCoordinator,
  kafkaErrors.concurrentTransactions,
];

function untilReady<Answer extends { readonly error: number }>(
  ask: () => Promise<Answer>,
): Promise<Answer> {
  return until(ask, ({ error }) => !passing.includes(error));
}

const untilMsMax = 30_000;

async function until<Answer>(
  ask: () => Promise<Answer>,
  isGood: (answer: Answer) => boolean,
): Promise<Answer> {
  const startMs = performance.now();
  for (;;) {
    const answer = await ask();
    if (isGood(answer)) return answer;
    if (performance.now() - startMs > untilMsMax) {
      assert.fail(`still, after ${untilMsMax} ms: ${JSON.stringify(answer)}`);
    }
    await socketPlatform.sleep(5);
  }
}

async function listen(
  onConnection: (socket: Socket) => void,
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const server = createServer(onConnection);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> => new Promise((resolve) => void server.close(() => resolve()));
  return { port, close };
}
