// Judged by dividing bit by bit.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { wideCrc32c } from './wide-crc32c.ts';

test('wideCrc32c around each length where its way changes is what long division gives', () => {
  const bytes = noise(70_000, 1);
  const sums = byBits(bytes.subarray(3));
  const near = (length: number): number[] =>
    Array.from({ length: 140 }, (_, index) => length - 70 + index);
  for (const length of [...near(512), ...near(1264), ...near(17_648), ...near(34_032), 69_997]) {
    assert.equal(wideCrc32c(bytes, 3, 3 + length), sums[length], `of ${length} bytes`);
  }
});

test('wideCrc32c of any part of any bytes is what long division gives', () => {
  const part = fc.record({
    seed: fc.nat(),
    from: fc.nat(20),
    length: fc.oneof(fc.nat(3_000), fc.nat(40_000)),
  });
  fc.assert(
    fc.property(part, ({ seed, from, length }) => {
      const bytes = noise(from + length + 5, seed);
      const sums = byBits(bytes.subarray(from, from + length));
      assert.equal(wideCrc32c(bytes, from, from + length), sums[length]);
    }),
    { numRuns: 60 },
  );
});

test('wideCrc32c finds each bit that is another', () => {
  const bytes = noise(6_000, 2);
  const whole = wideCrc32c(bytes, 0, bytes.length);
  for (let bit = 0; bit < bytes.length * 8; bit += 37) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    assert.notEqual(wideCrc32c(bytes, 0, bytes.length), whole, `bit ${bit}`);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
});

function noise(length: number, seed: number): Uint8Array {
  let state = seed | 1;
  return Uint8Array.from({ length }, () => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223;
    return state >>> 24;
  });
}

/** Of the first n bytes, for every n. */
function byBits(bytes: Uint8Array): Uint32Array {
  const sums = new Uint32Array(bytes.length + 1);
  let value = 0xffffffff;
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const odd = (value ^ (bytes[at]! >>> bit)) & 1;
      value = odd === 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
    }
    sums[at + 1] = ~value;
  }
  return sums;
}
