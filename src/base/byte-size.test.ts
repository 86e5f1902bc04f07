// Amounts of memory as people write them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseByteSize } from './byte-size.ts';

test('parseByteSize takes bytes, and numbers with a unit of 1024', () => {
  assert.equal(parseByteSize(4096), 4096);
  assert.equal(parseByteSize('512b'), 512);
  assert.equal(parseByteSize('64kb'), 65_536);
  assert.equal(parseByteSize(' 1.5 MB '), 1_572_864);
  assert.equal(parseByteSize('2gb'), 2_147_483_648);
});

test('parseByteSize gives null for what is no amount of memory', () => {
  for (const text of ['', '64', '-1kb', '1 kib', 'mb', '1e3b', '9999999999tb']) {
    assert.equal(parseByteSize(text), null, text);
  }
  for (const number of [-1, 0.5, NaN, Infinity]) assert.equal(parseByteSize(number), null);
});
