// The Kafka source by itself under faults of the cluster, the network and the processes. Replay and
// look further: `npm run simulate -- --kafka source --from SEED --seeds 1`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eachInOwnThread } from '../../testing/own-thread.fixture.ts';
import { simulateKafkaSource } from './kafka-source.fixture.ts';

const seedCount = 100;

test('KafkaSource gives each visible record once, in order, and again on replay', async () => {
  const totals = { records: 0, reopened: 0, committed: 0 };
  const seeds = Array.from({ length: seedCount }, (_, seed) => seed);
  const module = import.meta.resolve('./kafka-source.fixture.ts');
  const runs = await eachInOwnThread(simulateKafkaSource, module, seeds);
  for (const { records, reopened, committed } of runs) {
    totals.records += records;
    totals.reopened += reopened;
    totals.committed += committed;
  }
  assert.ok(totals.records > 50 * seedCount, 'there is something to read');
  assert.ok(totals.reopened > seedCount, 'readers go on elsewhere');
  assert.ok(totals.committed > 0, 'groups are at the end where nothing goes wrong');
});

test('simulateKafkaSource does the same again by the same seed', async () => {
  for (let seed = 0; seed < 5; seed++) {
    assert.deepEqual(await simulateKafkaSource(seed), await simulateKafkaSource(seed));
  }
});
