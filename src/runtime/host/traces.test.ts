// The channels of traces: they tell a run's events and effects in order, and only to who listens.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { test } from 'node:test';
import { collect, count, memory, pipeline, schema, string } from '../../index.ts';
import type { DriverShellTrace, WorkerShellTrace } from './traces.ts';
import { driverTraces, workerTraces } from './traces.ts';

function job() {
  const rows = Array.from({ length: 50 }, (_, index) => ({ key: `k${index % 3}` }));
  const sums = collect<{ key: string; rows: number }>();
  const plan = pipeline('traced')
    .from(memory(rows, { schema: schema({ key: string() }) }))
    .groupBy('key')
    .aggregate(() => ({ rows: count() }))
    .to(sums);
  return { plan, sums };
}

test('workerTraces and driverTraces tell what machines hear and order, each in order', async () => {
  const worker: WorkerShellTrace[] = [];
  const driver: DriverShellTrace[] = [];
  const onWorker = (trace: unknown): unknown => worker.push(trace as WorkerShellTrace);
  const onDriver = (trace: unknown): unknown => driver.push(trace as DriverShellTrace);
  subscribe('mizzle:worker', onWorker);
  subscribe('mizzle:driver', onDriver);
  const { plan, sums } = job();
  try {
    await (
      await plan.run({ workers: 0, interval: 0 })
    ).done;
  } finally {
    unsubscribe('mizzle:worker', onWorker);
    unsubscribe('mizzle:driver', onDriver);
  }
  assert.equal(sums.rows.length, 3);
  // A task's end follows its start; what the driver sends, the worker hears, and the other way.
  const runs = worker.flatMap(({ effect }) => (effect?.kind === 'run-task' ? [effect.run] : []));
  const ends = worker.flatMap(({ event }) => (event?.kind === 'task-finished' ? [event.run] : []));
  assert.ok(runs.length > 0);
  // When the job ends, one may be ordered and not yet run.
  assert.ok(runs.length - ends.length <= 1, `${runs.length} runs, ${ends.length} ends`);
  assert.deepEqual(ends, runs.slice(0, ends.length));
  const sent = driver.flatMap(({ effect }) =>
    effect?.kind === 'send-message' ? [effect.message] : [],
  );
  const heard = worker.flatMap(({ event }) =>
    event?.kind === 'message-received' ? [event.message] : [],
  );
  assert.deepEqual(heard, sent);
  const told = worker.flatMap(({ effect }) =>
    effect?.kind === 'send-message' ? [effect.message] : [],
  );
  const got = driver.flatMap(({ event }) =>
    event?.kind === 'message-received' ? [event.message] : [],
  );
  assert.deepEqual(got, told);
  const times = worker.map(({ atMs }) => atMs);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
});

test('nobody listens in a normal run', async () => {
  const { plan } = job();
  const running = await plan.run({ workers: 0, interval: 0 });
  assert.equal(workerTraces.hasSubscribers, false);
  assert.equal(driverTraces.hasSubscribers, false);
  await running.done;
});
