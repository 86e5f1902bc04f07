// Checked against the platform's own calendar.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatIsoTime, parseIsoTime } from './iso-time.ts';

const yearMs = { min: Date.UTC(0, 0, 1) - 1900 * 365.25 * 86_400_000, max: Date.UTC(9999, 11, 31) };

test('formatIsoTime and parseIsoTime agree with Date for any millisecond', () => {
  fc.assert(
    fc.property(fc.integer(yearMs), (ms) => {
      const text = new Date(ms).toISOString();
      assert.equal(formatIsoTime(ms), text);
      assert.equal(parseIsoTime(text), text.length === 24 ? ms : NaN);
    }),
    { numRuns: 2000 },
  );
});

test('parseIsoTime takes dates, offsets and fractions, and reads no zone as UTC', () => {
  const noon = Date.UTC(2024, 1, 29, 12);
  assert.equal(parseIsoTime('2024-02-29'), Date.UTC(2024, 1, 29));
  for (const text of ['2024-02-29T12:00', '2024-02-29 12:00:00', '2024-02-29T12:00:00.000999Z']) {
    assert.equal(parseIsoTime(text), noon, text);
  }
  assert.equal(parseIsoTime('2024-02-29T14:30:00.5+02:30'), noon + 500);
  assert.equal(parseIsoTime('2024-02-29T04:00-0800'), noon);
});

test('parseIsoTime gives NaN for what is no date', () => {
  const bad = [
    '',
    'now',
    '2023-02-29',
    '2024-13-01',
    '2024-01-01T24:00',
    '2024-01-01T00:60',
    '1e3',
  ];
  for (const text of [...bad, '2024-01-01T00:00:00+24:00', '2024-1-1', '2024-01-01Z']) {
    assert.ok(Number.isNaN(parseIsoTime(text)), text);
  }
});
