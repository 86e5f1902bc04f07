import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Turn } from './turn.ts';

test('Turn: promises that settle one by one share a turn, the next has time again', async () => {
  let nowMs = 0;
  const turn = new Turn(2, () => nowMs);
  const seen: boolean[] = [];
  for (let task = 0; task < 6; task++) {
    seen.push(turn.isOver());
    nowMs += 1;
    await Promise.resolve();
  }
  assert.deepEqual(seen, [false, false, false, true, true, true]);
  await nextTurn();
  assert.equal(turn.isOver(), false);
  await nextTurn();
});
