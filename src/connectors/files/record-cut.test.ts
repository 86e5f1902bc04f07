import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findCuts, firstRecordEnd, headerNames } from './record-cut.ts';

const csv = { kind: 'csv', delimiter: 44 } as const;

test('findCuts: cuts between records only, whatever is in quotes', () => {
  const value = fc.oneof(
    fc.stringMatching(/^[a-z]{0,4}$/),
    fc.stringMatching(/^[a-z"\n,]{0,5}$/).map((text) => `"${text.replaceAll('"', '""')}"`),
    fc.constant('5" pipe'),
  );
  const record = fc.array(value, { minLength: 1, maxLength: 3 }).map((values) => values.join(','));
  fc.assert(
    fc.property(fc.array(record), fc.nat(50), (records, dropped) => {
      const ends = new Set<number>([0]);
      let text = '';
      for (const one of records) ends.add((text += `${one}\n`).length);
      const bytes = new TextEncoder().encode(text);
      const end = Math.max(0, bytes.length - dropped);
      const { last, inner } = findCuts(bytes, { start: 0, end }, csv);
      assert.equal(last, Math.max(...[...ends].filter((at) => at <= end)));
      for (const at of inner ?? []) assert.ok(ends.has(at));
      const first = firstRecordEnd(bytes, { start: 0, end: bytes.length }, csv);
      assert.equal(first, records.length === 0 ? -1 : `${records[0]}\n`.length);
    }),
  );
});

test('headerNames: reads quoted and empty names', () => {
  assert.deepEqual(headerNames('a,"b ""x"", y",,d\r\n', ','), ['a', 'b "x", y', '', 'd']);
  assert.deepEqual(headerNames('', ','), ['']);
});
