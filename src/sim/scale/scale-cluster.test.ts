// The simulation of scale: that its model adds up, that no queue grows, and that the driver has no
// part in a micro-batch once its group is permitted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlanShape } from '../../control/driver/placement.ts';
import { ByteWriter } from '../../control/protocol/byte-writer.ts';
import { writeDriverMessage } from '../../control/protocol/driver-codec.ts';
import { writeWorkerMessage } from '../../control/protocol/worker-codec.ts';
import type { DriverMessage, WorkerMessage } from '../../control/protocol/messages.ts';
import { payloadBytes } from './message-bytes.ts';
import { runScale } from './scale-cluster.ts';
import type { ScaleCosts } from './scale-costs.ts';
import type { ScaleOptions } from './scale-run.ts';
import { isOverloaded } from './scale-run.ts';

const costs: ScaleCosts = {
  driver: {
    orderMs: 0,
    sendMs: 0.005,
    receiveMs: 0.01,
    launchTaskMs: 0,
    completeTaskMs: 0,
    wakeMs: 0,
  },
  host: { sendMs: 0, receiveMs: 0, wakeMs: 0 },
  worker: {
    sendMs: 0.005,
    receiveMs: 0.01,
    entryMs: 0,
    taskMs: 0.02,
    consumerMs: 0,
    inputMs: 0,
    wakeMs: 0,
  },
  link: { delayMs: 0.1, bytesPerMs: 1e6 },
};

function oneStage(partitionCount: number): PlanShape {
  const stage = { source: true, inputs: [], outputs: [], sinks: true, partitionCount };
  return { planHash: 'one', exchanges: [], stages: [stage] };
}

function twoStages(producers: number, consumers: number): PlanShape {
  return {
    planHash: 'two',
    exchanges: [{ from: 0, to: 1 }],
    stages: [
      { source: true, inputs: [], outputs: [0], sinks: false, partitionCount: producers },
      { source: false, inputs: [0], outputs: [], sinks: true, partitionCount: consumers },
    ],
  };
}

const usual: ScaleOptions = {
  seed: 1,
  shape: oneStage(32),
  workerCount: 8,
  mode: 'drizzle',
  pace: { groupSize: 10, intervalMs: 0, lookAhead: false },
  costs,
  workMs: [0.2, 0.2],
  jitter: 0,
  blockBytes: 100,
  batches: 60,
};

test('runScale runs every task of every micro-batch in all modes', () => {
  for (const mode of ['drizzle', 'bsp'] as const) {
    for (const shape of [oneStage(32), twoStages(16, 5)]) {
      const run = runScale({ ...usual, mode, shape });
      const partitions = shape.stages.reduce((sum, stage) => sum + stage.partitionCount, 0);
      assert.ok(run.tasks >= partitions * usual.batches);
      assert.ok(!isOverloaded(run));
    }
  }
});

test('a bulk-synchronous micro-batch costs what its messages cost, one after another', () => {
  const run = runScale({ ...usual, mode: 'bsp' });
  // The last of 8 orders leaves; it flies, is received and run; its end is told; all are received.
  const lastOrderMs = 8 * 0.005;
  const there = 0.1 + 0.01 + 4 * 0.22 + 0.005 + 0.1;
  const expectedMs = lastOrderMs + there + 0.01;
  const batchMs = run.steady.elapsedMs / run.steady.batches;
  assert.ok(Math.abs(batchMs - expectedMs) < 0.05, `${batchMs} ms, ${expectedMs} expected`);
});

test('a message wakes who has nothing to do, and passes the main threads of hosts', () => {
  const batchMsAt = (changed: ScaleCosts): number => {
    const { steady } = runScale({ ...usual, mode: 'bsp', costs: changed });
    return steady.elapsedMs / steady.batches;
  };
  const { driver, worker } = costs;
  const wakes = {
    ...costs,
    driver: { ...driver, wakeMs: 0.3 },
    worker: { ...worker, wakeMs: 0.2 },
    host: { sendMs: 0.07, receiveMs: 0.04, wakeMs: 0.1 },
  };
  // There: the host and the worker wake. Back: the host, which sleeps again, and the driver.
  const addedMs = 0.1 + 0.04 + 0.2 + 0.1 + 0.07 + 0.3;
  const batchMs = batchMsAt(wakes) - batchMsAt(costs);
  assert.ok(Math.abs(batchMs - addedMs) < 0.05, `${batchMs} ms, ${addedMs} expected`);
});

test('workers of one host talk to each other without its main thread', () => {
  const shape = twoStages(16, 5);
  const host = { sendMs: 0.5, receiveMs: 0.5, wakeMs: 0 };
  const pace = { groupSize: 100, intervalMs: 20, lookAhead: true };
  const latencyMsAt = (workersPerHost: number): number => {
    const slow = { ...costs, host };
    const run = runScale({ ...usual, shape, pace, workersPerHost, costs: slow, batches: 30 });
    return run.doneMs[25]! - run.triggerMs[25]!;
  };
  // Each host passes its worker's blocks to five consumers, one after another, and takes seven.
  assert.ok(latencyMsAt(1) > 4, `${latencyMsAt(1)} ms`);
  assert.ok(latencyMsAt(8) < 2, `${latencyMsAt(8)} ms`);
});

test('what tasks take in, and what messages carry, costs the worker', () => {
  const shape = twoStages(16, 8);
  const pace = { groupSize: 100, intervalMs: 20, lookAhead: true };
  const perBatch = (changed: Partial<ScaleCosts['worker']>): number => {
    const dearer = { ...costs, worker: { ...costs.worker, ...changed } };
    const run = runScale({ ...usual, shape, pace, costs: dearer, batches: 30 });
    return run.steady.workerBusyMs / run.steady.batches;
  };
  const free = perBatch({});
  const near = (ms: number, expected: number): void => {
    assert.ok(Math.abs(ms - free - expected) < 0.001, `${ms - free} ms, ${expected} expected`);
  };
  // One consumer a worker takes 16 blocks; two producers a worker send theirs to seven others.
  near(perBatch({ consumerMs: 0.1 }), 0.1);
  near(perBatch({ inputMs: 0.01 }), 0.16);
  near(perBatch({ entryMs: 0.01 }), 0.14 + 0.14);
});

test('look-ahead leaves nothing but the work', () => {
  const run = runScale({ ...usual, pace: { ...usual.pace, lookAhead: true } });
  const batchMs = run.steady.elapsedMs / run.steady.batches;
  const workMs = 4 * (0.2 + 0.02);
  assert.ok(batchMs >= workMs - 1e-6 && batchMs < workMs + 0.05, `${batchMs} ms`);
});

test('between the trigger of a micro-batch and its output the driver is not needed', () => {
  const shape = twoStages(16, 5);
  const pace = { groupSize: 40, intervalMs: 3, lookAhead: false };
  const batches = 80;
  const whole = runScale({ ...usual, shape, pace, batches });
  const silent = runScale({ ...usual, shape, pace, batches: 40, cutOffAfterGroup: 0 });
  // With the driver cut off, every micro-batch of the group still ends at the same time.
  assert.deepEqual([...silent.doneMs], [...whole.doneMs.subarray(0, 40)]);
  assert.equal(silent.groups.length, 1);
  const { report = 0, blocks = 0 } = silent.messages;
  // One frame for each (producer, consumer, micro-batch); reports go by time, not by micro-batch.
  assert.equal(blocks, 8 * 5 * 40 - 5 * 40);
  assert.ok(report <= 8 * (1 + (40 * 3) / 50 + 1), `${report} reports`);
});

test('what the driver sends and hears in a group does not grow with its size or its tasks', () => {
  const perGroup = (groupSize: number, partitions: number): number => {
    const pace = { groupSize, intervalMs: 1, lookAhead: false };
    const shape = oneStage(partitions);
    const workMs = [0.01];
    const batches = 6 * groupSize;
    const run = runScale({ ...usual, shape, workMs, pace, batches });
    return run.steady.driverMessages / (run.steady.batches / groupSize);
  };
  const few = perGroup(5, 8);
  assert.equal(few, perGroup(40, 8));
  assert.equal(few, perGroup(40, 32));
  // An order, a report at the last micro-batch's start and one at its end, for each worker.
  assert.equal(few, 3 * 8);
});

test('a change waits for the next group to be planned, or is cut in at once', () => {
  const atMs = 305;
  const groupSize = 50;
  const slow = (urgent: boolean): number => {
    const run = runScale({
      ...usual,
      pace: { groupSize, intervalMs: 10, lookAhead: true },
      batches: 150,
      planChanges: [{ atMs, urgent }],
      // From then on one worker needs five times as long, until it is planned for.
      slowdown: (worker, nowMs, permittedMs) => {
        return worker === 3 && nowMs >= atMs && permittedMs < atMs ? 5 : 1;
      },
    });
    let count = 0;
    for (let batch = 0; batch < 150; batch++) {
      if (run.doneMs[batch]! - run.firstStartMs[batch]! > 2) count++;
    }
    return count;
  };
  // Planned for with the group of micro-batch 50 or 100, which look-ahead had permitted before.
  const patient = slow(false);
  assert.ok(patient >= groupSize - 31 && patient <= 2 * groupSize - 30, `${patient} micro-batches`);
  assert.ok(slow(true) <= 3, `${slow(true)} micro-batches`);
});

test('isOverloaded tells a driver that is asked for more than it can do', () => {
  const slow = { ...costs, driver: { ...costs.driver, receiveMs: 4 } };
  const pace = { groupSize: 1000, intervalMs: 10, lookAhead: true };
  const workMs = [0.01];
  const run = runScale({ ...usual, workerCount: 16, workMs, pace, costs: slow, batches: 300 });
  assert.ok(isOverloaded(run), JSON.stringify(run.queues));
});

test('messageBytes comes close to what the codec writes', () => {
  const life = { term: 1, incarnation: 1 };
  const order = {
    kind: 'start-group',
    term: 1,
    version: 0,
    group: 3,
    first: 300,
    count: 100,
    stage: null,
    intervalMs: 10,
    anchorMs: 5,
    reportAt: 395,
    retireThrough: 250,
    final: false,
    checkpointAt: -1,
  } as unknown as DriverMessage;
  const report = {
    kind: 'report',
    ...life,
    report: {
      version: 0,
      startedThrough: 300,
      doneThrough: 299,
      ended: [],
      makespansMs: [1, 2, 3],
      busyMs: 1,
      tasksRun: 10,
      queued: 0,
      keptBytes: 0,
      spilledBytes: 0,
      pressure: 'none' as const,
      gauges: null,
    },
  } as unknown as WorkerMessage;
  const codec = { write: () => {}, read: () => null };
  const codecs = { output: codec, gauges: codec, range: codec, snapshot: codec };
  const written = new ByteWriter();
  writeDriverMessage(written, order, codecs);
  assert.ok(Math.abs(written.length - payloadBytes(order, 0)) <= 8, `${written.length}`);
  const told = new ByteWriter();
  writeWorkerMessage(told, report, codecs);
  assert.ok(Math.abs(told.length - payloadBytes(report, 0)) <= 8, `${told.length}`);
});
