// What a program can do to a job that has checkpoints: stop it for a while, drain it, make
// savepoints of it, and start from them.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import {
  collect,
  count,
  generator,
  int32,
  pipeline,
  schema,
  string,
  StreamError,
  timestamp,
  tumbling,
} from '../../src/index.ts';
import type { Job, JobSummary, RunOptions } from '../../src/index.ts';

const store = mkdtempSync(join(tmpdir(), 'mizzle-suspend-'));
after(() => rmSync(store, { recursive: true }));

type Row = { readonly key: string; readonly windowStart: number; readonly ticks: number };

const ticks = generator({
  schema: schema({ key: string(), n: int32(), at: timestamp('ms') }),
  eventsPerSecond: 5000,
  partitions: 2,
  rows: (n, at) => ({ key: `k${n % 3}`, n, at }),
});
const counts = collect<Row>();
const counting = pipeline('counting')
  .from(ticks, { time: 'at' })
  .groupBy('key')
  .window(tumbling('100ms'))
  .aggregate(() => ({ ticks: count() }))
  .to(counts);

function start(options: RunOptions = {}): Promise<Job> {
  return counting.run({ workers: 0, checkpoints: { store, interval: '1m' }, ...options });
}

async function moreRows(): Promise<void> {
  const before = counts.rows.length;
  while (counts.rows.length <= before) await pause(5);
}

function read({ offsets }: JobSummary): number {
  return offsets.reduce((sum, { to }) => sum + to, 0);
}

function counted(rows: readonly Row[]): number {
  return rows.reduce((sum, row) => sum + row.ticks, 0);
}

test('a job is suspended, goes on, and is drained: every event counts once', async () => {
  const first = await start();
  await moreRows();
  const savepoint = await first.savepoint('first');
  assert.equal(savepoint.name, 'first');
  await moreRows();
  const suspended = await first.stop();
  assert.equal(suspended.ending, 'suspended');
  assert.ok(suspended.checkpoint! > savepoint.number);
  assert.ok(counted(counts.rows) < read(suspended), 'windows are open');

  const second = await start();
  await moreRows();
  const draining = await second.stop({ drain: true, savepoint: 'last' });
  assert.equal(draining.ending, 'drained');
  assert.ok(draining.checkpoint! > suspended.checkpoint!);
  assert.equal(counted(counts.rows), read(draining));
  const windows = new Set(counts.rows.map(({ key, windowStart }) => `${key}@${windowStart}`));
  assert.equal(windows.size, counts.rows.length, 'no window came twice');

  // It has ended: another run has nothing to do, and says so.
  const third = await (await start()).done;
  assert.deepEqual([third.ending, third.checkpoint], ['drained', draining.checkpoint]);
  assert.equal(counted(counts.rows), read(draining));

  // From the savepoint on, all that is not in the state comes once more.
  const kept = counts.rows.length;
  const checkpoints = { store, from: 'first', output: 'keep' } as const;
  const fourth = await start({ checkpoints, drainOnStop: true });
  while (counts.rows.length <= kept) await pause(5);
  const again = await fourth.stop();
  assert.equal(again.ending, 'drained');
  const rows = counts.rows.slice(kept);
  const open = rows.filter(({ key, windowStart }) => windows.has(`${key}@${windowStart}`));
  assert.ok(open.length > 0, 'what was visible after the savepoint comes again');
  // Draining closed the last ones before they were full.
  const last = Math.max(...counts.rows.slice(0, kept).map(({ windowStart }) => windowStart));
  for (const row of open.filter(({ windowStart }) => windowStart < last)) {
    const same = ({ key, windowStart }: Row): boolean =>
      key === row.key && windowStart === row.windowStart;
    assert.equal(counts.rows.slice(0, kept).find(same)!.ticks, row.ticks);
  }
});

test('a job without checkpoints has no savepoints, and stop() drains it', async () => {
  const job = await counting.run({ workers: 0 });
  await assert.rejects(job.savepoint(), refused(/keeps nothing/));
  await moreRows();
  await assert.rejects(job.stop({ savepoint: 'a' }), refused(/keeps nothing/));
  const summary = await job.stop({ drain: false });
  assert.deepEqual([summary.ending, summary.checkpoint], ['drained', null]);
  assert.equal(counted(counts.rows), read(summary));
});

test('a savepoint must have a name that is no number', async () => {
  const own = mkdtempSync(join(tmpdir(), 'mizzle-suspend-'));
  const job = await start({ checkpoints: own });
  for (const name of ['12', '', 'a b', 'a/b']) {
    await assert.rejects(job.savepoint(name), refused(/a name/));
  }
  await job.stop();
  await assert.rejects(job.savepoint('late'), (error: unknown) => {
    return error instanceof StreamError && error.code === 'job-ending';
  });
  for (const [checkpoints, problem] of [
    [{ store: own, from: 1, fresh: true }, /from together with `fresh`/],
    [{ store: own, output: 'keep' }, /output without `from`/],
    [{ store: own, from: 1, output: 'all' as 'keep' }, /"all", which is neither/],
  ] as const) {
    await assert.rejects(start({ checkpoints }), problem);
  }
  rmSync(own, { recursive: true });
});

function refused(pattern: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof StreamError &&
    error.code === 'savepoint-refused' &&
    pattern.test(error.message);
}
