// The range log in a topic, on a simulated cluster with faults: what was reported durable is in the
// log when its writer is sealed, and from then on the log does not grow.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../base/random.ts';
import { resolveAddress } from '../../connectors/kafka/kafka-address.ts';
import { KafkaClient } from '../../connectors/kafka/kafka-client.ts';
import { KafkaRangeLog } from '../../connectors/kafka/kafka-range-log.ts';
import { isFenced } from '../../control/storage/storage-errors.ts';
import type { LoggedRange } from '../../ports/range-log.ts';
import { drawKafkaFaults } from './kafka-faults.ts';
import { newKafka, runInTime } from './kafka-run.fixture.ts';

const seeds = Number(process.env['SEEDS'] ?? 60);
const owner = { pipeline: 'p', history: 'h' };

function range(batch: number, partition: number): LoggedRange {
  return { source: 's', partition, batch, record: Uint8Array.of(batch, partition) };
}

function names(ranges: readonly LoggedRange[]): readonly string[] {
  return ranges.map(({ batch, partition }) => `${partition}@${batch}`);
}

async function simulate(seed: number): Promise<void> {
  const faults = drawKafkaFaults(new Random(seed), 4_000);
  const { clock, kafka, random } = newKafka(seed, { faults });
  let clients = 0;
  const open = (): KafkaRangeLog => {
    const { platform } = kafka.client(`client-${clients++}`);
    const connection = resolveAddress({ brokers: 'kafka:9092' }, platform);
    const wire = platform.open(connection);
    const client = new KafkaClient(wire, { clock: platform, patienceMs: 60_000 });
    const own = { client, platform, owner, replication: 1, releaseRecordsMin: 2 };
    return new KafkaRangeLog({ ...own, topic: 'ranges' });
  };
  const work = race(random, open, (ms) => kafka.sleep(ms));
  await runInTime({ clock, kafka, limitMs: 300_000 }, work);
}

async function race(
  random: Random,
  open: () => KafkaRangeLog,
  sleep: (ms: number) => Promise<void>,
): Promise<void> {
  const driver = open();
  const writerCount = random.integer(1, 4);
  const durable: string[] = [];
  const sealedAt = new Map<number, readonly string[]>();
  const write = async (number: number): Promise<void> => {
    const writer = open().writer(`w${number}`, 1);
    for (let batch = 0; batch < 25; batch++) {
      const isSealed = sealedAt.has(number);
      try {
        await writer.append([range(batch, number)]);
      } catch (error) {
        assert.ok(isFenced(error), String(error));
        return;
      }
      assert.ok(!isSealed, `w${number} added ${batch} behind its seal`);
      durable.push(`${number}@${batch}`);
      if (random.chance(0.2)) await sleep(random.integer(1, 200));
    }
  };
  const seal = async (number: number): Promise<void> => {
    await sleep(random.integer(0, 2_000));
    const by = random.chance(0.5) ? driver : open();
    await by.seal(`w${number}`);
    const known = durable.filter((name) => name.startsWith(`${number}@`));
    const found = names(await by.read(-1));
    for (const name of known) assert.ok(found.includes(name), `${name} was durable, and is lost`);
    sealedAt.set(
      number,
      found.filter((name) => name.startsWith(`${number}@`)),
    );
  };
  const keepUp = async (): Promise<void> => {
    for (let times = random.integer(0, 4); times > 0; times--) {
      await sleep(random.integer(0, 700));
      await driver.keepUp(random.integer(-1, 20));
    }
  };
  const numbers = Array.from({ length: writerCount }, (_, number) => number);
  await Promise.all([keepUp(), ...numbers.flatMap((number) => [write(number), seal(number)])]);
  const last = names(await open().read(-1));
  for (const [number, found] of sealedAt) {
    const now = last.filter((name) => name.startsWith(`${number}@`));
    assert.deepEqual(now, found, `the log of w${number} has grown behind its seal`);
  }
  // What is released takes nothing else with it, and no seal is forgotten.
  const through = random.integer(0, 20);
  await driver.release(through);
  const left = names(await open().read(through));
  assert.deepEqual(left, names(await driver.read(through)));
  assert.deepEqual(
    left,
    last.filter((name) => Number(name.split('@')[1]) > through),
  );
  for (const number of numbers) {
    await assert.rejects(
      open()
        .writer(`w${number}`, 9)
        .append([range(99, number)]),
      isFenced,
    );
  }
}

test(`a range log in Kafka loses nothing and grows behind no seal (${seeds} seeds)`, async () => {
  for (let seed = 0; seed < seeds; seed++) {
    await simulate(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
    });
  }
});
