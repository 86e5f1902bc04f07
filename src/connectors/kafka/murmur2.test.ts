import assert from 'node:assert/strict';
import { test } from 'node:test';
import { murmur2, partitionOfHash } from './murmur2.ts';

// As Kafka's own tests of its Java client have them.
const known = {
  '21': -973932308,
  foobar: -790332482,
  'a-little-bit-long-string': -985981536,
  'a-little-bit-longer-string': -1486304829,
  lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
  abc: 479470107,
};

test('murmur2 gives what the Java client gives', () => {
  for (const [text, hash] of Object.entries(known)) {
    const bytes = new TextEncoder().encode(`..${text}..`);
    assert.equal(murmur2(bytes, 2, bytes.length - 2), hash, text);
  }
});

test('partitionOfHash takes the sign away first', () => {
  assert.equal(partitionOfHash(-973932308, 7), (-973932308 & 0x7fffffff) % 7);
  assert.equal(partitionOfHash(-1, 10), 7);
});
