// ISO 8601 and truncation against JavaScript's own Date, which has the same calendar.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isoText, parseIso, truncateTime } from './iso-time.ts';

const times = fc.integer({
  min: Date.parse('0000-01-01T00:00:00.000Z'),
  max: Date.parse('9999-12-31T23:59:59.999Z'),
});

test('isoText and parseIso agree with Date', () => {
  fc.assert(
    fc.property(times, (timeMs) => {
      const text = new Date(timeMs).toISOString();
      assert.equal(isoText(timeMs), text);
      assert.equal(parseIso(text), timeMs);
    }),
    { numRuns: 2000 },
  );
});

test('parseIso reads offsets, fractions and spaces, and refuses what does not exist', () => {
  const cases: readonly (readonly [string, string | null])[] = [
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['2024-02-29 12:34', '2024-02-29T12:34:00.000Z'],
    ['2024-02-29t12:34:56z', '2024-02-29T12:34:56.000Z'],
    ['2024-02-29T12:34:56.1Z', '2024-02-29T12:34:56.100Z'],
    ['2024-02-29T12:34:56,123999', '2024-02-29T12:34:56.123Z'],
    ['2024-02-29T12:34:56+05:30', '2024-02-29T07:04:56.000Z'],
    ['2024-02-29T00:00:00-0130', '2024-02-29T01:30:00.000Z'],
    ['2024-02-29T00:00:00+02', '2024-02-28T22:00:00.000Z'],
    ['1969-12-31T23:59:59.999Z', '1969-12-31T23:59:59.999Z'],
    ['2023-02-29', null],
    ['2024-13-01', null],
    ['2024-00-01', null],
    ['2024-01-32', null],
    ['2024-01-01T24:00', null],
    ['2024-01-01T12:60', null],
    ['2024-01-01T12:00:60', null],
    ['2024-01-01T12', null],
    ['2024-01-01Z', null],
    [' 2024-01-01', null],
    ['20240101', null],
    ['2024-01-01T00:00+24:00', null],
  ];
  for (const [text, expected] of cases) {
    const timeMs = parseIso(text);
    assert.equal(timeMs === null ? null : isoText(timeMs), expected, text);
  }
});

test('truncateTime gives the start of the unit in UTC', () => {
  fc.assert(
    fc.property(times, (timeMs) => {
      const date = new Date(timeMs);
      const midnight = new Date(timeMs);
      midnight.setUTCHours(0, 0, 0, 0);
      const month = new Date(midnight);
      month.setUTCDate(1);
      const year = new Date(month);
      year.setUTCMonth(0);
      const week = new Date(midnight);
      week.setUTCDate(week.getUTCDate() - ((week.getUTCDay() + 6) % 7));
      assert.equal(truncateTime('second', timeMs), timeMs - date.getUTCMilliseconds());
      assert.equal(truncateTime('day', timeMs), midnight.getTime());
      assert.equal(truncateTime('week', timeMs), week.getTime());
      assert.equal(truncateTime('month', timeMs), month.getTime());
      assert.equal(truncateTime('year', timeMs), year.getTime());
    }),
    { numRuns: 1000 },
  );
});
