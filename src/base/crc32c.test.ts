// Judged by the vectors of RFC 3720, B.4, and by dividing bit by bit.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from './crc32c.ts';

test('crc32c gives what RFC 3720 lists', () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, index) => index);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43);
  assert.equal(crc32c(ascending), 0x46dd794e);
  assert.equal(crc32c(ascending.toReversed()), 0x113fdb5c);
  assert.equal(crc32c(new TextEncoder().encode('123456789')), 0xe3069283);
});

test('crc32c of any part is the one that long division gives', () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, index) => (index * 151 + 7) % 256);
  for (const from of [0, 1, 5]) {
    for (let to = from; to < 60; to++)
      assert.equal(crc32c(bytes, from, to), byBits(bytes, from, to));
    assert.equal(crc32c(bytes, from), byBits(bytes, from, bytes.length));
  }
});

function byBits(bytes: Uint8Array, from: number, to: number): number {
  let value = 0xffffffff;
  for (let at = from; at < to; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const odd = (value ^ (bytes[at]! >>> bit)) & 1;
      value = odd === 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
    }
  }
  return ~value >>> 0;
}
