// The simulated cluster does what Kafka does, by the protocol's own rules [KIP-98, KIP-360,
// KIP-890]: what it leaves out would let wrong connectors pass.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kafkaErrors } from '../../connectors/kafka/error-codes.ts';
import type { KafkaWire, ProducerIdentity } from '../../ports/kafka-wire.ts';
import { WireFailure } from '../../ports/kafka-wire.ts';
import { dataBatch, newKafka, recordsOf, runInTime } from './kafka-run.fixture.ts';
import { noKafkaFaults } from './kafka-faults.ts';
import type { SimulatedKafka, SimulatedKafkaOptions } from './simulated-kafka.ts';
import { kafkaConnection } from './minimal-sink.fixture.ts';

const topic = 'words';
const id = 'writer';

/** A producer that does one step at a time, and never twice. */
class Producer {
  readonly wire: KafkaWire;
  readonly #kafka: SimulatedKafka;
  identity: ProducerIdentity = { producerId: -1, epoch: -1 };
  sequence = 0;

  constructor(kafka: SimulatedKafka, name = 'client') {
    this.#kafka = kafka;
    this.wire = kafka.client(name).platform.open(kafkaConnection);
  }

  async coordinator(): Promise<number> {
    return (await this.wire.findCoordinator(null, { kind: 'transaction', key: id })).broker;
  }

  async init(timeoutMs = 60_000): Promise<number> {
    for (;;) {
      const asked = { transactionalId: id, timeoutMs, producerId: -1, epoch: -1 };
      const { error, ...identity } = await this.wire.initProducerId(
        await this.coordinator(),
        asked,
      );
      if (error === kafkaErrors.concurrentTransactions) continue;
      if (error === 0) this.identity = identity;
      this.sequence = 0;
      return error;
    }
  }

  async add(partition = 0): Promise<number> {
    for (;;) {
      const asked = { transactionalId: id, ...this.identity, partitions: [{ topic, partition }] };
      const coordinator = await this.coordinator();
      const [answer] = await this.wire.addPartitionsToTransaction(coordinator, asked);
      if (answer!.error !== kafkaErrors.concurrentTransactions) return answer!.error;
    }
  }

  async write(value: string, options: Partial<{ sequence: number; partition: number }> = {}) {
    const { partition = 0, sequence = this.sequence } = options;
    const records = dataBatch({ ...this.identity, sequence, records: [{ value }] });
    const { topics } = await this.wire.metadata(null, [topic]);
    const broker = topics[0]!.partitions[partition]!.leader;
    const joins = this.#kafka.options.transactionVersion >= 2;
    const request = { transactionalId: id, joins, acks: -1 as const, timeoutMs: 100 };
    const partitions = [{ topic, partition, records }];
    for (;;) {
      const [answer] = await this.wire.produce(broker, { ...request, partitions });
      if (answer!.error === kafkaErrors.concurrentTransactions) continue;
      if (answer!.error === 0 && sequence === this.sequence) this.sequence++;
      return answer!;
    }
  }

  async end(committed: boolean, bumps: boolean): Promise<number> {
    const asked = { transactionalId: id, ...this.identity, committed, bumps };
    const answer = await this.wire.endTransaction(await this.coordinator(), asked);
    if (answer.error === 0 && bumps) {
      this.identity = { producerId: answer.producerId, epoch: answer.epoch };
      this.sequence = 0;
    }
    return answer.error;
  }

  visible(isolation: 'read-committed' | 'read-uncommitted' = 'read-committed'): string[] {
    const log = this.#kafka.brokers.log({ topic, partition: 0 });
    return recordsOf(log.visible(isolation)).map(({ value }) => value!);
  }
}

function check(
  name: string,
  options: Partial<SimulatedKafkaOptions>,
  body: (kafka: SimulatedKafka, producer: Producer) => Promise<void>,
): void {
  test(`SimulatedKafka: ${name}`, async () => {
    for (let seed = 0; seed < 5; seed++) {
      const { clock, kafka } = newKafka(seed, options);
      kafka.createTopic(topic, 2);
      await runInTime({ clock, kafka }, body(kafka, new Producer(kafka)));
    }
  });
}

check('a transaction is visible when it has ended, and not before', {}, async (kafka, producer) => {
  assert.equal(await producer.init(), 0);
  assert.equal((await producer.write('a')).error, 0);
  assert.equal((await producer.write('b')).error, 0);
  assert.deepEqual(producer.visible(), []);
  assert.deepEqual(producer.visible('read-uncommitted'), ['a', 'b']);
  const { log } = kafka.brokers.partitions()[0]!;
  assert.equal(log.lastStableOffset, 0);
  assert.equal(await producer.end(true, true), 0);
  await kafka.sleep(20);
  assert.deepEqual(producer.visible(), ['a', 'b']);
  assert.equal(log.lastStableOffset, 3, 'the marker has an offset, too');
});

check('what is aborted stays in the log and is told to readers', {}, async (kafka, producer) => {
  await producer.init();
  await producer.write('a');
  await producer.end(false, true);
  await producer.write('b');
  await producer.end(true, true);
  await kafka.sleep(20);
  assert.deepEqual(producer.visible(), ['b']);
  const { topics } = await producer.wire.metadata(null, [topic]);
  const { topicId, partitions } = topics[0]!;
  const asked = { topic, partition: 0, topicId, leaderEpoch: 0, offset: 0, bytesMax: 1e6 };
  const [fetched] = await producer.wire.fetchRecords(partitions[0]!.leader, {
    waitMs: 0,
    bytesMin: 0,
    bytesMax: 1e6,
    isolation: 'read-committed',
    partitions: [asked],
  });
  const { producerId } = producer.identity;
  assert.deepEqual(fetched!.aborted, [{ producerId, firstOffset: 0 }]);
  assert.equal(fetched!.lastStableOffset, 4);
});

check('a batch that comes twice is written once', {}, async (_, producer) => {
  await producer.init();
  const first = await producer.write('a');
  await producer.write('b');
  const again = await producer.write('a', { sequence: 0 });
  assert.deepEqual([again.error, again.offset], [0, first.offset]);
  assert.deepEqual(producer.visible('read-uncommitted'), ['a', 'b']);
});

check('a batch that leaves a gap is refused', {}, async (_, producer) => {
  await producer.init();
  await producer.write('a');
  const { error } = await producer.write('c', { sequence: 2 });
  assert.equal(error, kafkaErrors.outOfOrderSequenceNumber);
});

check('only the last five batches are recognised', {}, async (_, producer) => {
  await producer.init();
  for (const value of 'abcdef') await producer.write(value);
  assert.equal((await producer.write('b', { sequence: 1 })).error, 0);
  const { error } = await producer.write('a', { sequence: 0 });
  assert.equal(error, kafkaErrors.outOfOrderSequenceNumber);
});

for (const transactionVersion of [1, 2] as const) {
  const isNew = transactionVersion === 2;
  const version = { transactionVersion };
  const name = (what: string): string => `${what}, transaction version ${transactionVersion}`;

  check(name('who initialises later fences who was there'), version, async (kafka, producer) => {
    await producer.init();
    if (!isNew) await producer.add();
    await producer.write('old');
    const later = new Producer(kafka, 'later');
    assert.equal(await later.init(), 0);
    assert.equal((await producer.write('zombie')).error, kafkaErrors.invalidProducerEpoch);
    assert.equal(await producer.end(true, isNew), kafkaErrors.producerFenced);
    if (!isNew) await later.add();
    assert.equal((await later.write('new')).error, 0);
    assert.equal(await later.end(true, isNew), 0);
    await kafka.sleep(20);
    assert.deepEqual(producer.visible(), ['new']);
  });

  check(name('a transaction that lasts too long is aborted'), version, async (kafka, producer) => {
    await producer.init(50);
    if (!isNew) await producer.add();
    await producer.write('a');
    await kafka.sleep(100);
    assert.equal(await producer.end(true, isNew), kafkaErrors.producerFenced);
    assert.deepEqual(producer.visible(), []);
    assert.equal(kafka.brokers.log({ topic, partition: 0 }).lastStableOffset, 2);
  });

  // The weakness of the old protocol that Jepsen has shown at work in clients.
  check(name('an end that was under way for long'), version, async (kafka, producer) => {
    await producer.init();
    const late = { transactionalId: id, ...producer.identity, committed: true, bumps: isNew };
    if (!isNew) await producer.add();
    await producer.write('a');
    await producer.end(true, isNew);
    await kafka.sleep(20);
    if (!isNew) await producer.add();
    await producer.write('half');
    const { error } = await producer.wire.endTransaction(await producer.coordinator(), late);
    await kafka.sleep(20);
    assert.equal(error, isNew ? kafkaErrors.producerFenced : kafkaErrors.none);
    assert.deepEqual(producer.visible(), isNew ? ['a'] : ['a', 'half']);
  });

  check(
    name('an identity that is used up is replaced'),
    { ...version, epochMax: 3 },
    async (kafka) => {
      const producer = new Producer(kafka);
      const ids = new Set<number>();
      for (let round = 0; round < 6; round++) {
        assert.equal(await producer.init(), 0);
        ids.add(producer.identity.producerId);
        for (const value of ['a', 'b']) {
          if (!isNew) await producer.add();
          assert.equal((await producer.write(`${value}${round}`)).error, 0);
          assert.equal(await producer.end(true, isNew), 0);
          ids.add(producer.identity.producerId);
          await kafka.sleep(20);
        }
      }
      assert.ok(ids.size > 1);
      assert.equal(producer.visible().length, 12);
    },
  );
}

check(
  'a write of another transaction is refused by who verifies',
  { transactionVersion: 1 },
  async (_, producer) => {
    await producer.init();
    assert.equal((await producer.write('a')).error, kafkaErrors.transactionAbortable);
  },
);

check(
  'a write of no transaction stays open for ever where nobody verifies',
  { transactionVersion: 0, verifies: false },
  async (kafka, producer) => {
    await producer.init();
    assert.equal((await producer.write('a')).error, 0);
    await kafka.sleep(100_000);
    assert.equal(kafka.brokers.log({ topic, partition: 0 }).lastStableOffset, 0);
  },
);

check('a new leader lacks at most what was not committed', {}, async (kafka, producer) => {
  await producer.init();
  await producer.write('a');
  const partition = kafka.brokers.partitions()[0]!;
  const second = producer.write('b').catch((error: unknown) => error);
  await kafka.sleep(1.5);
  kafka.brokers.changeLeader(partition, 5);
  await second;
  await kafka.sleep(20);
  const seen = producer.visible('read-uncommitted');
  assert.ok(['a', 'a,b'].includes(seen.join()), seen.join());
});

check('what a crashed client has sent arrives', {}, async (kafka) => {
  const client = kafka.client('crashing');
  const wire = client.platform.open(kafkaConnection);
  const records = dataBatch({ records: [{ value: 'last words' }] });
  const { leader } = kafka.brokers.partitions()[0]!;
  const request = { transactionalId: null, acks: -1 as const, timeoutMs: 100 };
  let isHeard = false;
  void wire
    .produce(leader, { ...request, partitions: [{ topic, partition: 0, records }] })
    .then(() => (isHeard = true));
  client.crash();
  await kafka.sleep(20);
  assert.equal(isHeard, false);
  assert.deepEqual(recordsOf(kafka.brokers.partitions()[0]!.log.visible('read-committed')), [
    { key: null, value: 'last words' },
  ]);
});

test('SimulatedKafka: a lost reply leaves all in the dark, the record is there', async () => {
  const faults = { ...noKafkaFaults, healMs: 100_000, lostReplies: 1 };
  const { clock, kafka } = newKafka(1, { faults });
  kafka.createTopic(topic, 1);
  const wire = kafka.client('client').platform.open(kafkaConnection);
  const partition = kafka.brokers.partitions()[0]!;
  const records = dataBatch({ records: [{ value: 'a' }] });
  const produced = wire.produce(partition.leader, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 100,
    partitions: [{ topic, partition: 0, records }],
  });
  await assert.rejects(runInTime({ clock, kafka }, produced), (error) => {
    return error instanceof WireFailure && error.unclear;
  });
  await runInTime({ clock, kafka }, kafka.sleep(20));
  assert.equal(partition.log.visible('read-committed').length, 1);
});

test('PartitionLog: compaction keeps the last of a key, and what is open', async () => {
  const { clock, kafka } = newKafka(1, {});
  kafka.createTopic(topic, 2);
  const { log } = kafka.brokers.partitions()[0]!;
  const keyed = (...pairs: readonly string[]): Uint8Array => {
    return dataBatch({ records: pairs.map((pair) => ({ key: pair[0]!, value: pair })) });
  };
  log.append(keyed('a1', 'b1'), true);
  log.append(keyed('a2'), true);
  log.append(keyed('c1', 'a3'), true);
  log.raiseHighWatermark(5);
  const producer = new Producer(kafka);
  await runInTime({ clock, kafka }, producer.init());
  await runInTime({ clock, kafka }, producer.write('open'));
  log.compact(Infinity);
  assert.deepEqual(producer.visible('read-uncommitted'), ['b1', 'c1', 'a3', 'open']);
  assert.equal(log.endOffset, 6);
  assert.equal(log.batchBegin(2), 3, 'the batch in between is gone');
});
