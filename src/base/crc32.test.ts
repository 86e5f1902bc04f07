// Judged by the platform's own CRC-32.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 as platformCrc32 } from 'node:zlib';
import { crc32 } from './crc32.ts';

test('crc32 is the one of zip', () => {
  for (const length of [0, 1, 2, 255, 1000]) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 31 + length) % 256);
    assert.equal(crc32(bytes), platformCrc32(bytes));
  }
});
