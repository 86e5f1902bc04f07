// What a worker keeps of the tasks it ran, and what it can say of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchNumber, Incarnation, WorkerId } from '../protocol/ids.ts';
import type { BlockEntry } from '../protocol/messages.ts';
import { KeptBlocks } from './kept-blocks.ts';

function batch(number: number): BatchNumber {
  return number as BatchNumber;
}

function entry(producer: number, { part = 0, last = true } = {}): BlockEntry {
  return { producer, part, last, range: null, output: `p${producer}.${part}` };
}

function block(
  producer: number,
  { bytes = 10, ...part }: { bytes?: number; part?: number; last?: boolean } = {},
): Parameters<KeptBlocks['add']>[2] {
  return { entry: entry(producer, part), bytes };
}

const source = { stage: 0, partition: 1 };
const sourceStage = { stage: 0, outputs: [0, 1] };

test('KeptBlocks keeps each part of a producer once, in the order in which it came', () => {
  const kept = new KeptBlocks(2);
  assert.ok(kept.add(batch(3), 1, block(1)));
  assert.ok(kept.add(batch(3), 1, block(0, { last: false })));
  assert.ok(kept.add(batch(3), 1, block(0, { part: 1 })));
  assert.ok(!kept.add(batch(3), 1, block(1)));
  assert.deepEqual(
    kept.of(batch(3), 1).map((one) => one.entry.output),
    ['p1.0', 'p0.0', 'p0.1'],
  );
  assert.deepEqual(kept.of(batch(3), 0), []);
  assert.deepEqual(kept.of(batch(4), 1), []);
  kept.drop(batch(3), 1, () => true);
  assert.deepEqual(kept.of(batch(3), 1), []);
});

test('KeptBlocks: what was made here takes the place of a copy, and no copy that of it', () => {
  const kept = new KeptBlocks(1);
  const life = { worker: 7 as WorkerId, incarnation: 1 as Incarnation };
  assert.ok(kept.add(batch(1), 0, block(0, { bytes: 30 }), life));
  assert.deepEqual(
    kept.of(batch(1), 0).map(({ copyOf, sent }) => ({ copyOf, sent })),
    [{ copyOf: life, sent: true }],
  );
  assert.ok(!kept.add(batch(1), 0, block(0), life), 'it is there');
  assert.ok(kept.add(batch(1), 0, block(0, { bytes: 20 })));
  assert.deepEqual(
    kept.of(batch(1), 0).map(({ copyOf, sent }) => ({ copyOf, sent })),
    [{ copyOf: null, sent: false }],
  );
  assert.equal(kept.memoryBytes, 20);
  assert.equal(kept.records, 1);
  assert.ok(!kept.add(batch(1), 0, block(0), life));
});

test('KeptBlocks knows a range when all of its parts are there, once and in order', () => {
  const kept = new KeptBlocks(1);
  const part = (number: number, last: boolean): Parameters<KeptBlocks['addRange']>[0] => {
    return { ...source, batch: batch(2), part: number, last };
  };
  kept.addRange(part(0, false), 'a');
  assert.equal(kept.rangeOf(source, batch(2)), null);
  kept.addRange(part(0, false), 'a, again');
  kept.addRange(part(2, true), 'c, too early');
  kept.addRange(part(1, true), 'b');
  kept.addRange(part(2, true), 'c, too late');
  assert.deepEqual(kept.rangeOf(source, batch(2)), ['a', 'b']);
  assert.equal(kept.rangeOf({ stage: 0, partition: 0 }, batch(2)), null);
});

test('KeptBlocks tells ranges in stretches without a gap, whatever order they came in', () => {
  const kept = new KeptBlocks(1);
  for (const number of [7, 4, 8, 5]) {
    kept.addRange({ ...source, batch: batch(number), part: 0, last: true }, `r${number}`);
  }
  kept.addRange({ ...source, batch: batch(6), part: 0, last: false }, 'open');
  assert.deepEqual(kept.rangesOf(source, batch(3)), [
    { ...source, first: 4, ranges: [['r4'], ['r5']] },
    { ...source, first: 7, ranges: [['r7'], ['r8']] },
  ]);
  assert.deepEqual(kept.rangesOf(source, batch(7)), [{ ...source, first: 8, ranges: [['r8']] }]);
});

test('KeptBlocks tells for which micro-batches the blocks of a source task are kept', () => {
  const kept = new KeptBlocks(2);
  for (const number of [5, 2, 3]) {
    for (const exchange of sourceStage.outputs) kept.add(batch(number), exchange, block(1));
  }
  kept.add(batch(4), 0, block(1, { last: false }));
  for (const exchange of sourceStage.outputs) kept.add(batch(3), exchange, block(0));
  kept.add(batch(6), 0, block(0), { worker: 7 as WorkerId, incarnation: 1 as Incarnation });
  const spans = kept.spans([sourceStage, { stage: 1, outputs: [] }]);
  assert.deepEqual(
    spans.toSorted((a, b) => a.partition - b.partition),
    [
      { stage: 0, partition: 0, spans: [{ first: 3, end: 4 }] },
      {
        ...source,
        spans: [
          { first: 2, end: 4 },
          { first: 5, end: 6 },
        ],
      },
    ],
  );
});

test('KeptBlocks forgets a task that runs anew, and no other', () => {
  const kept = new KeptBlocks(2);
  for (const producer of [0, 1]) {
    for (const exchange of [0, 1]) kept.add(batch(1), exchange, block(producer));
    const place = { stage: 0, partition: producer };
    kept.addRange({ ...place, batch: batch(1), part: 0, last: true }, `r${producer}`);
  }
  kept.forget(source, sourceStage.outputs);
  for (const exchange of [0, 1]) {
    assert.deepEqual(
      kept.of(batch(1), exchange).map((one) => one.entry.producer),
      [0],
    );
  }
  assert.deepEqual(kept.rangesOf(source, batch(-1)), []);
  assert.deepEqual(kept.rangeOf({ stage: 0, partition: 0 }, batch(1)), ['r0']);
  // With another range this time.
  assert.ok(kept.add(batch(1), 0, block(1)));
});

test('KeptBlocks retires what a checkpoint covers', () => {
  const kept = new KeptBlocks(1);
  for (const number of [3, 1, 2]) kept.add(batch(number), 0, block(0));
  kept.retireThrough(batch(2));
  assert.deepEqual(kept.batches, [3]);
  assert.equal(kept.size, 1);
});

test('KeptBlocks counts what blocks take of memory and disk, and what is released', () => {
  const kept = new KeptBlocks(2);
  for (const number of [1, 2, 3]) {
    for (const exchange of [0, 1]) kept.add(batch(number), exchange, block(0));
  }
  assert.ok(!kept.add(batch(1), 0, block(0)));
  assert.deepEqual([kept.memoryBytes, kept.diskBytes, kept.records], [60, 0, 6]);
  for (const one of kept.of(batch(1), 0)) one.sent = true;
  for (const one of kept.of(batch(2), 0)) one.sent = true;
  const spilling = kept.spillOldest(15);
  assert.deepEqual(
    spilling.map((one) => one.batch),
    [1, 2],
    'what was not sent stays, and of what was the oldest goes',
  );
  assert.deepEqual(kept.spillOldest(100), [], 'it is on its way');
  assert.equal(kept.memoryBytes, 60);
  kept.retireThrough(batch(1));
  kept.spilled(spilling, ['on disk: 1', 'on disk: 2']);
  assert.deepEqual([kept.memoryBytes, kept.diskBytes, kept.records], [30, 10, 4]);
  const [block2] = kept.of(batch(2), 0);
  assert.deepEqual([block2?.stored, block2?.entry.output], ['on disk: 2', null]);
  kept.retireThrough(batch(3));
  assert.deepEqual([kept.memoryBytes, kept.diskBytes, kept.records], [0, 0, 0]);
});

test('KeptBlocks spills again what a disk did not take', () => {
  const kept = new KeptBlocks(1);
  for (const number of [1, 2]) kept.add(batch(number), 0, block(0));
  for (const number of [1, 2]) for (const one of kept.of(batch(number), 0)) one.sent = true;
  const first = kept.spillOldest(20);
  kept.spillFailed(first);
  assert.deepEqual(
    kept.spillOldest(20).map((one) => one.batch),
    [1, 2],
  );
});
