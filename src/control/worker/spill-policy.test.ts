// When kept blocks go to disk, and when a worker asks for more than that.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keptExcessBytes, spillRetryMs } from '../limits.ts';
import type { BatchNumber } from '../protocol/ids.ts';
import { KeptBlocks } from './kept-blocks.ts';
import { SpillPolicy } from './spill-policy.ts';

const limits = { keptBytesMax: 100, spillBytesMax: 1000, loadBytesMax: 100 };

/** Micro-batches of one block each, all sent. */
function keptOf(batches: readonly number[], bytes = 10): KeptBlocks {
  const kept = new KeptBlocks(1);
  for (const batch of batches) add(kept, batch, bytes);
  return kept;
}

function add(kept: KeptBlocks, batch: number, bytes: number): void {
  const entry = { producer: 0, part: 0, last: true, range: null, output: `b${batch}` };
  kept.add(batch as BatchNumber, 0, { entry, bytes });
  for (const one of kept.of(batch as BatchNumber, 0)) one.sent = true;
}

function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, batch) => batch);
}

test('SpillPolicy moves the oldest blocks beyond the limit, a quarter of it at once', () => {
  const policy = new SpillPolicy(limits);
  const kept = keptOf(upTo(10));
  assert.equal(policy.next(0, kept), null, 'there is room');
  add(kept, 10, 10);
  const order = policy.next(0, kept)!;
  assert.deepEqual(
    order.blocks.map(({ batch }) => batch),
    [0, 1, 2, 3],
  );
  assert.equal(policy.next(0, kept), null, 'one order at a time');
  assert.ok(!policy.stored(order.spill + 1, kept, []));
  assert.ok(policy.stored(order.spill, kept, [1, 2, 3, 4]));
  assert.deepEqual([kept.memoryBytes, kept.diskBytes], [70, 40]);
  assert.equal(policy.next(0, kept), null);
});

test('SpillPolicy waits a while when the disk has failed', () => {
  const policy = new SpillPolicy(limits);
  const kept = keptOf(upTo(11));
  const order = policy.next(0, kept)!;
  assert.ok(policy.failed(5, order.spill, kept));
  assert.equal(policy.next(4 + spillRetryMs, kept), null);
  assert.equal(policy.next(5 + spillRetryMs, kept)?.blocks.length, 4);
});

test('SpillPolicy asks for a checkpoint from half of the memory on, wherever blocks are', () => {
  const policy = new SpillPolicy(limits);
  const kept = keptOf(upTo(5));
  assert.equal(policy.pressure(kept), 'none');
  add(kept, 5, 10);
  assert.equal(policy.pressure(kept), 'checkpoint');
  for (const batch of [6, 7, 8, 9, 10]) add(kept, batch, 10);
  const order = policy.next(0, kept)!;
  policy.stored(order.spill, kept, order.blocks);
  kept.retireThrough(4 as BatchNumber);
  assert.equal(policy.pressure(kept), 'checkpoint');
  kept.retireThrough(5 as BatchNumber);
  assert.equal(policy.pressure(kept), 'none');
});

test('SpillPolicy holds input back while the disk is full, until a quarter of it is free', () => {
  const policy = new SpillPolicy(limits);
  const kept = keptOf(upTo(11), 100);
  for (let order = policy.next(0, kept); order !== null; order = policy.next(0, kept)) {
    policy.stored(order.spill, kept, order.blocks);
  }
  assert.ok(kept.diskBytes >= 1000);
  assert.equal(policy.pressure(kept), 'hold-back');
  kept.retireThrough(2 as BatchNumber);
  assert.equal(policy.pressure(kept), 'hold-back');
  kept.retireThrough(4 as BatchNumber);
  assert.equal(policy.pressure(kept), 'checkpoint');
});

test('SpillPolicy holds input back when memory is used far beyond its limit', () => {
  const policy = new SpillPolicy(limits);
  const kept = keptOf([0], keptExcessBytes);
  assert.equal(policy.pressure(kept), 'checkpoint');
  add(kept, 1, 100);
  assert.equal(policy.pressure(kept), 'hold-back');
});

test('SpillPolicy tells what retires when some of it may be on disk, or on its way there', () => {
  const policy = new SpillPolicy(limits);
  const kept = keptOf(upTo(11));
  assert.ok(!policy.retired(-1 as BatchNumber));
  policy.next(0, kept);
  assert.ok(policy.retired(2 as BatchNumber));
  assert.ok(policy.retired(3 as BatchNumber));
  assert.ok(!policy.retired(4 as BatchNumber), 'nothing of what is left was spilled');
});
