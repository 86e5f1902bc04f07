// The pure coders against the platform's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeUtf8, encodeUtf8, encodeUtf8Into, utf8BytesMax } from './utf8.ts';

const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ maxLength: 100 }),
  // UTF-16 with lone surrogates.
  fc
    .array(fc.integer({ min: 0xd7f0, max: 0xe010 }), { maxLength: 8 })
    .map((units) => String.fromCharCode(...units)),
  fc.constant('\uFEFFmark'),
);

test('encodeUtf8 writes what TextEncoder writes', () => {
  fc.assert(
    fc.property(texts, (text) => {
      assert.deepEqual(encodeUtf8(text), new TextEncoder().encode(text));
      const out = new Uint8Array(5 + utf8BytesMax(text)).fill(1);
      const end = encodeUtf8Into(text, out, 5);
      assert.deepEqual(out.slice(5, end), new TextEncoder().encode(text));
      assert.deepEqual(out.slice(0, 5), new Uint8Array(5).fill(1));
    }),
  );
});

test('decodeUtf8 reads what TextDecoder reads, also in the middle of shared memory', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(1024));
  fc.assert(
    fc.property(fc.oneof(texts.map(encodeUtf8), fc.uint8Array({ maxLength: 80 })), (bytes) => {
      const expected = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
      assert.equal(decodeUtf8(bytes, 0, bytes.length), expected);
      shared.set(bytes, 7);
      assert.equal(decodeUtf8(shared, 7, 7 + bytes.length), expected);
    }),
  );
});
