// What is sent again after a loss, when another loss comes in the midst of it.

import { test } from 'node:test';
import { simulateResends } from './resends.fixture.ts';

test('whoever is to send blocks again may be lost before it has', () => {
  for (let seed = 0; seed < 60; seed++) simulateResends(seed);
});
