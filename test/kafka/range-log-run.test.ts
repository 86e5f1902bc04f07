// Whole runs that log their ranges in Kafka, whose driver gets SIGKILL: what comes after knows what
// was read, also when it logs elsewhere.

import { after, before, describe, test } from 'node:test';
import { join } from 'node:path';
import { existsSync, readdirSync } from 'node:fs';
import assert from 'node:assert/strict';
import { endAll } from '../cluster/processes.fixture.ts';
import { Feed, rowsOf } from '../recovery/feed.fixture.ts';
import type { RecoveryJob } from '../recovery/orders.fixture.ts';
import { assertExact, freshPath, keeping, startRun } from '../recovery/orders.fixture.ts';
import type { KafkaServer } from './kafka-server.fixture.ts';
import { kafkaMissing, startKafka } from './kafka-server.fixture.ts';

describe('a run that logs its ranges in Kafka', { skip: kafkaMissing() ?? false }, () => {
  let kafka: KafkaServer;

  before(async () => {
    kafka = await startKafka();
  });

  after(async () => {
    await endAll();
    await kafka.stop();
  });

  test('goes on after SIGKILL, on hosts, and then with the log of its store', async () => {
    const feed = new Feed();
    const job: RecoveryJob = { out: freshPath('/'), from: { growing: feed.paths } };
    const store = freshPath('.store');
    const logging = ['--range-log', `kafka://${kafka.bootstrap}/ranges`];
    const settings = [
      ['--workers', '2', ...logging],
      ['--hosts', '2', '--workers', '1', ...logging],
      ['--workers', '2'],
    ];
    for (const options of settings) {
      const run = startRun(job, [...options, ...keeping(store)]);
      const rows = rowsOf(job);
      await feed.until(() => rowsOf(job) > rows + 20, run);
      feed.feed(1_000);
      run.kill('SIGKILL');
      await run.ended;
    }
    const folder = join(store, 'orders', 'log-files');
    assert.ok(existsSync(folder) && readdirSync(folder).length > 0, 'the last one logged in files');
    const last = startRun(job, ['--workers', '1', ...logging, ...keeping(store)]);
    await feed.finish(last, job);
    assertExact(job, feed.truth(job));
  });
});
