import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DataType, Field } from '../../schema/data-type.ts';
import { compileJsonScanner } from './json-scanner.ts';
import { canonicalJson, parseAll, type PlainValue, scanAll } from './scan-rows.fixture.ts';
import type { ScanSpec } from './scanner.ts';

const nowMs = 1_700_000_000_000;

function field(path: string, type: DataType, nullable: boolean): Field {
  return { name: path, path: path.split('.'), type, nullable };
}

const specs: readonly ScanSpec[] = [
  {
    fields: [
      field('ad_id', { kind: 'string' }, false),
      field('event_type', { kind: 'string' }, false),
      field('event_time', { kind: 'timestamp', encoding: 'ms' }, false),
    ],
    timeField: 2,
    equals: [{ field: 1, value: 'view' }],
    timeAheadMsMax: 60_000,
  },
  {
    fields: [
      field('n', { kind: 'int32' }, true),
      field('f', { kind: 'float64' }, true),
      field('b', { kind: 'boolean' }, true),
      field('long', { kind: 'int64' }, true),
      field('user.name', { kind: 'string' }, true),
      field('user.geo.lat', { kind: 'float64' }, true),
      field('j', { kind: 'json' }, true),
      field('t', { kind: 'timestamp', encoding: 'auto' }, true),
      field('a_name_longer_than_one_vector_of_sixteen_bytes', { kind: 'string' }, true),
    ],
    timeField: 7,
    equals: [],
    timeAheadMsMax: 60_000,
  },
  {
    fields: [
      field('user', { kind: 'json' }, true),
      field('user.name', { kind: 'string' }, true),
      field('__proto__', { kind: 'string' }, true),
      field('t', { kind: 'timestamp', encoding: 'iso' }, true),
      field('s', { kind: 'timestamp', encoding: 's' }, true),
      field('us', { kind: 'timestamp', encoding: 'us' }, true),
    ],
    timeField: 3,
    equals: [{ field: 1, value: 'größe' }],
    timeAheadMsMax: 1e15,
  },
  {
    fields: [
      field('f', { kind: 'float64' }, false),
      field('long', { kind: 'int64' }, false),
      field('t', { kind: 'timestamp', encoding: 'iso' }, false),
      field('n', { kind: 'int32' }, false),
    ],
    timeField: 2,
    equals: [],
    timeAheadMsMax: 1e15,
  },
  { fields: [], timeField: -1, equals: [], timeAheadMsMax: 0 },
];

/** A seeded source of choices; every failure names the seed. */
class Choices {
  private state: number;
  constructor(seed: number) {
    this.state = seed | 0;
  }
  below(count: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % count;
  }
  often(percent: number): boolean {
    return this.below(100) < percent;
  }
  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

const texts = [
  'view',
  'click',
  'größe',
  '',
  'a',
  'banner78',
  '0123456789abcdef',
  '0123456789abcdef0123456789abcdef0123',
  '漢字',
  '😀 emoji',
  '\u007f',
  '\ud800',
  '\udc00\ud800',
  'tab\tand "quotes" \\ / \b\f\n\r',
  '\u0000',
  '1700000000123',
  '0',
  '-5',
  '99999999999999999999',
  '1700000000123456',
  '2024-02-29',
  '2023-02-29',
  '2023-11-14T22:13:20Z',
  '2023-11-14T22:13:20.123Z',
  '2023-11-14T22:13:20.1239+01:30',
  '2023-11-14T22:13:60Z',
  '2023-11-14T24:00:00Z',
  '2023-11-14T22:13',
  '1969-12-31T23:59:59Z',
  '9223372036854775807',
  '9223372036854775808',
  '-9223372036854775808',
];
const numbers = [
  '0',
  '-0',
  '1',
  '-1',
  '01',
  '1.0',
  '1e3',
  '1E+3',
  '1.5e-3',
  '2147483647',
  '2147483648',
  '-2147483648',
  '1e400',
  '-1e400',
  '1e-400',
  '0.1',
  '123.456',
  '9007199254740993',
  '9007199254740993.0',
  '0.1234567890123456789',
  '5e-324',
  '1.7976931348623157e308',
  '9223372036854775807',
  '-9223372036854775808',
  '9223372036854775808',
  '18446744073709551616',
  '1700000000',
  '1700000000.123',
  '1700000000123',
  '1700000000123.9',
  '1700000000123456',
  '12345678',
  '123456789012345678',
  '-',
  '1.',
  '.5',
  '+1',
  '1e',
  'NaN',
  '0x10',
];

function numberText(choices: Choices): string {
  if (choices.often(50)) return choices.of(numbers);
  let text = choices.often(20) ? '-' : '';
  text += choices.often(20) ? '0' : String(1 + choices.below(9));
  if (text.at(-1) !== '0') for (let n = choices.below(20); n > 0; n -= 1) text += choices.below(10);
  if (choices.often(50)) {
    text += '.';
    for (let n = 1 + choices.below(20); n > 0; n -= 1) text += choices.below(10);
  }
  return choices.often(20) ? `${text}e${choices.below(60) - 30}` : text;
}

function stringText(choices: Choices, value: string): string {
  if (choices.often(80)) return JSON.stringify(value);
  const units = [...Array(value.length).keys()].map((index) => {
    const unit = value.charCodeAt(index);
    const escape = `\\u${unit.toString(16).padStart(4, '0')}`;
    return choices.often(30) ? escape : JSON.stringify(value[index]).slice(1, -1);
  });
  return `"${units.join('')}"`;
}

function space(choices: Choices, style: number): string {
  return choices.often(2) ? choices.of([' ', '\t', '  ', '\r']) : style === 1 ? ' ' : '';
}

function valueText(choices: Choices, style: number, depth: number): string {
  switch (choices.below(depth > 3 ? 6 : 8)) {
    case 0:
    case 1:
      return stringText(choices, choices.of(texts));
    case 2:
    case 3:
      return numberText(choices);
    case 4:
      return choices.of(['true', 'false', 'null', 'nul', 'True']);
    case 5:
      return choices.of(['{}', '[]', 'null', '""']);
    case 6: {
      const items = Array.from({ length: choices.below(4) }, () =>
        valueText(choices, style, depth + 1),
      );
      return `[${items.join(`,${space(choices, style)}`)}]`;
    }
    default: {
      const keys = Array.from({ length: choices.below(4) }, () =>
        choices.of(['name', 'geo', 'lat', 'x', 'user', '']),
      );
      return objectText(choices, style, { keys, values: new Map(), depth: depth + 1 });
    }
  }
}

type Shape = {
  readonly keys: readonly string[];
  readonly values: ReadonlyMap<string, (choices: Choices) => string>;
  readonly depth: number;
};

function objectText(choices: Choices, style: number, shape: Shape): string {
  const members = shape.keys.map((key) => {
    const make = shape.values.get(key);
    const isTyped = make !== undefined && choices.often(90);
    const value = isTyped ? make(choices) : valueText(choices, style, shape.depth);
    const name = choices.often(98) ? JSON.stringify(key) : stringText(choices, key);
    return `${name}${space(choices, 0)}:${space(choices, style)}${value}`;
  });
  return `{${members.join(`${space(choices, 0)},${space(choices, style)}`)}${space(choices, 0)}}`;
}

/** Values that fit the field, so that most records are good. */
function fitting(type: DataType): (choices: Choices) => string {
  const digits = (choices: Choices): string => String(1_600_000_000_000 + choices.below(1e9));
  switch (type.kind) {
    case 'boolean':
      return (choices) => choices.of(['true', 'false']);
    case 'int32':
      return (choices) => String(choices.below(2 ** 31) - 2 ** 30);
    case 'int64':
      return (choices) =>
        choices.of(['', '"']) === ''
          ? `${choices.below(1e9)}${choices.below(1e9)}`
          : `"${choices.below(1e9)}"`;
    case 'float64':
      return (choices) =>
        choices.often(50)
          ? `${choices.below(1e6)}.${choices.below(1e6)}`
          : String(choices.below(1e9) / (1 + choices.below(1e9)));
    case 'timestamp': {
      const isoText = (choices: Choices): string =>
        JSON.stringify(new Date(Number(digits(choices))).toISOString());
      if (type.encoding === 'iso') return isoText;
      if (type.encoding === 's') return (choices) => String(choices.below(1.6e9));
      return (choices) => choices.of([digits, isoText, (c) => `"${digits(c)}"`])(choices);
    }
    case 'string':
    case 'json':
      return (choices) => stringText(choices, choices.of(texts.slice(0, 10)));
  }
}

/** Lines of mostly one layout, some that deviate from it, and some with damaged bytes. */
function makeInput(choices: Choices, spec: ScanSpec): Uint8Array {
  const style = choices.below(2);
  const values = new Map(spec.fields.map(({ path, type }) => [path[0]!, fitting(type)]));
  for (const { path, type } of spec.fields) {
    if (path.length !== 2) continue;
    const inner = new Map([[path[1]!, fitting(type)]]);
    values.set(path[0]!, (c) =>
      objectText(c, style, { keys: ['id', path[1]!], values: inner, depth: 1 }),
    );
  }
  for (const { path, type } of spec.fields) {
    if (path.length !== 3) continue;
    const geo = new Map([[path[2]!, fitting(type)]]);
    const inner = new Map([
      [path[1]!, (c: Choices) => objectText(c, style, { keys: [path[2]!], values: geo, depth: 2 })],
      ['name', fitting({ kind: 'string' })],
    ]);
    values.set(path[0]!, (c) =>
      objectText(c, style, { keys: [path[1]!, 'name'], values: inner, depth: 1 }),
    );
  }
  const pool = [...new Set(spec.fields.map(({ path }) => path[0]!)), 'other', 'page_id', 'tags'];
  const order = pool.filter(() => choices.often(90)).sort(() => choices.below(3) - 1);
  const parts: Uint8Array[] = [];
  for (let line = choices.below(30); line > 0; line -= 1) {
    const keys = choices.often(85)
      ? order
      : [...order, choices.of(pool)].filter(() => choices.often(90));
    let text = objectText(choices, style, { keys, values, depth: 0 });
    if (choices.often(3)) text = valueText(choices, style, 0);
    if (choices.often(3)) text = choices.of(['', ' ', '\uFEFF', '\r']) + text;
    if (choices.often(2)) text = choices.of(['', ' ', '\t\r']);
    let bytes = new TextEncoder().encode(text);
    if (choices.often(10)) bytes = damage(choices, bytes);
    parts.push(bytes, new TextEncoder().encode(choices.often(95) ? '\n' : '\r\n'));
  }
  if (choices.often(50)) parts.pop();
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const input = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    input.set(part, offset);
    offset += part.length;
  }
  return input;
}

function damage(choices: Choices, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const at = choices.below(bytes.length + 1);
  const byte = choices.often(50)
    ? choices.below(256)
    : choices.of([...'"\\{}[]:,0e \r'].map((c) => c.charCodeAt(0)));
  switch (choices.below(4)) {
    case 0:
      return Uint8Array.of(...bytes.slice(0, at), byte, ...bytes.slice(at + 1));
    case 1:
      return Uint8Array.of(...bytes.slice(0, at), byte, ...bytes.slice(at));
    case 2:
      return Uint8Array.of(...bytes.slice(0, at), ...bytes.slice(at + 1));
    default:
      return bytes.slice(0, at);
  }
}

function canonicalRows(spec: ScanSpec, rows: readonly (readonly PlainValue[])[]): PlainValue[][] {
  return rows.map((row) =>
    row.map((value, index) =>
      typeof value === 'string' && spec.fields[index]!.type.kind === 'json'
        ? canonicalJson(value)
        : value,
    ),
  );
}

function checkSame(spec: ScanSpec, input: Uint8Array, scanner = compileJsonScanner(spec)): void {
  const range = { from: 0, to: input.length, nowMs };
  const expected = parseAll(spec, input, range);
  // Twice: the second time every layout has been seen before.
  for (let pass = 0; pass < 2; pass += 1) {
    const result = scanAll(scanner, input, range);
    assert.deepEqual(canonicalRows(spec, result.rows), expected.rows);
    assert.deepEqual(result.bad, expected.bad);
    assert.equal(result.records, expected.records);
    assert.equal(result.timeMax, expected.timeMax);
  }
}

const runs = Number(process.env['PROPERTY_RUNS'] ?? 300);

for (const [index, spec] of specs.entries()) {
  test(`a JSON scan of spec ${index} equals JSON.parse on random and damaged lines`, () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        checkSame(spec, makeInput(new Choices(seed), spec));
      }),
      // Each run compiles a scanner.
      { numRuns: Math.ceil(runs / 10) },
    );
  });

  test(`a JSON scanner of spec ${index} that lives on equals JSON.parse`, () => {
    const scanner = compileJsonScanner(spec);
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        checkSame(spec, makeInput(new Choices(seed), spec), scanner);
      }),
      { numRuns: runs, endOnFailure: true },
    );
  });

  test(`a JSON scan of spec ${index} reads only input[from, to), wherever it begins`, () => {
    const scanner = compileJsonScanner(spec);
    fc.assert(
      fc.property(fc.integer(), fc.nat(40), fc.nat(40), (seed, before, behind) => {
        const choices = new Choices(seed);
        const input = makeInput(choices, spec);
        const shared = new Uint8Array(new SharedArrayBuffer(before + input.length + behind));
        shared.fill(choices.of([0x22, 0x7d, 0x0a, 0x39, 0x2c]));
        shared.set(input, before);
        const range = { from: before, to: before + input.length, nowMs };
        const expected = parseAll(spec, shared, range);
        const result = scanAll(scanner, shared, range);
        assert.deepEqual(canonicalRows(spec, result.rows), expected.rows);
        assert.deepEqual(result.bad, expected.bad);
      }),
      { numRuns: runs },
    );
  });
}
