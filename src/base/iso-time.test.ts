// Checked against the platform's own calendar.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIso } from './iso-time.ts';

test('parseIso agrees with Date for any millisecond of the years 0000 to 9999', () => {
  const range = { min: Date.parse('0000-01-01T00:00:00Z'), max: Date.UTC(9999, 11, 31) };
  fc.assert(
    fc.property(fc.integer(range), (ms) => {
      assert.equal(parseIso(new Date(ms).toISOString()), ms);
    }),
    { numRuns: 2000 },
  );
});

test('parseIso takes dates, offsets and fractions, and reads no zone as UTC', () => {
  const noon = Date.UTC(2024, 1, 29, 12);
  assert.equal(parseIso('2024-02-29'), Date.UTC(2024, 1, 29));
  for (const text of ['2024-02-29T12:00', '2024-02-29 12:00:00', '2024-02-29T12:00:00.000999Z']) {
    assert.equal(parseIso(text), noon, text);
  }
  assert.equal(parseIso('2024-02-29T14:30:00.5+02:30'), noon + 500);
  assert.equal(parseIso('2024-02-29T04:00-0800'), noon);
});

test('parseIso gives null for what is no date', () => {
  const bad = ['', 'now', '2023-02-29', '2024-13-01', '2024-01-01T24:00', '2024-01-01T00:60'];
  for (const text of [...bad, '2024-01-01T00:00:00+24:00', '2024-1-1', '2024-01-01Z', '1e3']) {
    assert.equal(parseIso(text), null, text);
  }
});
