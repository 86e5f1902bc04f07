// Kafka to Kafka, with workers that are lost and come back. Replay and look further:
// `npm run simulate -- --kafka pipeline --from SEED --seeds 1`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eachInOwnThread } from '../../testing/own-thread.fixture.ts';
import { simulateKafkaPipeline } from './kafka-pipeline.fixture.ts';

const seedCount = 50;

test('each record that is visible in one topic comes to the other one once', async () => {
  const totals = { records: 0, lives: 0 };
  const seeds = Array.from({ length: seedCount }, (_, seed) => seed);
  const module = import.meta.resolve('./kafka-pipeline.fixture.ts');
  for (const { records, lives } of await eachInOwnThread(simulateKafkaPipeline, module, seeds)) {
    totals.records += records;
    totals.lives += lives;
  }
  assert.ok(totals.records > 20 * seedCount, 'there is something to write');
  assert.ok(totals.lives > 3 * seedCount, 'workers are lost');
});
