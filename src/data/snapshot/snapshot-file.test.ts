// docs/state-format.md is what these bytes are held against: offsets here are those of its tables.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StreamError } from '../../base/stream-error.ts';
import { checkGolden } from '../../testing/golden.ts';
import { describeAggregate } from '../../plan/state-spec.ts';
import { aggregateCall, column } from '../../testing/plan-builder.ts';
import { checksum } from './checksum.ts';
import { ColumnWriter } from './column-writer.ts';
import { decodeSnapshot, encodeSnapshot, sectionKinds } from './snapshot-file.ts';
import type { SnapshotHeader } from './snapshot-file.ts';
import { hasSameInputs, stateDifference } from './state-description.ts';
import type { StateDescription } from './state-description.ts';

const aggregate = describeAggregate({
  keys: [{ name: 'user', expr: column('user', 'string?') }],
  window: { kind: 'tumbling', sizeMs: 1000, offsetMs: 0 },
  aggregates: [
    aggregateCall('rows', 'count'),
    aggregateCall('total', 'sum', { args: [column('amount', 'float64')], type: 'float64?' }),
  ],
  allowedLatenessMs: 0,
});

const description: StateDescription = {
  pipeline: 'shop',
  stage: 1,
  operator: 'aggregate-1',
  inputs: ['clicks'],
  producers: [4],
  aggregate,
};

function columns(): ColumnWriter {
  const writer = new ColumnWriter();
  writer.numbers(1.5, NaN);
  writer.counts(7, -1, 3);
  writer.flags(Uint8Array.of(1, 1, 1));
  writer.i64(BigInt64Array.of(-2n));
  return writer;
}

const delta: SnapshotHeader = {
  kind: 'delta',
  partition: 3,
  partitionCount: 8,
  description,
  previous: { batch: 41, code: 0xdeadbeef },
};

function encoded(): Uint8Array {
  const sections = [
    { kind: sectionKinds.input, columns: columns() },
    { kind: sectionKinds.windows, columns: new ColumnWriter() },
  ];
  return encodeSnapshot(delta, { batch: 47, code: null }, sections).bytes;
}

/** Lines of offset, bytes in hex and what they are, by the tables of docs/state-format.md. */
function dump(bytes: Uint8Array): string {
  const lines: string[] = [];
  let at = 0;
  const field = (size: number, what: string): void => {
    const hex = Buffer.from(bytes.subarray(at, at + size)).toString('hex');
    lines.push(`${String(at).padStart(4)}  ${hex.padEnd(24)}  ${what}`);
    at += size;
  };
  const u32 = (name: string): number => {
    const value = Buffer.from(bytes).readUInt32LE(at);
    field(4, `${name} ${value}`);
    return value;
  };
  const f64 = (name: string): void => {
    field(8, `${name} ${Buffer.from(bytes).readDoubleLE(at)}`);
  };
  field(8, 'magic');
  u32('version');
  u32('checksum of the header');
  u32('checksum of the sections');
  u32('length');
  u32('kind');
  const sections = u32('sections');
  f64('micro-batch');
  f64('micro-batch before');
  u32('link');
  u32('link before');
  u32('partition');
  u32('partitions');
  const length = u32('description length');
  u32('zero');
  lines.push(`${String(at).padStart(4)}  ${Buffer.from(bytes).toString('utf8', at, at + length)}`);
  at += length;
  field((8 - (length % 8)) % 8, 'padding');
  for (let section = 0; section < sections; section++) {
    u32('section kind');
    const end = u32('section length') + at;
    while (at < end) {
      const width = [1, 4, 8, 8][u32('column type') - 1]!;
      const size = u32('count') * width;
      for (let from = 0; from < size; from += width) field(width, 'element');
      field((8 - (size % 8)) % 8, 'padding');
    }
  }
  assert.equal(at, bytes.length);
  return `${lines.join('\n')}\n`;
}

test('a snapshot has the bytes that docs/state-format.md says', () => {
  checkGolden(new URL('./testdata/snapshot.txt', import.meta.url), dump(encoded()));
});

test('decodeSnapshot gives what was written, wherever the bytes lie', () => {
  const bytes = encoded();
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  for (const given of [bytes, shifted.subarray(3)]) {
    const { sections, link, ...header } = decodeSnapshot(given);
    assert.deepEqual(header, delta);
    assert.equal(link.batch, 47);
    assert.deepEqual(
      sections.map(({ kind }) => kind),
      [sectionKinds.input, sectionKinds.windows],
    );
    const [{ columns: read }] = sections as [(typeof sections)[0]];
    assert.deepEqual([...read.f64(2)], [1.5, NaN]);
    assert.deepEqual([...read.i32()], [7, -1, 3]);
    assert.deepEqual([...read.flags(3)], [1, 1, 1]);
    assert.deepEqual([...read.i64(1)], [-2n]);
    assert.ok(read.isAtEnd);
  }
});

test('decodeSnapshot refuses a snapshot with any byte changed, and any part of one', () => {
  const bytes = encoded();
  const refused = (given: Uint8Array): void => {
    assert.throws(
      () => decodeSnapshot(given),
      (error) => error instanceof StreamError && /^state-(damaged|version)$/.test(error.code),
    );
  };
  for (let at = 0; at < bytes.length; at++) {
    for (const change of [0x01, 0x80, 0xff]) {
      const damaged = bytes.slice();
      damaged[at]! ^= change;
      refused(damaged);
    }
    refused(bytes.slice(0, at));
  }
  refused(Uint8Array.from([...bytes, ...new Array<number>(8).fill(0)]));
});

test('checksum shows any change of one word, and of what follows a word', () => {
  fc.assert(
    fc.property(
      fc.int32Array({ minLength: 1, maxLength: 40 }),
      fc.nat(),
      fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      (words, at, change) => {
        const sum = (values: Int32Array): number => {
          return checksum(new Uint8Array(values.buffer), 0, values.byteLength);
        };
        const before = sum(words);
        const changed = words.slice();
        changed[at % words.length]! ^= change;
        assert.notEqual(sum(changed), before);
        assert.notEqual(sum(Int32Array.from([...words, 0])), before);
        assert.equal(sum(words), before);
      },
    ),
  );
});

function differenceTo(change: (to: StateDescription) => StateDescription): string | null {
  const copy = JSON.parse(JSON.stringify(description)) as StateDescription;
  return stateDifference(description, change(copy));
}

function withAggregate(change: Partial<NonNullable<StateDescription['aggregate']>>) {
  return (to: StateDescription): StateDescription => {
    return { ...to, aggregate: { ...to.aggregate!, ...change } };
  };
}

test('stateDifference names the first thing that differs, and lets names go', () => {
  const [rows, total] = aggregate.aggregates;
  const [user] = aggregate.keys;
  const differences = [
    differenceTo((to) => to),
    differenceTo((to) => ({ ...to, pipeline: 'store', stage: 7, producers: [9] })),
    differenceTo(withAggregate({ keys: [{ ...user!, name: 'customer' }] })),
    differenceTo((to) => ({ ...to, operator: 'aggregate-2' })),
    differenceTo((to) => ({ ...to, inputs: ['views'], producers: [2] })),
    differenceTo((to) => ({ ...to, aggregate: null })),
    differenceTo(withAggregate({ keys: [{ ...user!, expr: 'name' }] })),
    differenceTo(withAggregate({ keys: [{ ...user!, type: { kind: 'int32' } }] })),
    differenceTo(withAggregate({ keys: [{ ...user!, nullable: false }] })),
    differenceTo(withAggregate({ window: { kind: 'session', gapMs: 5 } })),
    differenceTo(withAggregate({ allowedLatenessMs: 10 })),
    differenceTo(withAggregate({ aggregates: [rows!, { ...total!, fn: 'avg' }] })),
    differenceTo(withAggregate({ aggregates: [rows!, { ...total!, type: { kind: 'int64' } }] })),
    differenceTo(withAggregate({ aggregates: [rows!] })),
  ];
  assert.deepEqual(differences, [
    null,
    null,
    null,
    'it is that of operator "aggregate-1"',
    null,
    'it has keyed state',
    'key #1 had user, now has name',
    'key #1 had user: string or null, now has user: int32 or null',
    'key #1 had user: string or null, now has user: string',
    'the window was {"kind":"tumbling","offsetMs":0,"sizeMs":1000}, ' +
      'now is {"gapMs":5,"kind":"session"}',
    'allowed lateness was 0 ms, now is 10 ms',
    'aggregate #2 had sum(amount), now has avg(amount)',
    'aggregate #2 had sum(amount: float64): float64, now has sum(amount: float64): int64',
    'the number of aggregates was 2, now is 1',
  ]);
});

test('hasSameInputs lets inputs have more partitions, and nothing else', () => {
  const from = { ...description, inputs: ['a', 'b'], producers: [2, 3] };
  const to = (inputs: readonly string[], producers: readonly number[]): boolean =>
    hasSameInputs(from, { ...from, inputs, producers });
  assert.deepEqual(
    [
      to(['a', 'b'], [2, 3]),
      to(['a', 'b'], [4, 3]),
      to(['a', 'b'], [2, 2]),
      to(['b', 'a'], [3, 3]),
      to(['a', 'b', 'c'], [2, 3, 1]),
      to(['a'], [2]),
    ],
    [true, true, false, false, false, false],
  );
});
