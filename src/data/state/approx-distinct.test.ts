import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeUtf8 } from '../columnar/utf8.ts';
import { ApproxDistinct } from './approx-distinct.ts';

const group = Int32Array.of(0);

function sketch(): ApproxDistinct {
  const made = new ApproxDistinct({ kind: 'float64' });
  made.grow(1);
  return made;
}

function countOf(approx: ApproxDistinct): number {
  const vector = approx.result(group);
  assert.ok(vector.kind === 'number');
  return vector.values[0]!;
}

function fill(approx: ApproxDistinct, from: number, to: number): void {
  for (let value = from; value < to; value++) {
    const bytes = encodeUtf8(`user-${value}`);
    approx.addSpan(0, bytes, 0, bytes.length);
  }
}

test('ApproxDistinct is exact while it is sparse', () => {
  const approx = sketch();
  fill(approx, 0, 400);
  fill(approx, 0, 400);
  assert.equal(countOf(approx), 400);
});

test('ApproxDistinct stays within four standard errors', () => {
  for (const count of [600, 2000, 10_000, 50_000, 300_000]) {
    const approx = sketch();
    fill(approx, 0, count);
    const error = Math.abs(countOf(approx) - count) / count;
    assert.ok(error < 0.066, `${count} distinct: off by ${error}`);
  }
});

test('ApproxDistinct merges partials, sparse and dense, to the sketch of the union', () => {
  for (const [first, second] of [
    [100, 200],
    [100, 5000],
    [5000, 6000],
  ] as const) {
    const left = sketch();
    const right = sketch();
    const both = sketch();
    fill(left, 0, first);
    fill(right, first / 2, second);
    fill(both, 0, second);
    left.fold(right.partials(group), group, group);
    assert.equal(countOf(left), countOf(both));
    const other = sketch();
    fill(other, first / 2, second);
    fill(other, 0, first);
    assert.deepEqual(countOf(other), countOf(both));
  }
});

test('ApproxDistinct counts numbers and int64 by value', () => {
  const approx = sketch();
  for (const value of [1, 1, 2, 0.5, -0, 0]) approx.addNumber(0, value);
  assert.equal(countOf(approx), 4);
  const wide = sketch();
  for (const value of [1n, 2n ** 60n, 2n ** 60n, -1n]) wide.addInt64(0, value);
  assert.equal(countOf(wide), 3);
});
