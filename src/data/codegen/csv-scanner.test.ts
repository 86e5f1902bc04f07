import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DataType, Field } from '../../schema/data-type.ts';
import { compileCsvScanner, csvScannerSource } from './csv-scanner.ts';
import { scanAll, type ScanResult } from './scan-rows.fixture.ts';
import type { ScanSpec } from './scanner.ts';

function field(name: string, kind: DataType['kind'], nullable: boolean): Field {
  const type: DataType = kind === 'timestamp' ? { kind, encoding: 'auto' } : { kind };
  return { name, path: [name], type, nullable };
}

const spec: ScanSpec = {
  fields: [
    field('name', 'string', true),
    field('price', 'float64', true),
    field('id', 'int64', false),
  ],
  timeField: -1,
  equals: [],
  timeAheadMsMax: 1000,
};
const options = {
  delimiter: ',',
  quote: '"',
  columns: new Map([
    ['id', 0],
    ['name', 2],
    ['price', 1],
  ]),
  width: 4,
};

function check(text: string | Uint8Array, used: ScanSpec = spec): ScanResult {
  const input = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const range = { from: 0, to: input.length, nowMs: 1_700_000_000_000 };
  return scanAll(compileCsvScanner(used, options), input, range);
}

test('a CSV scan reads cells by position, whatever their quotes and line ends', () => {
  const { rows, codes } = check('1,2.5,a\r\n"2","-0","b ""c"",\r\nd"\n\n3,,"",more\r\n4,1e3,');
  assert.deepEqual(codes, []);
  assert.deepEqual(rows, [
    ['a', 2.5, 1n],
    ['b "c",\r\nd', -0, 2n],
    ['', null, 3n],
    [null, 1000, 4n],
  ]);
});

test('a CSV scan refuses broken rows and goes on at the next line', () => {
  const { rows, bad, codes } = check('1,2,a"b\n2,x,b\n3,1\n,1,c\n4,1,"d" e\n5,5,e\n6,6,"f\n7,7,g');
  assert.deepEqual(rows, [
    ['e', 5, 5n],
    ['g', 7, 7n],
  ]);
  assert.deepEqual(codes, [
    'csv-syntax',
    'csv-type',
    'csv-missing',
    'csv-missing',
    'csv-syntax',
    'csv-syntax',
  ]);
  assert.deepEqual(bad, [0, 8, 14, 18, 23, 39]);
});

test('a CSV scan refuses rows with more cells than the header, which would shift them', () => {
  const text = '1,2,a,b\n2,3,Smith, John,b\n3,3,"x\n4,4,y",b,c\n5,5,c\n';
  const { rows, bad, codes } = check(text);
  assert.deepEqual(rows, [
    ['a', 2, 1n],
    ['c', 5, 5n],
  ]);
  assert.deepEqual(codes, ['csv-syntax', 'csv-syntax']);
  assert.deepEqual(bad, [8, 26]);
});

test('a CSV scan refuses a carriage return that ends a line alone', () => {
  const { rows, codes } = check('1,2,a\r2,3,b\r3,4,c\r');
  assert.deepEqual([rows, codes], [[], ['csv-syntax']]);
  assert.deepEqual(check('1,2,a\r\n2,3,b\r').rows, [
    ['a', 2, 1n],
    ['b', 3, 2n],
  ]);
});

test('a CSV scan refuses bytes that are not UTF-8, also in cells that nobody reads', () => {
  const { rows, codes } = check(Uint8Array.of(0x31, 0x2c, 0x2c, 0x61, 0x2c, 0xff, 0x0a));
  assert.deepEqual([rows, codes], [[], ['utf8']]);
});

test('a CSV scan reads times and truth values, keeps the event time and pushes equals down', () => {
  const timed: ScanSpec = {
    fields: [
      field('id', 'timestamp', false),
      field('price', 'boolean', false),
      field('name', 'string', true),
    ],
    timeField: 0,
    equals: [{ field: 2, value: 'a"b' }],
    timeAheadMsMax: 1000,
  };
  const text =
    '2023-11-14T22:13:20Z,true,"a""b"\n1700000000999,FALSE,x\n1700000000001,False,"a""b"\n' +
    '1700000001001,true,x\n-1,true,x\nsoon,true,x\n1,1,x\n';
  const result = check(text, timed);
  assert.deepEqual(result.rows, [
    [1_700_000_000_000, true, 'a"b'],
    [1_700_000_000_001, false, 'a"b'],
  ]);
  assert.equal(result.records, 3);
  assert.equal(result.timeMax, 1_700_000_000_999);
  assert.deepEqual(result.codes, ['time-range', 'time-range', 'time-syntax', 'csv-type']);
});

test('a CSV scan gives back any text that was written with quotes', () => {
  const cell = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom('"', ',', '\n', '\r\n', ''),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(cell, fc.double({ noNaN: true, noDefaultInfinity: true }))),
      (cells) => {
        const lines = cells.map(([name, price]) => `7,${price},"${name.replaceAll('"', '""')}"\n`);
        const { rows, codes } = check(lines.join(''));
        assert.deepEqual(codes, []);
        assert.deepEqual(
          rows,
          cells.map(([name, price]) => [name.toWellFormed(), Number(String(price)), 7n]),
        );
      },
    ),
  );
});

test('csvScannerSource names the cells that are read', () => {
  assert.equal(
    csvScannerSource(spec, options),
    'csv, delimiter ",", quote "\\""\n' +
      'cell 2: name string or null\ncell 1: price float64 or null\ncell 0: id int64',
  );
});
