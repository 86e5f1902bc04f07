// What has come for a task: complete when the last part of the last producer is there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BlockEntry } from '../protocol/messages.ts';
import type { ProducerRange } from '../protocol/routing.ts';
import { Inbox } from './inbox.ts';

function entry(producer: number, part = 0, last = true): BlockEntry {
  return { producer, part, last, range: null, output: `${producer}.${part}` };
}

function outputsOf(inbox: Inbox, input: number): readonly unknown[] {
  return inbox.arrived(input).map(({ output }) => output);
}

/** By input: all of so many producers. */
function fedBy(counts: readonly number[]): readonly ProducerRange[] {
  return counts.map((end) => ({ first: 0, end }));
}

test('Inbox waits for every producer of every input, and gives them in their order', () => {
  const counts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });
  const arrivals = counts.chain((producerCounts) => {
    const all = producerCounts.flatMap((count, input) =>
      Array.from({ length: count }, (_, producer) => ({ input, producer })),
    );
    const order = fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length });
    return fc.record({ producerCounts: fc.constant(producerCounts), order });
  });
  fc.assert(
    fc.property(arrivals, ({ producerCounts, order }) => {
      const inbox = new Inbox(fedBy(producerCounts), false);
      order.forEach(({ input, producer }, index) => {
        assert.ok(!inbox.complete);
        assert.ok(inbox.arrive(input, entry(producer)));
        assert.ok(!inbox.arrive(input, entry(producer)), 'it comes twice');
        assert.equal(inbox.complete, index === order.length - 1);
      });
      producerCounts.forEach((count, input) => {
        const expected = Array.from({ length: count }, (_, producer) => `${producer}.0`);
        assert.deepEqual(outputsOf(inbox, input), expected);
      });
    }),
  );
});

test('Inbox gives parts as they come, each once, and counts a producer at its last', () => {
  const inbox = new Inbox(fedBy([2]), true);
  assert.ok(inbox.arrive(0, entry(1, 0, false)));
  assert.ok(inbox.arrive(0, entry(0, 0, true)));
  assert.ok(!inbox.arrive(0, entry(1, 0, false)));
  assert.ok(inbox.arrive(0, entry(1, 1, false)));
  assert.ok(!inbox.complete);
  assert.ok(inbox.arrive(0, entry(1, 2, true)));
  assert.ok(inbox.complete);
  assert.ok(!inbox.arrive(0, entry(1, 2, true)), 'nothing follows the last part');
  assert.deepEqual(outputsOf(inbox, 0), ['1.0', '0.0', '1.1', '1.2']);
});

test('Inbox takes no part whose predecessor is missing, and no producer that is not there', () => {
  const inbox = new Inbox(fedBy([2]), true);
  assert.throws(() => inbox.arrive(0, entry(0, 1)), /lost a part of producer 0/);
  assert.throws(() => inbox.arrive(0, entry(2)), /no such producer/);
});
