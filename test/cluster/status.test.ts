// What a running cluster tells of itself: status for people and programs, metrics, logs as JSON.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  endAll,
  mizzle,
  sleep,
  startDriver,
  startWorker,
  temporaryFolder,
} from './processes.fixture.ts';

after(endAll);

test('a driver tells status, metrics and its log while the job runs', async () => {
  const out = join(temporaryFolder(), 'status.jsonl');
  const options = ['--status', '127.0.0.1:0', '--log', 'json'];
  const driver = startDriver({ job: 'endless', out, workers: 2, options });
  const port = Number(await driver.says(/waiting for 2 workers at 127\.0\.0\.1:(\d+)/));
  const place = `127.0.0.1:${await driver.says(/status at port (\d+)/)}`;
  const host = startWorker(port, 2);
  await host.says(/joined/);
  let status = { recordsIn: 0 } as Record<string, unknown> & { recordsIn: number };
  while (status.recordsIn === 0) {
    await sleep(100);
    const asked = await mizzle(['status', '--connect', place, '--json']).ended;
    assert.equal(asked.code, 0, asked.stderr);
    status = JSON.parse(asked.stdout) as typeof status;
  }
  assert.equal(status['name'], 'endless');
  assert.equal(status['state'], 'running');
  const [first] = status['hosts'] as { workers: number; joined: number }[];
  assert.equal(first?.workers, 2);
  assert.equal(first.joined, 2);
  const text = await mizzle(['status', '--connect', place]).ended;
  assert.match(
    text.stdout,
    /pipeline endless\nstate +running[^]*host +\S+ at 127\.0\.0\.1:\d+, 2 of 2/,
  );
  const metrics = await (await fetch(`http://${place}/metrics`)).text();
  assert.match(metrics, /# TYPE mizzle_records_in_total counter\nmizzle_records_in_total [1-9]/);
  assert.match(metrics, /mizzle_source_offset\{source="[^"]+",partition="2"\} [1-9]/);
  assert.equal((await fetch(`http://${place}/nothing`)).status, 404);
  driver.kill('SIGINT');
  const { code, stderr } = await driver.ended;
  assert.equal(code, 0, stderr);
  const entries = stderr.split('\n').filter((line) => line.startsWith('{'));
  const joined = entries.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.ok(joined.some(({ level, missing }) => level === 'info' && missing === 0));
  assert.equal((await host.ended).code, 0);
  const gone = await mizzle(['status', '--connect', place]).ended;
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /error \[status-unavailable\][^]*hint: /);
});
