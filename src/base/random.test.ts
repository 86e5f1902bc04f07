import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from './random.ts';

function draw(seed: number, count: number): readonly number[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => random.uint32());
}

test('Random gives the same numbers for a seed, and others for its neighbour', () => {
  assert.deepEqual(draw(7, 100), draw(7, 100));
  assert.equal(new Set([...draw(7, 100), ...draw(8, 100)]).size, 200);
});

test('Random spreads floats and whole numbers evenly, ends included', () => {
  const random = new Random(1);
  const counts = [0, 0, 0, 0];
  let sum = 0;
  for (let i = 0; i < 40_000; i++) {
    const index = random.integer(0, 3);
    counts[index] = (counts[index] ?? 0) + 1;
    sum += random.float();
  }
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 400, `${counts}`);
  assert.ok(Math.abs(sum / 40_000 - 0.5) < 0.01);
});
