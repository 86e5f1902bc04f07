import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Vector } from '../columnar/batch.ts';
import { encodeUtf8 } from '../columnar/utf8.ts';
import {
  finishHash,
  hashBytes,
  hashInt64,
  hashNumber,
  hashRows,
  hashSeed,
  mixHash,
  nullHash,
  partitionOf,
} from './hash.ts';

function text(value: string): number {
  const bytes = encodeUtf8(value);
  return hashBytes(bytes, 0, bytes.length);
}

test('hash values are pinned: state and routing of running pipelines depend on them', () => {
  assert.deepEqual(
    ['', 'a', 'abcd', 'campaign-17', 'ä'].map((value) => text(value)),
    pinned.texts,
  );
  assert.deepEqual([0, 1, -1, 0.5, 2 ** 40, NaN, Infinity].map(hashNumber), pinned.numbers);
  assert.deepEqual([0n, 1n, -1n, 2n ** 62n].map(hashInt64), pinned.ints);
  const key = finishHash(mixHash(mixHash(hashSeed, text('a')), hashNumber(7)));
  assert.equal(key, pinned.key);
});

const pinned = {
  texts: [0, -2014368848, -2036038498, 1571933132, 830761137],
  numbers: [0, 1, -1, 423033351, -2078433628, -737330432, -1178211587],
  ints: [-430675100, -430634140, -1203112466, 1649736594],
  key: 1954071045,
};

test('hashNumber goes by value: -0 is 0, all NaN are one', () => {
  assert.equal(hashNumber(-0), hashNumber(0));
  const odd = new Float64Array(new BigUint64Array([0x7ff8000000000123n]).buffer)[0]!;
  assert.equal(hashNumber(odd), hashNumber(NaN));
});

test('hashRows gives what generated code computes row by row', () => {
  const bytes = encodeUtf8('ab');
  const strings: Vector = {
    kind: 'string',
    bytes,
    offsets: Int32Array.of(0, 1, 2, 2),
    valid: Uint8Array.of(1, 1, 0),
  };
  const numbers: Vector = { kind: 'int32', values: Int32Array.of(5, 6, 7), valid: null };
  const out = new Int32Array(3);
  hashRows([strings, numbers], 3, out);
  const expected = [text('a'), text('b'), nullHash].map((part, row) =>
    finishHash(mixHash(mixHash(hashSeed, part), 5 + row)),
  );
  assert.deepEqual([...out], expected);
});

test('partitionOf spreads keys evenly and leaves the low bits to tables', () => {
  const counts = new Array<number>(8).fill(0);
  const lowBits = new Set<number>();
  for (let key = 0; key < 8000; key++) {
    const hash = finishHash(mixHash(hashSeed, text(`key ${key}`)));
    const partition = partitionOf(hash, 8);
    counts[partition]!++;
    if (partition === 3) lowBits.add(hash & 15);
  }
  for (const count of counts) assert.ok(count > 850 && count < 1150, `${count} keys`);
  assert.equal(lowBits.size, 16);
  assert.equal(partitionOf(-1, 3), 2);
  assert.equal(partitionOf(0, 3), 0);
});
