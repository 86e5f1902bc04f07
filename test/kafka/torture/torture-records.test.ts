// The comparison at the end of the torture finds whatever may be wrong with an output, and nothing
// where all is right.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JavaRecord } from '../committed-reader.fixture.ts';
import { drawFaults } from './torture-faults.fixture.ts';
import { numberedOf, totalMs, windowMs, wrongWith } from './torture-records.fixture.ts';
import type { Numbered } from './torture-records.fixture.ts';

const topics = { input: 'in', copies: 'copies', windows: 'windows', totals: 'totals' };

type Output = { copies: JavaRecord[]; windows: JavaRecord[]; totals: JavaRecord[] };

const perPartition = 200;
const input = [0, 1].flatMap((partition) =>
  Array.from({ length: perPartition }, (_, offset) => {
    const record = numberedOf(partition, offset, 100);
    return recordOf('in', { partition, offset, key: record.key }, record);
  }),
);

function recordOf(
  topic: string,
  place: { readonly partition?: number; readonly offset?: number; readonly key: string | null },
  row: object,
): JavaRecord {
  const { partition = 1, offset = 0, key } = place;
  return { topic, partition, offset, chosen: partition, key, value: JSON.stringify(row) };
}

/** As a pipeline without faults would write it. */
function rightOutput(): Output {
  const cells = new Map<string, { key: string; windowStart: number; ids: number[] }>();
  for (const { value } of input) {
    const { id, key, at } = JSON.parse(value!) as Numbered;
    const windowStart = Math.floor(at / windowMs) * windowMs;
    const cell = cells.get(`${key} ${windowStart}`) ?? { key, windowStart, ids: [] };
    cells.set(`${key} ${windowStart}`, { ...cell, ids: [...cell.ids, id] });
  }
  const rows = [...cells.values()].map(({ key, windowStart, ids }) => {
    return { key, windowStart, records: ids.length, ids: ids.reduce((sum, id) => sum + id, 0) };
  });
  const starts = [...new Set(rows.map((row) => Math.floor(row.windowStart / totalMs) * totalMs))];
  const totals = starts.map((windowStart) => {
    const own = rows.filter(
      (row) => Math.floor(row.windowStart / totalMs) * totalMs === windowStart,
    );
    const records = own.reduce((sum, row) => sum + row.records, 0);
    const ids = own.reduce((sum, row) => sum + row.ids, 0);
    return { windowStart, windows: own.length, records, ids };
  });
  return {
    copies: input.map(({ partition, offset, key, value }) =>
      recordOf('copies', { key }, { ...(JSON.parse(value!) as Numbered), partition, offset }),
    ),
    windows: rows.map((row) => recordOf('windows', { key: row.key }, row)),
    totals: totals.map((row) => recordOf('totals', { key: null }, row)),
  };
}

function judged(change: (output: Output) => void): readonly string[] {
  const output = rightOutput();
  change(output);
  const { copies, windows, totals } = output;
  return wrongWith([...input, ...copies, ...windows, ...totals], topics);
}

function altered(record: JavaRecord, change: object): JavaRecord {
  const row = JSON.parse(record.value!) as object;
  return { ...record, value: JSON.stringify({ ...row, ...change }) };
}

const cases: readonly (readonly [string, RegExp, (output: Output) => void])[] = [
  ['a copy that is lost', /^record 0\/7 has no copy$/, ({ copies }) => copies.splice(7, 1)],
  ['one that is there twice', /^record 0\/7 once more/, ({ copies }) => copies.push(copies[7]!)],
  [
    'one that says something else',
    /^record 0\/7 is .*, and /,
    ({ copies }) => copies.splice(7, 1, altered(copies[7]!, { id: 1_000_000 })),
  ],
  [
    'one that is behind a later one of its key',
    /^record 0\/7 .* behind a later one/,
    ({ copies }) => copies.push(...copies.splice(7, 1)),
  ],
  [
    'one in the wrong partition',
    /^a record of key .* not in 0$/,
    ({ copies }) => copies.splice(7, 1, { ...copies[7]!, chosen: 0 }),
  ],
  ['a window that is lost', /^window .* is missing$/, ({ windows }) => windows.splice(3, 1)],
  ['a window twice', /not be there \(again\)/, ({ windows }) => windows.splice(3, 0, windows[3]!)],
  [
    'one that lacks a record',
    /^window .* says .*, and should /,
    ({ windows }) => windows.splice(3, 1, altered(windows[3]!, { records: 1 })),
  ],
  [
    'one behind a later one of its key',
    /^window .* is behind a later one$/,
    ({ windows }) => windows.push(...windows.splice(3, 1)),
  ],
  ['a total that is lost', /^total .* is missing$/, ({ totals }) => totals.pop()],
  ['a total twice', /not be there \(again\)/, ({ totals }) => totals.push(totals[0]!)],
  [
    'one that counts a window twice',
    /says .* and should/,
    ({ totals }) => totals.splice(0, 1, altered(totals[0]!, { windows: 99 })),
  ],
];

describe("the torture's comparison", () => {
  test('finds nothing where all is right', () => {
    assert.deepEqual(
      judged(() => {}),
      [],
    );
  });

  for (const [what, pattern, change] of cases) {
    test(`finds ${what}`, () => {
      const wrong = judged(change);
      assert.ok(
        wrong.some((line) => pattern.test(line)),
        wrong.join('\n'),
      );
    });
  }
});

test('a seed draws the same faults, of every kind in time', () => {
  assert.deepEqual(drawFaults(7, 30), drawFaults(7, 30));
  const faults = drawFaults(7, 3_600);
  const kinds = new Set(faults.map(({ kind, victim }) => `${kind} ${victim}`));
  assert.equal(kinds.size, 8);
});
