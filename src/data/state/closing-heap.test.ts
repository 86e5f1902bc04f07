import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClosingHeap } from './closing-heap.ts';

const ends = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 60 });

/** All entries, first to last. */
function drain(heap: ClosingHeap): (readonly [number, number, number])[] {
  const entries: [number, number, number][] = [];
  for (; heap.size > 0; heap.pop()) entries.push([heap.endMs, heap.sequence, heap.slot]);
  return entries;
}

test('ClosingHeap gives entries by end and then by age, pushed one by one or all at once', () => {
  fc.assert(
    fc.property(ends, ends, (pushed, added) => {
      const heap = new ClosingHeap();
      const entries = [...added, ...pushed].map((end, index) => [end, index, 7 - index] as const);
      for (const entry of entries.slice(0, added.length)) heap.add(...entry);
      heap.order();
      for (const entry of entries.slice(added.length)) heap.push(...entry);
      const sorted = entries.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
      assert.deepEqual(drain(heap), sorted);
    }),
  );
});
