import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { test } from 'node:test';
import { hasEnded, newHolder } from './driver-holder.ts';

test('hasEnded knows a process of this machine that is not there, and of no other', () => {
  const own = newHolder();
  assert.ok(!hasEnded(own));
  const { pid } = spawnSync(process.execPath, ['--version']);
  const ended = own.replace(`-${process.pid}-`, `-${pid}-`);
  assert.ok(hasEnded(ended));
  assert.ok(!hasEnded(`other-${ended}`));
  // A container of the same name, whose processes are not seen here.
  const elsewhere = ended.replace(
    /[0-9a-f]{16}$/,
    (id) => `${id[0] === '0' ? 1 : 0}${id.slice(1)}`,
  );
  assert.ok(!hasEnded(elsewhere));
  assert.ok(!hasEnded('somebody'));
});
