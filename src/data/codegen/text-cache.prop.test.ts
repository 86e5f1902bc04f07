// A cache must never show: any sequence of strings is decoded as without it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeUtf8 } from '../columnar/utf8.ts';
import { TextCache } from './text-cache.ts';

test('TextCache decodes any sequence of strings, repeating or not', () => {
  const text = fc.oneof(
    fc.constantFrom('', 'a', 'b', 'view', 'é', 'x'.repeat(40), 'x'.repeat(41)),
    fc.string({ unit: 'binary', maxLength: 45 }).filter((value) => value.isWellFormed()),
    // Alike in every byte that the hash sees.
    fc.nat({ max: 99 }).map((id) => `same-${String(id).padStart(2, '0')}--------------same`),
  );
  const cache = new TextCache();
  fc.assert(
    fc.property(fc.array(text, { maxLength: 200 }), (texts) => {
      for (const value of texts) {
        const bytes = encodeUtf8(`<${value}>`);
        assert.equal(cache.decode(bytes, 1, bytes.length - 1), value);
      }
    }),
    { numRuns: 300 },
  );
});

test('TextCache decodes strings that never repeat, through growth and rest', () => {
  const cache = new TextCache();
  for (let id = 0; id < 200_000; id++) {
    const bytes = encodeUtf8(`id-${id % 150_000}`);
    assert.equal(cache.decode(bytes, 0, bytes.length), `id-${id % 150_000}`);
  }
});
