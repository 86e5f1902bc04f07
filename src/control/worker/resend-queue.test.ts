// In which order, and how far ahead, blocks are sent again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resendAheadMax } from '../limits.ts';
import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import { ResendQueue } from './resend-queue.ts';

const [w1, w2] = [1, 2] as [WorkerId, WorkerId];

function resend(to: WorkerId, batch: number, exchange = 0) {
  return { to, batch: batch as BatchNumber, exchange, partitions: [0], entries: [], isNew: false };
}

function taken(queue: ResendQueue, to: WorkerId): readonly number[] {
  const batches: number[] = [];
  for (let next = queue.first(to); next !== null; next = queue.first(to)) {
    batches.push(next.batch);
    queue.shift(to);
  }
  return batches;
}

test('ResendQueue gives each receiver its own in order of micro-batches', () => {
  const resends = [resend(w1, 3), resend(w2, 1), resend(w1, 2), resend(w1, 2, 1)];
  const queue = new ResendQueue(resends, () => 1 as BatchNumber);
  assert.deepEqual(queue.receivers, [w1, w2]);
  assert.deepEqual(taken(queue, w1), [2, 2, 3]);
  assert.deepEqual(queue.receivers, [w2], 'nothing waits for the other any more');
  assert.deepEqual(taken(queue, w1), []);
  assert.ok(!queue.heard(w1, 9 as BatchNumber));
});

test('ResendQueue runs ahead of what a receiver has done by a bound', () => {
  const batches = Array.from({ length: resendAheadMax + 10 }, (_, index) => 5 + index);
  const queue = new ResendQueue(
    batches.map((batch) => resend(w1, batch)),
    () => 4 as BatchNumber,
  );
  assert.deepEqual(taken(queue, w1), batches.slice(0, resendAheadMax));
  assert.ok(queue.heard(w1, 7 as BatchNumber));
  assert.ok(!queue.heard(w1, 6 as BatchNumber), 'old news');
  assert.equal(taken(queue, w1).length, 3);
  queue.heard(w1, 100 as BatchNumber);
  assert.equal(taken(queue, w1).length, 7);
});

test('ResendQueue: what goes out for the first time waits behind what is before it', () => {
  const queue = new ResendQueue([resend(w1, 3), resend(w1, 90)], () => 2 as BatchNumber);
  assert.ok(!queue.insert({ ...resend(w2, 4), isNew: true }), 'nothing waits for that one');
  assert.ok(queue.insert({ ...resend(w1, 95), isNew: true }));
  assert.ok(queue.insert({ ...resend(w1, 60), isNew: true }));
  assert.deepEqual(taken(queue, w1), [3, 60], 'however far it is ahead of its receiver');
  queue.heard(w1, 70 as BatchNumber);
  assert.deepEqual(taken(queue, w1), [90, 95]);
});

test('ResendQueue: what follows waits while something is read from the disk', () => {
  const queue = new ResendQueue([resend(w1, 3)], () => 2 as BatchNumber);
  queue.read(w1, true);
  queue.shift(w1);
  assert.ok(queue.isReading(w1));
  assert.ok(queue.insert({ ...resend(w1, 4), isNew: true }));
  queue.read(w1, false);
  assert.deepEqual(taken(queue, w1), [4]);
  assert.ok(!queue.insert({ ...resend(w1, 5), isNew: true }));
});
