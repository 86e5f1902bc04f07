// The estimate of another clock: the quickest round trip decides, and says how far it may be off.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClockOffset } from './clock-offset.ts';

test('offset: slow answers do not disturb what a quick one said', () => {
  const clock = new ClockOffset();
  assert.equal(clock.offsetMs, 0);
  clock.add(100, 1_150, 200);
  assert.equal(clock.errorMs, 50);
  clock.add(300, 1_300.6, 301);
  assert.ok(Math.abs(clock.offsetMs - 1_000.1) < 1e-9);
  clock.add(400, 1_490, 500);
  assert.ok(Math.abs(clock.offsetMs - 1_000.1) < 1e-9);
  assert.equal(clock.errorMs, 0.5);
});

test('offset: what was measured long ago is forgotten, so that drift is seen', () => {
  const clock = new ClockOffset();
  clock.add(0, 1_000.05, 0.1);
  for (let index = 1; index <= 40; index++) {
    const sentMs = index * 500;
    clock.add(sentMs, sentMs + 1_002.2, sentMs + 0.4);
  }
  assert.ok(Math.abs(clock.offsetMs - 1_002) < 1e-6);
});
