import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstIndex } from './first-index.ts';

test('firstIndex finds what a look at all would', () => {
  for (let count = 0; count < 20; count++) {
    for (let first = 0; first <= count; first++) {
      assert.equal(
        firstIndex(count, (index) => index >= first),
        first,
      );
    }
  }
});
