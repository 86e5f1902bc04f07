// The range log in a topic of a real broker: the laws of all range logs, and what deleting what
// stands before must not change.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { KafkaClient } from '../../src/connectors/kafka/kafka-client.ts';
import { KafkaRangeLog } from '../../src/connectors/kafka/kafka-range-log.ts';
import { resolveAddress } from '../../src/connectors/kafka/kafka-address.ts';
import { socketPlatform as platform } from '../../src/connectors/kafka/sockets/platform.ts';
import { isFenced } from '../../src/control/storage/storage-errors.ts';
import { StreamError } from '../../src/index.ts';
import { checkLog, range } from '../../src/runtime/storage/range-log.fixture.ts';
import type { KafkaServer } from './kafka-server.fixture.ts';
import { kafkaMissing, startKafka } from './kafka-server.fixture.ts';

describe('KafkaRangeLog', { skip: kafkaMissing() ?? false }, () => {
  let kafka: KafkaServer;
  const clients: KafkaClient[] = [];

  before(async () => {
    kafka = await startKafka();
  });

  after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await kafka.stop();
  });

  function client(): KafkaClient {
    const connection = resolveAddress({ brokers: kafka.bootstrap }, platform);
    const made = new KafkaClient(platform.open(connection), {
      clock: platform,
      patienceMs: 20_000,
    });
    clients.push(made);
    return made;
  }

  function open(topic: string, { pipeline = 'p', history = 'h' } = {}): KafkaRangeLog {
    const owner = { pipeline, history };
    const own = { client: client(), platform, owner, replication: 1, releaseRecordsMin: 2 };
    return new KafkaRangeLog({ ...own, topic });
  }

  test('keeps the laws of a range log', async (context) => {
    await checkLog(context, (place) => {
      return { log: open(`laws-${place}`), another: open(`laws-${place}`) };
    });
  });

  test('deletes what is released, and everybody still knows who may write', async () => {
    const log = open('released');
    const living = log.writer('living', 1);
    const dead = log.writer('dead', 1);
    for (let batch = 0; batch < 10; batch++) {
      await living.append([range(batch, 0)]);
      await dead.append([range(batch, 1)]);
    }
    await log.seal('dead');
    await log.fence(2);
    await log.release(7);
    const reader = client();
    const found = await reader.leader({ topic: 'released', partition: 0 });
    const starts = await Promise.all(
      Array.from({ length: 8 }, async (_, partition) => {
        const asked = [{ topic: 'released', partition, timestamp: -2 }];
        const [start] = await reader.wire.listOffsets(found.broker, 'read-uncommitted', asked);
        return start!.offset;
      }),
    );
    assert.ok(
      starts.some((offset) => offset > 0),
      'nothing was deleted',
    );
    const fresh = open('released');
    const left = (await fresh.read(7)).map(({ batch, partition }) => `${batch} ${partition}`);
    assert.deepEqual(left, ['8 0', '8 1', '9 0', '9 1']);
    assert.deepEqual((await fresh.writers()).toSorted(), ['dead', 'living']);
    await living.append([range(10, 0)]);
    await assert.rejects(dead.append([range(10, 1)]), isFenced);
    await assert.rejects(fresh.writer('dead', 3).append([range(10, 1)]), isFenced);
    await assert.rejects(fresh.writer('late', 1).append([range(10, 2)]), isFenced);
    await assert.rejects(fresh.writer('living', 3).append([range(10, 2)]), isFenced);
    assert.equal((await open('released').read(9)).length, 1);
  });

  test('what the dead add behind a seal never counts, also when the seal is deleted', async () => {
    const log = open('strays');
    const dead = log.writer('dead', 1);
    await dead.append([range(0, 0), range(1, 0)]);
    await dead.append([range(2, 0)]);
    await log.seal('dead');
    await assert.rejects(dead.append([range(3, 0)]), isFenced);
    const next = log.writer('next', 1);
    for (let batch = 3; batch < 12; batch++) await next.append([range(batch, 0)]);
    await log.release(9);
    await log.release(10);
    assert.deepEqual(
      (await open('strays').read(2)).map(({ batch }) => batch).filter((batch) => batch < 4),
      (await log.read(2)).map(({ batch }) => batch).filter((batch) => batch < 4),
    );
    const late = (await open('strays').read(10)).map(({ batch }) => batch);
    assert.deepEqual(late, [11]);
  });

  test('keeps histories apart, and refuses the topic of another pipeline', async () => {
    const [first, second] = [open('owned', { history: 'a' }), open('owned', { history: 'b' })];
    await first.writer('w', 1).append([range(0, 0)]);
    assert.deepEqual(await second.read(-1), []);
    await second.writer('w', 1).append([range(5, 0)]);
    assert.deepEqual((await first.read(-1)).length, 1);
    const foreign = open('owned', { pipeline: 'q' });
    await assert.rejects(foreign.read(-1), (error: unknown) => {
      return error instanceof StreamError && error.code === 'range-log-conflict';
    });
  });
});
