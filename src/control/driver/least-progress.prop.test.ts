// Laws of the tree of minima.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LeastProgress } from './least-progress.ts';

test('LeastProgress gives what a search of all numbers gives', () => {
  const raises = fc.array(fc.tuple(fc.nat(), fc.integer({ min: -1, max: 9 })), { maxLength: 80 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 17 }), raises, (count, steps) => {
      const progress = new LeastProgress(count, -1);
      const numbers = new Array<number>(count).fill(-1);
      for (const [at, value] of steps) {
        const index = at % count;
        numbers[index] = Math.max(numbers[index]!, value);
        progress.raise(index, value);
        assert.equal(progress.least, Math.min(...numbers));
      }
    }),
  );
});
