import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataType, Field } from '../../schema/data-type.ts';
import { compileJsonScanner, jsonScannerSource } from './json-scanner.ts';
import { parseAll, scanAll, type ScanResult } from './scan-rows.fixture.ts';
import { scanChunkRows, type ScanSpec } from './scanner.ts';

const nowMs = 1_700_000_000_000;

function field(path: string, type: DataType, nullable = false): Field {
  return { name: path, path: path.split('.'), type, nullable };
}

const ysb: ScanSpec = {
  fields: [
    field('ad_id', { kind: 'string' }),
    field('event_type', { kind: 'string' }),
    field('event_time', { kind: 'timestamp', encoding: 'ms' }),
  ],
  timeField: 2,
  equals: [{ field: 1, value: 'view' }],
  timeAheadMsMax: 60_000,
};
const ysbLine =
  '{"user_id":"0b2c1d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e","page_id":"größe-4f5a-4b6c",' +
  '"ad_id":"7e9f0a1b-4f5a-4b6c-8d7e-9f0a1b2c3d4e","ad_type":"ban\\n\\u00e978",' +
  '"event_type":"view","event_time":"1700000000000","ip_address":"1.2.3.4"}';

const mixed: ScanSpec = {
  fields: [
    field('id', { kind: 'int64' }),
    field('n', { kind: 'int32' }, true),
    field('ok', { kind: 'boolean' }),
    field('at', { kind: 'timestamp', encoding: 'iso' }),
    field('user.geo.lat', { kind: 'float64' }),
    field('user.name', { kind: 'string' }, true),
    field('more', { kind: 'json' }, true),
  ],
  timeField: 3,
  equals: [],
  timeAheadMsMax: 1e13,
};
const mixedLine =
  '{"id": 1234567890123456789, "n": -12, "ok": true, "at": "2024-02-29T12:34:56.789Z", ' +
  '"skip": {"a": [1, -2.5e+3, [], {}, null, "\\ud83d\\ude00"], "b": {"c": false}}, ' +
  '"user": {"geo": {"lat": 52.520008, "lon": 13.40495}, "name": "漢"}, "more": [true, {"x": 0}]}';

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function check(text: string, spec: ScanSpec = ysb): ScanResult {
  const input = bytesOf(text);
  return scanAll(compileJsonScanner(spec), input, { from: 0, to: input.length, nowMs });
}

/** Every line of which one byte was replaced, at every place and by every byte. */
function* damagedLines(line: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < line.length; at += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const damaged = line.slice();
      damaged[at] = byte;
      yield damaged;
    }
  }
}

for (const [name, spec, text] of [
  ['the benchmark', ysb, ysbLine],
  ['every type', mixed, mixedLine],
] as const) {
  test(`a scanner that knows the layout of ${name} takes no damaged byte for a good one`, () => {
    const line = bytesOf(`${text}\n`);
    const lines = [line, ...damagedLines(line)];
    const input = new Uint8Array(lines.length * line.length);
    for (const [index, each] of lines.entries()) input.set(each, index * line.length);
    const range = { from: 0, to: input.length, nowMs };
    const expected = parseAll(spec, input, range);
    const result = scanAll(compileJsonScanner(spec), input, range);
    const parsed = (row: readonly unknown[]): readonly unknown[] =>
      spec === mixed ? row.slice(0, -1) : row;
    assert.deepEqual(result.rows.map(parsed), expected.rows.map(parsed));
    assert.deepEqual(result.bad, expected.bad);
    assert.deepEqual([result.records, result.timeMax], [expected.records, expected.timeMax]);
  });
}

test('a JSON scan names the code, the field and the place of what it refuses', () => {
  const good = '{"ad_id":"a","event_type":"view","event_time":1}';
  const input = bytesOf(
    [
      good,
      good.replace('"a"', '5'),
      good.replace('"ad_id":"a",', ''),
      good.replace(':1}', ':1700000060001}'),
      good.replace(':1}', ':"soon"}'),
      good.replace('view"', 'view'),
      `${good} x\r`,
      '[1]',
      '"text"',
      `\uFEFF${good}`,
      good,
    ].join('\n'),
  );
  const scanner = compileJsonScanner(ysb);
  assert.equal(scanner.scan(input, 0, input.length, nowMs), 2);
  const errors = scanner.errors.map(({ code, field: name, offset, start }) => [
    code,
    name,
    offset - start,
  ]);
  assert.deepEqual(errors, [
    ['json-type', 'ad_id', 9],
    ['json-missing', 'ad_id', 0],
    ['time-range', 'event_time', 46],
    ['time-syntax', 'event_time', 47],
    ['json-syntax', null, 33],
    ['json-syntax', null, 49],
    ['json-type', null, 0],
    ['json-type', null, 0],
    ['json-syntax', null, 0],
  ]);
  assert.equal(scanner.errors[5]!.end, input.indexOf(13));
  assert.equal(scanner.errors[0]!.message, 'field "ad_id" has a value of another type');
  assert.equal(scanner.position, input.length);
});

test('a JSON scan refuses bytes that are not UTF-8', () => {
  const line = bytesOf(`${ysbLine}\n`);
  const input = new Uint8Array(line.length * 2);
  input.set(line);
  input.set(line, line.length);
  input[line.length + 20] = 0xc0;
  const result = scanAll(compileJsonScanner(ysb), input, { from: 0, to: input.length, nowMs });
  assert.deepEqual([result.records, result.codes], [1, ['utf8']]);
});

test('a JSON scan bounds nesting instead of the stack', () => {
  const nested = (depth: number): string =>
    `{"ad_id":"a","event_type":"view","event_time":1,"x":${'['.repeat(depth)}${']'.repeat(depth)}}`;
  const { rows, codes } = check([nested(511), nested(512), nested(1e6), nested(70)].join('\n'));
  assert.equal(rows.length, 2);
  assert.deepEqual(codes, ['json-depth', 'json-depth']);
});

test('a JSON scan knows a member by its unescaped name, and takes the last of several', () => {
  const text =
    '{"\\u0061d_id":"a","event_type":"view","event_time":1}\n' +
    '{"ad_id":5,"event_type":"view","event_time":"x","ad_id":"b","event_time":2}\n';
  assert.deepEqual(check(text).rows, [
    ['a', 'view', 1],
    ['b', 'view', 2],
  ]);
  const name: ScanSpec = { ...ysb, fields: [field('u.n', { kind: 'string' }, true)] };
  const nested = { ...name, timeField: -1, equals: [] };
  const twice = '{"u":{"n":"a"}}\n{"u":{"n":"a"},"u":{}}\n{"u":{"n":"a"},"u":3}\n{"u":{"n":"b"}}';
  assert.deepEqual(check(twice, nested).rows, [['a'], [null], [null], ['b']]);
});

test('a JSON scan keeps unescaped strings in the scratch, lone surrogates as U+FFFD', () => {
  const text = '{"ad_id":"\\ud83d\\ude00 \\ud83d \\"","event_type":"v\\u0069ew","event_time":1}';
  assert.deepEqual(check(text).rows, [['😀 \uFFFD "', 'view', 1]]);
});

test('a JSON scan gives full chunks and the greatest time of all records', () => {
  const line = (index: number): string => {
    const type = index % 2 === 0 ? 'view' : 'click';
    return `{"ad_id":"${index}","event_type":"${type}","event_time":${index}}\n`;
  };
  const input = bytesOf(Array.from({ length: 5000 }, (_, index) => line(index)).join(''));
  const scanner = compileJsonScanner(ysb);
  assert.equal(scanner.scan(input, 0, input.length, nowMs), scanChunkRows);
  assert.ok(scanner.records >= 2 * scanChunkRows - 1 && scanner.records <= 2 * scanChunkRows);
  assert.equal(scanner.timeMax, scanner.records - 1);
  const { rows, records } = scanAll(scanner, input, { from: 0, to: input.length, nowMs });
  assert.deepEqual([rows.length, records], [2500, 5000]);
  assert.deepEqual(rows[2499], ['4998', 'view', 4998]);
});

test('a JSON scan reads records that are longer than its window', () => {
  const long = `{"ad_id":"${'x'.repeat(200_000)}","event_type":"view","event_time":1}`;
  const short = '{"ad_id":"a","event_type":"view","event_time":1}';
  const { rows, codes } = check([short, long, short, `${long}}`, short].join('\n'));
  assert.deepEqual(
    rows.map(([id]) => String(id).length),
    [1, 200_000, 1, 1],
  );
  assert.deepEqual(codes, ['json-syntax']);
});

test('a JSON scan without fields counts records', () => {
  const spec: ScanSpec = { fields: [], timeField: -1, equals: [], timeAheadMsMax: 0 };
  const { records, rows, timeMax } = check('{}\n\n{"a":1}\n \r\n{"a":2}', spec);
  assert.deepEqual([records, rows.length, timeMax], [3, 3, Number.NEGATIVE_INFINITY]);
});

test('jsonScannerSource is the text of the scan, the same for the same spec', () => {
  const source = jsonScannerSource(ysb);
  assert.equal(source, jsonScannerSource(structuredClone(ysb)));
  assert.match(source, /^\(func \$scan \(export "scan"\)/);
  assert.match(source, /;; event_time as string/);
});
