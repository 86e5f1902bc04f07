// A ledger that is deleted while a sink writes: whoever goes on must not take it for one that says
// that nothing is visible.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../base/random.ts';
import { StreamError } from '../../base/stream-error.ts';
import { rowsAsBatch, sinkContext } from '../../connectors/sink-writing.fixture.ts';
import { makeKafkaSink } from '../../connectors/kafka/kafka-sink.ts';
import type { Sink } from '../../ports/sink.ts';
import type { RowSchema } from '../../schema/data-type.ts';
import { drawKafkaFaults, noKafkaFaults } from './kafka-faults.ts';
import { newKafka, recordsOf, runInTime } from './kafka-run.fixture.ts';
import type { SimulatedKafka } from './simulated-kafka.ts';

const schema: RowSchema = {
  fields: [{ name: 'batch', path: ['batch'], type: { kind: 'int32' }, nullable: false }],
};
const ledger = 'output.mizzle-ledger';
const batchCount = 20;

function sinkOn(kafka: SimulatedKafka, name: string): Sink {
  const options = { brokers: 'simulated:9092', topic: 'output', key: 'batch' };
  return makeKafkaSink(options, kafka.client(name).platform) as Sink;
}

/** Null: all was written before the ledger went. */
async function loseLedger(kafka: SimulatedKafka, random: Random): Promise<string | null> {
  // All brokers know the topic by then.
  await kafka.sleep(50);
  const sink = sinkOn(kafka, 'first');
  await sink.prepare(sinkContext(schema));
  const writer = await sink.open(0, sinkContext(schema));
  kafka.clock.after(random.float() * 200, () => kafka.brokers.deleteTopic(ledger));
  const failure = await (async () => {
    for (let batch = 0; batch < batchCount; batch++) {
      const rows = rowsAsBatch(schema, [{ batch }]);
      await writer.commit({ batch, rows, watermarkMs: 0 });
    }
    return null;
  })().catch((error: unknown) => codeOf(error));
  await writer.close();
  await kafka.sleep(5_000);
  return failure;
}

function codeOf(error: unknown): string {
  if (!(error instanceof StreamError)) throw error;
  return error.code;
}

function visible(kafka: SimulatedKafka): readonly number[] {
  const batches = [0, 1].flatMap((partition) => {
    const log = kafka.brokers.log({ topic: 'output', partition });
    const values = recordsOf(log.visible('read-committed')).map(({ value }) => value!);
    return values.map((value) => (JSON.parse(value) as { readonly batch: number }).batch);
  });
  return batches.toSorted((a, b) => a - b);
}

test('a run does not go on without its ledger, and nothing is visible twice', async () => {
  let cutOff = 0;
  for (let seed = 0; seed < 60; seed++) {
    const random = new Random(seed);
    const isCalm = random.chance(0.3);
    const faults = isCalm ? noKafkaFaults : drawKafkaFaults(random.fork(), 1_000);
    const { clock, kafka } = newKafka(seed, {
      brokerCount: random.pick([1, 3]),
      transactionVersion: random.pick([0, 2]),
      verifies: true,
      epochMax: 32_766,
      replicationMsMax: 5,
      decideMsMax: 5,
      markerMsMax: 5,
      latencyMsMax: 5,
      timeoutMs: 100,
      // A late request to make the ledger would make it anew.
      faults: { ...faults, lateRequests: 0 },
    });
    kafka.createTopic('output', 2);
    const run = async (): Promise<void> => {
      const failure = await loseLedger(kafka, random);
      if (failure !== null) cutOff++;
      const codes = [null, 'ledger-missing', 'topic-unknown'];
      assert.ok(codes.includes(failure), `seed ${seed}: ${failure}`);
      const before = visible(kafka);
      const resumed = sinkContext(schema, { term: 2, resumes: true });
      const prepared = sinkOn(kafka, 'second').prepare(resumed);
      const outcome = await prepared.then(
        () => 'prepared',
        (error: unknown) => codeOf(error),
      );
      const isUnused = [0, 1].every((partition) => {
        return kafka.brokers.log({ topic: 'output', partition }).endOffset === 0;
      });
      assert.equal(outcome, isUnused ? 'prepared' : 'ledger-missing', `seed ${seed}`);
      assert.deepEqual(visible(kafka), before);
      assert.deepEqual(
        before,
        before.map((_, batch) => batch),
        `seed ${seed}`,
      );
    };
    await runInTime({ clock, kafka, limitMs: 400_000 }, run());
  }
  assert.ok(cutOff > 20, 'ledgers go while somebody writes');
});
