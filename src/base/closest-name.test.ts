import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closestName } from './closest-name.ts';

test('closestName finds a name that is a few letters off', () => {
  const known = ['event_time', 'event_type', 'price'];
  assert.equal(closestName('event_tim', known), 'event_time');
  assert.equal(closestName('Prise', known), 'price');
  assert.equal(closestName('campaign', known), null);
  assert.equal(closestName('x', []), null);
});
