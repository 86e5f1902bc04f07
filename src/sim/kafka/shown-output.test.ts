// What a writer of the Kafka sink has committed is seen by readers of committed records once it has
// closed, however long markers take; and before it has, it need not be.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../base/random.ts';
import { makeKafkaSink } from '../../connectors/kafka/kafka-sink.ts';
import { rowsAsBatch, sinkContext } from '../../connectors/sink-writing.fixture.ts';
import type { Sink } from '../../ports/sink.ts';
import type { RowSchema } from '../../schema/data-type.ts';
import { drawKafkaFaults, noKafkaFaults } from './kafka-faults.ts';
import { newKafka, recordsOf, runInTime } from './kafka-run.fixture.ts';
import type { SimulatedKafka } from './simulated-kafka.ts';

const schema: RowSchema = {
  fields: [{ name: 'batch', path: ['batch'], type: { kind: 'int32' }, nullable: false }],
};
const batchCount = 5;

function visibleCount(kafka: SimulatedKafka): number {
  const logs = [0, 1].map((partition) => kafka.brokers.log({ topic: 'output', partition }));
  return logs.flatMap((log) => recordsOf(log.visible('read-committed'))).length;
}

/** How many of the rows are seen, before the writer closes and after. */
async function write(kafka: SimulatedKafka): Promise<{ before: number; after: number }> {
  await kafka.sleep(50);
  const options = { brokers: 'simulated:9092', topic: 'output', key: 'batch' };
  const sink = makeKafkaSink(options, kafka.client('writer').platform) as Sink;
  await sink.prepare(sinkContext(schema));
  const writer = await sink.open(0, sinkContext(schema));
  for (let batch = 0; batch < batchCount; batch++) {
    await writer.commit({ batch, rows: rowsAsBatch(schema, [{ batch }]), watermarkMs: 0 });
  }
  const before = visibleCount(kafka);
  await writer.close();
  return { before, after: visibleCount(kafka) };
}

for (const transactionVersion of [0, 2] as const) {
  test(`closing waits for markers, transaction.version ${transactionVersion}`, async () => {
    let hidden = 0;
    for (let seed = 0; seed < 60; seed++) {
      const isCalm = seed % 2 === 0;
      const faults = isCalm ? noKafkaFaults : drawKafkaFaults(new Random(seed), 1_000);
      const markerMsMax = 100;
      const { clock, kafka } = newKafka(seed, { transactionVersion, markerMsMax, faults });
      kafka.createTopic('output', 2);
      const { before, after } = await runInTime({ clock, kafka }, write(kafka));
      if (before < batchCount) hidden++;
      assert.equal(after, batchCount, `seed ${seed}`);
    }
    assert.ok(hidden > 10, 'the cluster takes its time');
  });
}
