// Names of pipelines as parts of keys.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBlobKey, keyPart, nameOfKeyPart } from './blob-key.ts';

test('keyPart makes one part of a key of any name, and nameOfKeyPart finds the name', () => {
  const names = ['clicks', 'Clicks per page', 'a/b', '..', '.x', 'x.y', 'ä=€😀', '%2F', '=2F'];
  const parts = names.map(keyPart);
  assert.deepEqual(parts.map(nameOfKeyPart), names);
  assert.equal(new Set(parts).size, names.length);
  for (const part of parts) assert.ok(isBlobKey(part) && !part.includes('/'), part);
  assert.equal(keyPart('Clicks per page'), 'Clicks=20per=20page');
  assert.equal(nameOfKeyPart('a=2'), null);
  assert.equal(nameOfKeyPart('a=61'), null);
});
