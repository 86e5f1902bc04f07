import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../base/random.ts';
import { NewlineSearch } from './newline-search.ts';

test('NewlineSearch finds what indexOf finds, from anywhere and across its windows', () => {
  const random = new Random(3);
  const search = new NewlineSearch();
  for (const size of [0, 1, 15, 16, 63, 64, 65, 1000, 65_536, 150_000]) {
    const bytes = Uint8Array.from({ length: size }, () => random.integer(0, 255) | 16);
    for (let n = 0; n < size / 500; n++) bytes[random.integer(0, size - 1)] = 10;
    if (size > 0) bytes[size - 1] = 10;
    search.begin(bytes);
    for (let round = 0; round < 300; round++) {
      const from = random.integer(0, size);
      const to = random.integer(from, size);
      const found = bytes.subarray(0, to).indexOf(10, from);
      assert.equal(search.next(from, to), found < 0 ? Infinity : found, `[${from}, ${to})`);
    }
  }
});

test('NewlineSearch does not see what was written behind its last answer', () => {
  const search = new NewlineSearch();
  const bytes = new Uint8Array(100).fill(97);
  bytes[50] = 10;
  search.begin(bytes);
  assert.equal(search.next(0, 100), 50);
  bytes.fill(10, 0, 51);
  assert.equal(search.next(51, 100), Infinity);
  search.begin(bytes);
  assert.equal(search.next(0, 100), 0);
});
