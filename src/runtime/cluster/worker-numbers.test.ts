import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../base/random.ts';
import type { NumberedWorkers } from './worker-numbers.ts';
import { WorkerNumbers } from './worker-numbers.ts';

test('WorkerNumbers: no two living workers share a number, and no life comes twice', () => {
  const random = new Random(7);
  const numbers = new WorkerNumbers(64);
  const living: NumberedWorkers[] = [];
  const lives = new Set<string>();
  for (let step = 0; step < 5_000; step++) {
    const count = random.integer(1, 8);
    if (living.length < 6 && count <= numbers.left) {
      const taken = numbers.take(count);
      for (let worker = taken.first; worker < taken.first + count; worker++) {
        assert.ok(worker < 64);
        const life = `${worker}-${taken.incarnation}`;
        assert.ok(!lives.has(life), life);
        lives.add(life);
      }
      const shared = living.some(({ first, count: others }) => {
        return taken.first < first + others && first < taken.first + count;
      });
      assert.ok(!shared, `${taken.first} is taken`);
      living.push({ ...taken, count });
    } else if (living.length > 0) {
      const [lost] = living.splice(random.integer(0, living.length - 1), 1);
      numbers.giveBack(lost!);
    }
  }
});

test('WorkerNumbers: hosts of one size can be lost for ever', () => {
  const numbers = new WorkerNumbers(12);
  let lost = { count: 4, ...numbers.take(4) };
  numbers.take(4);
  for (let loss = 0; loss < 1_000; loss++) {
    numbers.giveBack(lost);
    assert.equal(numbers.left, 8 - 4);
    const taken = numbers.take(4);
    assert.deepEqual(taken, { first: lost.first, incarnation: lost.incarnation + 1 });
    lost = { count: 4, ...taken };
  }
});
