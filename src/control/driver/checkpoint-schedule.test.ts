// When state is kept and when it counts: with every part stored and all output up to it visible.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pressureGapMs } from '../limits.ts';
import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { PartitionSnapshot } from '../protocol/messages.ts';
import { CheckpointSchedule } from './checkpoint-schedule.ts';
import { noCheckpoint } from './recovery-round.ts';

const [w1, w2] = [1, 2] as [WorkerId, WorkerId];

function batch(number: number): BatchNumber {
  return number as BatchNumber;
}

function part(worker: WorkerId): PartitionSnapshot {
  return { stage: 0, partition: worker, snapshot: `s${worker}`, range: null };
}

/** Of micro-batch 5, ordered at 100 ms of two workers. */
function ordered(): CheckpointSchedule {
  const schedule = new CheckpointSchedule(100, noCheckpoint);
  assert.ok(!schedule.due(0));
  assert.ok(schedule.due(100));
  schedule.ordered(100, batch(5), [w1, w2]);
  return schedule;
}

function stored(): CheckpointSchedule {
  const schedule = ordered();
  for (const worker of [w1, w2]) schedule.stored(worker, batch(5), [part(worker)]);
  return schedule;
}

test('CheckpointSchedule is due an interval after the start, and after each order', () => {
  const schedule = ordered();
  assert.ok(!schedule.due(1000), 'one is under way');
  schedule.failed(150, batch(5));
  assert.ok(!schedule.due(199));
  assert.ok(schedule.due(200));
  const never = new CheckpointSchedule(Infinity, noCheckpoint);
  assert.ok(!never.due(1e9));
});

test('CheckpointSchedule: an order without a checkpoint begins none', () => {
  const schedule = new CheckpointSchedule(100, noCheckpoint);
  assert.ok(!schedule.due(0));
  schedule.ordered(100, noBatch, [w1]);
  assert.ok(schedule.due(100));
});

test('CheckpointSchedule is complete when all have stored and all output is visible, once', () => {
  const schedule = ordered();
  schedule.stored(w1, batch(5), [part(w1)]);
  schedule.stored(w1, batch(5), [part(w1)]);
  schedule.stored(w2, batch(4), [part(w2)]);
  assert.equal(schedule.complete(batch(9)), null);
  schedule.stored(w2, batch(5), [part(w2)]);
  assert.equal(schedule.complete(batch(4)), null);
  assert.deepEqual(schedule.complete(batch(5)), {
    batch: 5,
    snapshots: [part(w1), part(w2)],
    savepoint: null,
  });
  assert.ok(schedule.committing);
  assert.equal(schedule.complete(batch(6)), null);
});

test('CheckpointSchedule: several orders of one checkpoint are one', () => {
  const schedule = ordered();
  schedule.stored(w1, batch(5), [part(w1)]);
  schedule.ordered(130, batch(5), [w1, w2]);
  schedule.stored(w2, batch(5), [part(w2)]);
  assert.ok(schedule.complete(batch(5)) !== null);
  assert.equal(schedule.committed(160, batch(5))?.elapsedMs, 60);
});

test('CheckpointSchedule: one counts when it is durable, and not before', () => {
  const schedule = stored();
  assert.equal(schedule.committed(150, batch(5)), null);
  schedule.complete(batch(5));
  assert.deepEqual(schedule.last, noCheckpoint);
  assert.equal(schedule.committed(150, batch(4)), null);
  assert.equal(schedule.committed(150, batch(5))?.elapsedMs, 50);
  assert.deepEqual(schedule.last, { batch: 5, snapshots: [part(w1), part(w2)] });
  assert.ok(!schedule.committing);
  assert.equal(schedule.committed(160, batch(5)), null);
});

test('CheckpointSchedule: a failure keeps the one before', () => {
  const schedule = stored();
  schedule.complete(batch(5));
  schedule.failed(150, batch(4));
  assert.ok(schedule.committing);
  schedule.failed(150, batch(5));
  assert.ok(!schedule.committing);
  assert.deepEqual(schedule.last, noCheckpoint);
  assert.equal(schedule.committed(200, batch(5)), null);
});

test('CheckpointSchedule: a boundary withdraws one behind it', () => {
  const kept = stored();
  kept.truncate(batch(6));
  assert.ok(kept.complete(batch(5)) !== null);
  const withdrawn = stored();
  withdrawn.truncate(batch(5));
  assert.equal(withdrawn.complete(batch(5)), null);
});

test('CheckpointSchedule: a loss gives up what is not stored, and not what may be durable', () => {
  const schedule = stored();
  schedule.giveUp();
  assert.equal(schedule.complete(batch(5)), null);
  const committing = stored();
  committing.complete(batch(5));
  committing.giveUp();
  assert.equal(committing.committed(120, batch(5))?.elapsedMs, 20);
});

test('CheckpointSchedule: a savepoint is the next one, and what withdraws that asks anew', () => {
  const schedule = ordered();
  const [first, second] = ['a', 'b'].map((name, id) => ({ id, name }));
  assert.ok(schedule.want(first!) && schedule.want(second!));
  assert.ok(!schedule.wantsSavepoint, 'one is under way');
  schedule.truncate(batch(5));
  assert.ok(schedule.wantsSavepoint);
  schedule.ordered(110, batch(5), [w1]);
  schedule.truncate(batch(5));
  schedule.ordered(120, batch(5), [w1]);
  schedule.stored(w1, batch(5), [part(w1)]);
  assert.equal(schedule.complete(batch(5))?.savepoint, 'a');
  assert.deepEqual(schedule.committed(130, batch(5)), { elapsedMs: 10, savepoint: first });
  schedule.ordered(140, batch(6), [w1]);
  assert.equal(schedule.failed(150, batch(6)), second);
  assert.ok(!schedule.wantsSavepoint);
});

test('CheckpointSchedule: orders for later stages do not ask again for what has failed', () => {
  const schedule = ordered();
  schedule.failed(100, batch(5));
  schedule.ordered(101, batch(5), [w1, w2]);
  assert.ok(!schedule.pending);
  schedule.restart(batch(0));
  schedule.ordered(102, batch(5), [w1, w2]);
  assert.ok(schedule.pending, 'after a rollback the micro-batch is another one');
});

test('CheckpointSchedule: one that fails during a recovery may be asked for after it', () => {
  const schedule = stored();
  schedule.complete(batch(5));
  schedule.giveUp();
  schedule.failed(110, batch(5));
  schedule.restart(batch(0));
  schedule.ordered(120, batch(5), [w1, w2]);
  assert.ok(schedule.pending);
});

test('CheckpointSchedule: a worker short of room brings the next one about, not at once', () => {
  const schedule = new CheckpointSchedule(60_000, noCheckpoint);
  schedule.press(0);
  assert.ok(!schedule.due(0), 'the first one waits for the start');
  schedule.press(10);
  assert.ok(schedule.due(10));
  schedule.ordered(10, batch(5), [w1]);
  schedule.press(20);
  schedule.stored(w1, batch(5), [part(w1)]);
  schedule.complete(batch(5));
  schedule.committed(30, batch(5));
  assert.ok(!schedule.due(30 + pressureGapMs), 'what was said before it counts for nothing');
  schedule.press(40);
  assert.ok(!schedule.due(29 + pressureGapMs));
  assert.ok(schedule.due(30 + pressureGapMs));
});

test('CheckpointSchedule: one that took long is followed later, and so is one that failed', () => {
  const schedule = new CheckpointSchedule(60_000, noCheckpoint);
  schedule.due(0);
  schedule.press(0);
  schedule.ordered(0, batch(5), [w1]);
  schedule.failed(pressureGapMs, batch(5));
  schedule.press(pressureGapMs);
  assert.ok(!schedule.due(5 * pressureGapMs - 1));
  assert.ok(schedule.due(5 * pressureGapMs));
  const never = new CheckpointSchedule(Infinity, noCheckpoint);
  never.press(0);
  assert.ok(!never.due(1e9));
});
