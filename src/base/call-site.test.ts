import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallSite } from './call-site.ts';
import { captureCallSite } from './call-site.ts';

test('captureCallSite names the line that called the function', () => {
  function callee(): CallSite {
    return captureCallSite(callee);
  }
  const site = callee();
  assert.match(site.toString(), /^\/.*call-site\.test\.ts:10:16$/);
});

test('captureCallSite leaves the stack limit as it was', () => {
  const before = Error.stackTraceLimit;
  captureCallSite(test as () => unknown);
  assert.equal(Error.stackTraceLimit, before);
});
