// The hash and the canonical text that plan hashes rest on.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { canonicalJson } from './canonical-json.ts';
import { hashText } from './hash.ts';

test('hashText is the first half of SHA-256 at every length around a block', () => {
  for (let length = 0; length < 200; length++) {
    const text = 'é'.repeat(length >> 1) + 'x'.repeat(length % 2);
    const expected = createHash('sha256').update(text).digest('hex').slice(0, 32);
    assert.equal(hashText(text), expected, `length ${length}`);
  }
});

test('canonicalJson does not depend on the order of properties', () => {
  assert.equal(canonicalJson({ b: [1n, -0], a: null, c: undefined }), '{"a":null,"b":[1n,-0]}');
  assert.equal(canonicalJson({ a: 'x"', b: NaN }), canonicalJson({ b: NaN, a: 'x"' }));
});
