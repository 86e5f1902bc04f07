// Jobs run for real, inline and in worker threads, and everything a user can do to them.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  collect,
  count,
  files,
  first,
  jsonLines,
  last,
  memory,
  pipeline,
  schema,
  string,
  StreamError,
  timestamp,
} from '../../src/index.ts';
import type { Job, Pipeline, RunOptions, Sink } from '../../src/index.ts';
import {
  bounded,
  endless,
  endlessCounts,
  exiting,
  orders,
  passed,
  revenue,
  throwing,
} from './shop.fixture.ts';
import type { Revenue } from './shop.fixture.ts';

const shop = new URL('./shop.fixture.ts', import.meta.url);

/** Starts a job whose threads find the same pipeline in the fixture. */
async function start(name: string, job: Pipeline, options: RunOptions = {}): Promise<Job> {
  process.env['MIZZLE_TEST_PIPELINE'] = name;
  return job.run({ module: shop, ...options });
}

/** The same result by hand. */
function expectedRevenue(): readonly Revenue[] {
  const groups = new Map<string, Revenue>();
  for (const { country, amount, at } of orders) {
    const windowStart = at - (at % 1000);
    const key = `${country}@${windowStart}`;
    const { orders: n, revenue: total } = groups.get(key) ?? { orders: 0, revenue: 0 };
    groups.set(key, { country, windowStart, orders: n + 1, revenue: total + amount });
  }
  return sorted([...groups.values()]);
}

function sorted(rows: readonly Revenue[]): readonly Revenue[] {
  return rows
    .map(({ country, windowStart, orders: n, revenue: total }) => {
      return { country, windowStart, orders: n, revenue: total };
    })
    .toSorted((a, b) => a.windowStart - b.windowStart || (a.country < b.country ? -1 : 1));
}

for (const workers of [0, 1, 2, 3]) {
  for (const interval of [0, 5]) {
    test(`run: ${workers} workers at interval ${interval} give every window once`, async () => {
      const job = await start('bounded', bounded, { workers, interval, groupSize: 4 });
      const summary = await job.done;
      assert.deepEqual(sorted(revenue.rows), expectedRevenue());
      assert.equal(summary.state, 'finished');
      assert.equal(summary.recordsIn, orders.length);
      assert.equal(summary.recordsBad, 0);
      assert.equal(summary.rowsOut, revenue.rows.length);
    });
  }
}

test('mode: all modes give the same windows', async () => {
  for (const mode of ['bsp', 'continuous'] as const) {
    for (const workers of [0, 2]) {
      const interval = mode === 'bsp' ? 1 : 50;
      const job = await start('bounded', bounded, { workers, interval, mode, bufferTimeout: 2 });
      const summary = await job.done;
      assert.equal(summary.mode, mode);
      assert.deepEqual(sorted(revenue.rows), expectedRevenue());
    }
  }
});

test('mode: continuous without an interval between barriers is refused', async () => {
  const options = { mode: 'continuous', interval: 0 } as const;
  await assert.rejects(bounded.run(options), { code: 'invalid-option' });
});

const pairs = [0, 2].flatMap((workers) =>
  (['drizzle', 'bsp', 'continuous'] as const).map((mode) => ({ workers, mode })),
);

test('stop: drains, so that what was read is exactly what was counted', async () => {
  for (const { workers, mode } of pairs) {
    const job = await start('endless', endless, { workers, interval: 20, mode, bufferTimeout: 3 });
    await until(() => endlessCounts.rows.length >= 10);
    const summary = await job.stop();
    let counted = 0;
    for (const row of endlessCounts.rows) counted += row.orders;
    const read = summary.offsets.reduce((sum, { to }) => sum + to, 0);
    assert.ok(read > 0);
    assert.equal(counted, read);
    assert.equal(summary.recordsIn, read);
    assert.equal(summary.recordsLate, 0);
  }
});

test('stop: an abort signal stops a job', async () => {
  const abort = new AbortController();
  const job = await start('endless', endless, { workers: 2, signal: abort.signal });
  await until(() => job.status().recordsIn > 0);
  abort.abort();
  const summary = await job.done;
  assert.equal(summary.state, 'finished');
});

test('setPace: an urgent change takes effect inside a long group', async () => {
  const job = await start('endless', endless, { workers: 2, interval: 50, groupSize: 10_000 });
  await until(() => job.status().batches > 3);
  job.setPace({ groupSize: 5, interval: 2, urgent: true });
  const before = job.status();
  await until(() => job.status().batches > before.batches + 100);
  const { elapsedMs } = job.status();
  assert.ok(elapsedMs - before.elapsedMs < 50 * 100, 'a hundred micro-batches at the old pace');
  await job.stop();
});

test('iteration: rows come while the job runs', async () => {
  const job = await start('endless', endless, { workers: 2 });
  let seen = 0;
  for await (const row of endlessCounts) {
    assert.ok(row.orders > 0);
    if (++seen === 5) break;
  }
  await job.stop();
});

test('iteration: ends when the job fails', async () => {
  for (const workers of [0, 2]) {
    const job = await start('throwing', throwing, { workers });
    const failed = assert.rejects(job.done, { code: 'user-function' });
    for await (const row of passed) assert.ok(row.at < 1_700_000_010_000);
    await failed;
  }
});

test('failure: a function that throws fails the job and names operator and cause', async () => {
  for (const workers of [0, 2]) {
    const job = await start('throwing', throwing, { workers });
    await assert.rejects(job.done, (error: unknown) => {
      assert.ok(error instanceof StreamError);
      assert.equal(error.code, 'user-function');
      assert.match(error.message, /no such country/);
      return true;
    });
    assert.equal(job.status().state, 'failed');
  }
});

test('failure: a worker that ends fails the job and says so', async () => {
  const job = await start('exiting', exiting, { workers: 2 });
  await assert.rejects(job.done, (error: unknown) => {
    assert.ok(error instanceof StreamError);
    assert.equal(error.code, 'worker-lost');
    return true;
  });
});

test('failure: a module without the pipeline is refused with a hint', async () => {
  const module = new URL('../../src/base/assert.ts', import.meta.url);
  const job = await bounded.run({ module, workers: 1 });
  await assert.rejects(job.done, (error: unknown) => {
    assert.ok(error instanceof StreamError);
    assert.equal(error.code, 'no-pipeline');
    assert.match(error.hint ?? '', /default/);
    return true;
  });
});

test('failure: another pipeline in the module is refused as a mismatch', async () => {
  const job = await start('endless', bounded, { workers: 1 });
  await assert.rejects(job.done, { code: 'plan-mismatch' });
});

test('failure: a second run of a program without modules is refused, not stuck', async () => {
  const program = fileURLToPath(new URL('./two-runs.fixture.ts', import.meta.url));
  await assert.rejects(
    promisify(execFile)(process.execPath, [program], { timeout: 30_000 }),
    (error: unknown) => {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      assert.equal(stdout, 'first: 1\n');
      assert.match(stderr, /plan-mismatch/);
      assert.match(stderr, /module of its own/);
      return true;
    },
  );
});

test('threads: what a program prints before it runs is printed once', async () => {
  const program = fileURLToPath(new URL('./printing.fixture.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 30_000 });
  assert.deepEqual(stdout.trim().split('\n'), ['before', 'row once', 'after']);
});

test('failure: what a source or a sink of a user throws is named', async () => {
  const broken: Sink = {
    kind: 'broken',
    description: 'always broken',
    partitions: null,
    location: 'client',
    prepare: () => Promise.resolve(),
    open: () =>
      Promise.resolve({
        committedThrough: -1,
        commit: () => Promise.reject(new TypeError('no such table')),
        close: () => Promise.resolve(),
      }),
    finish: () => Promise.resolve(),
  };
  const job = await pipeline('broken')
    .from(memory([{ name: 'a' }], { schema: event }))
    .to(broken)
    .run({ workers: 0 });
  await assert.rejects(job.done, { code: 'sink-failed', message: /sink#0.*no such table/ });
});

test('output: a job that would empty its own input is refused and the input stays', async () => {
  const path = eventsFile('{"name":"a"}\n');
  const run = pipeline('own')
    .from(files({ path, schema: event }))
    .to(jsonLines(path, { overwrite: true }))
    .run({ workers: 0 });
  await assert.rejects(run, { code: 'output-is-input' });
  assert.equal(readFileSync(path, 'utf8'), '{"name":"a"}\n');
});

test('options: what makes no sense is refused before anything starts', async () => {
  for (const options of [
    { workers: -1 },
    { workers: 1.5 },
    { groupSize: 0 },
    { partitions: 0 },
    { mode: 'spark' as 'bsp' },
    { signal: {} as AbortSignal },
    { interval: '10 parsecs' as '10s' },
    { runFor: 'ever' as '10s' },
    { hosts: -1 },
  ]) {
    await assert.rejects(bounded.run({ workers: 2, ...options }), { code: 'invalid-option' });
    const resources: readonly string[] = process.getActiveResourcesInfo();
    assert.ok(!resources.includes('MessagePort'), 'threads were started');
  }
});

test('options: a job may run for longer than a timer can wait', async () => {
  const job = await start('endless', endless, { workers: 0, runFor: '30d' });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(job.status().state, 'running');
  await job.stop();
});

test('options: a module may be a path', async () => {
  process.env['MIZZLE_TEST_PIPELINE'] = 'bounded';
  const job = await bounded.run({ module: fileURLToPath(shop), workers: 1 });
  assert.equal((await job.done).recordsIn, orders.length);
});

test('failure: a status function that throws fails the job, not the process', async () => {
  const job = await start('endless', endless, {
    workers: 0,
    statusInterval: 1,
    onStatus: () => {
      throw new RangeError('no such gauge');
    },
  });
  await assert.rejects(job.done, { code: 'user-function', message: /no such gauge/ });
});

test('failure: a source that cannot say how many partitions it has is refused', async () => {
  for (const count of [0, NaN, 1.5]) {
    const { source } = memory([{ name: 'a' }], { schema: event });
    source.partitions = () => Promise.resolve(count);
    const odd = pipeline('odd').from({ source, schema: event }).to(collect());
    await assert.rejects(odd.run({ workers: 2 }), { code: 'source-partitions' });
  }
});

test('first and last: without a window they go by event time, whatever the order is', async () => {
  const timed = schema({ name: string(), at: timestamp('ms') });
  const rows = [30, 10, 40, 20].map((at) => ({ name: `at ${at}`, at }));
  const ends = collect<{ opened: string; closed: string }>();
  const job = await pipeline('ends')
    .from(memory({ partitions: [rows.slice(2), rows.slice(0, 2)] }, { schema: timed }), {
      time: 'at',
    })
    .groupBy((e) => ({ known: e.at.gt(0) }))
    .aggregate((e) => ({ opened: first(e.name), closed: last(e.name) }))
    .to(ends)
    .run({ workers: 0 });
  const { recordsLate } = await job.done;
  assert.equal(recordsLate, 0);
  assert.deepEqual(
    ends.rows.map(({ opened, closed }) => [opened, closed]),
    [['at 10', 'at 40']],
  );
});

const event = schema({ name: string() });

function eventsFile(lines: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'mizzle-run-')), 'events.jsonl');
  writeFileSync(path, lines);
  return path;
}

test('bad input: by default the job fails and names file, offset, column and bytes', async () => {
  const path = eventsFile('{"name":"a"}\n{"name":7}\n');
  const job = await pipeline('bad')
    .from(files({ path, schema: event }))
    .to(collect())
    .run({ workers: 0 });
  await assert.rejects(job.done, (error: unknown) => {
    assert.ok(error instanceof StreamError);
    const text = `${error.message} ${JSON.stringify(error.fields)}`;
    assert.ok(text.includes(path), text);
    assert.match(text, /13/);
    assert.match(text, /name/);
    assert.ok(text.includes('7}'), text);
    return true;
  });
});

test('bad input: skip counts, dead letters carry the bytes, good records arrive', async () => {
  const path = eventsFile('{"name":"a"}\n{"name":7}\n{"name":"b"}\n{"na');
  const good = collect<{ name: string }>();
  const skipping = await pipeline('skip')
    .from(files({ path, schema: event }), { onError: 'skip' })
    .to(good)
    .run({ workers: 0 });
  const skipped = await skipping.done;
  assert.equal(skipped.recordsBad, 2);
  assert.deepEqual(good.rows.map(({ name }) => name).toSorted(), ['a', 'b']);

  const dead = collect<{ record: string; offset: number; origin: string }>();
  const keeping = await pipeline('dead')
    .from(files({ path, schema: event }), { onError: { deadLetter: dead } })
    .to(good)
    .run({ workers: 0 });
  const kept = await keeping.done;
  assert.equal(kept.recordsBad, 2);
  assert.deepEqual(
    dead.rows.map(({ record, offset }) => [record, offset]),
    [
      ['{"name":7}', 13],
      ['{"na', 37],
    ],
  );
  assert.ok(dead.rows.every(({ origin }) => origin.includes(path)));
});

test('commit: a sink partition sees each micro-batch at most once, in order', async () => {
  const job = await start('bounded', bounded, { workers: 2, interval: 1 });
  await job.done;
  const last = new Map<number, number>();
  for (const { partition, batch } of revenue.batches) {
    assert.ok(batch > (last.get(partition) ?? -1));
    last.set(partition, batch);
  }
});

test('files: words in, counts out', async () => {
  const path = eventsFile(['a', 'b', 'a'].map((name) => `{"name":"${name}"}\n`).join(''));
  const counts = collect<{ name: string; n: number }>();
  const job = await pipeline('words')
    .from(files({ path, schema: event }))
    .groupBy('name')
    .aggregate(() => ({ n: count() }))
    .to(counts)
    .run({ workers: 0 });
  await job.done;
  const found = counts.rows.map(({ name, n }) => `${name}${n}`).toSorted();
  assert.deepEqual(found, ['a2', 'b1']);
  assert.equal(readFileSync(path, 'utf8').length, 39);
});

/** Waits for something that a running job will do. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
