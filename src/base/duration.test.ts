import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDurationMs } from './duration.ts';

test('parseDurationMs reads numbers and units as whole milliseconds', () => {
  const cases: readonly (readonly [string | number, number])[] = [
    [5, 5],
    [0, 0],
    ['500ms', 500],
    ['10s', 10_000],
    ['0.1s', 100],
    ['1.5m', 90_000],
    ['2 h', 7_200_000],
    ['1d', 86_400_000],
  ];
  for (const [value, ms] of cases) assert.equal(parseDurationMs(value as '1s'), ms);
});

test('parseDurationMs refuses what is no whole number of milliseconds', () => {
  for (const bad of ['10', '1w', '', '-1s', '1.5ms', '1e3s', -1, 0.5, Number.NaN, Infinity]) {
    assert.equal(parseDurationMs(bad as '1s'), null, String(bad));
  }
});
