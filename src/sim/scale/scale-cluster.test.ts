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
  driver: { orderMs: 0, sendMs: 0.005, receiveMs: 0.01, launchTaskMs: 0, completeTaskMs: 0 },
  worker: { sendMs: 0.005, receiveMs: 0.01, taskMs: 0.02 },
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
