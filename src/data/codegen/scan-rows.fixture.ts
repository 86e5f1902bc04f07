// For tests: what a scanner read, as plain values, and the same by `JSON.parse`.

import type { Field } from '../../schema/data-type.ts';
import type { Scanner, ScanSpec } from './scanner.ts';

export type PlainValue = null | boolean | number | bigint | string;

export type ScanResult = {
  readonly rows: readonly (readonly PlainValue[])[];
  readonly records: number;
  readonly timeMax: number;
  /** Start offsets of the bad records. */
  readonly bad: readonly number[];
  readonly codes: readonly string[];
};

/** Scans all of input[from, to), chunk by chunk. */
export function scanAll(
  scanner: Scanner,
  input: Uint8Array,
  range: { readonly from: number; readonly to: number; readonly nowMs: number },
): ScanResult {
  const rows: PlainValue[][] = [];
  const bad: number[] = [];
  const codes: string[] = [];
  let records = 0;
  let timeMax = Number.NEGATIVE_INFINITY;
  let position = range.from;
  while (position < range.to) {
    const count = scanner.scan(input, position, range.to, range.nowMs);
    for (let row = 0; row < count; row += 1) rows.push(readRow(scanner, input, row));
    records += scanner.records;
    timeMax = Math.max(timeMax, scanner.timeMax);
    for (const error of scanner.errors) {
      bad.push(error.start);
      codes.push(error.code);
    }
    if (scanner.position <= position) throw new Error(`no progress at ${position}`);
    position = scanner.position;
  }
  return { rows, records, timeMax, bad, codes };
}

function readRow(scanner: Scanner, input: Uint8Array, row: number): PlainValue[] {
  return scanner.columns.map((column) => {
    if (column.valid !== null && column.valid[row] === 0) return null;
    if (column.kind === 'boolean') return column.values[row] === 1;
    if (column.kind !== 'string') return column.values[row]!;
    const start = column.starts[row]!;
    const end = column.ends[row]!;
    const bytes =
      start < 0 ? scanner.scratch.slice(~start, ~end) : new Uint8Array(input.slice(start, end));
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  });
}

class NumberSource {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

const refused: unique symbol = Symbol('refused');

/** The same lines read one by one with `JSON.parse` and the rules of the types. */
export function parseAll(
  spec: ScanSpec,
  input: Uint8Array,
  range: { readonly from: number; readonly to: number; readonly nowMs: number },
): Omit<ScanResult, 'codes'> {
  const rows: PlainValue[][] = [];
  const bad: number[] = [];
  let records = 0;
  let timeMax = Number.NEGATIVE_INFINITY;
  let start = range.from;
  while (start < range.to) {
    let end = input.indexOf(10, start);
    if (end < 0 || end > range.to) end = range.to;
    const line = new Uint8Array(input.slice(start, end));
    if (!line.every((c) => c === 32 || c === 9 || c === 13)) {
      const row = parseLine(spec, line, range.nowMs);
      if (row === refused) {
        bad.push(start);
      } else {
        records += 1;
        const time = row[spec.timeField];
        if (typeof time === 'number') timeMax = Math.max(timeMax, time);
        if (spec.equals.every(({ field, value }) => row[field] === value)) rows.push(row);
      }
    }
    start = end + 1;
  }
  return { rows, records, timeMax, bad };
}

function parseLine(spec: ScanSpec, line: Uint8Array, nowMs: number): PlainValue[] | typeof refused {
  let record: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(line);
    record = parseWithSources(text);
  } catch {
    return refused;
  }
  if (typeof record !== 'object' || record === null) return refused;
  if (Array.isArray(record) || record instanceof NumberSource) return refused;
  const row: PlainValue[] = [];
  for (const field of spec.fields) {
    const value = valueAt(record, field.path);
    const plain = toPlain(field, value, nowMs + spec.timeAheadMsMax);
    if (plain === refused) return refused;
    row.push(plain);
  }
  return row;
}

function parseWithSources(text: string): unknown {
  const revive = (_key: string, value: unknown, context: { source?: string }): unknown =>
    typeof value === 'number' ? new NumberSource(context.source!) : value;
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown);
}

function valueAt(record: object, path: readonly string[]): unknown {
  let value: unknown = record;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    if (value instanceof NumberSource || !Object.hasOwn(value, key)) return null;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function toPlain(field: Field, value: unknown, timeEnd: number): PlainValue | typeof refused {
  if (value === null || value === undefined) return field.nullable ? null : refused;
  const source = value instanceof NumberSource ? value.source : null;
  const { type } = field;
  switch (type.kind) {
    case 'boolean':
      return typeof value === 'boolean' ? value : refused;
    case 'int32':
      return source !== null && Number(source) === (Number(source) | 0)
        ? Number(source) | 0
        : refused;
    case 'int64': {
      const text = source ?? value;
      if (typeof text !== 'string' || !/^-?\d+$/.test(text)) return refused;
      return BigInt.asIntN(64, BigInt(text)) === BigInt(text) ? BigInt(text) : refused;
    }
    case 'float64':
      return source === null ? refused : Number(source);
    case 'string':
      return typeof value === 'string' ? value.toWellFormed() : refused;
    case 'json':
      return JSON.stringify(plainJson(value));
    case 'timestamp': {
      const time = toTime(type.encoding, source, value);
      return time !== null && time >= 0 && time <= timeEnd ? time : refused;
    }
  }
}

function toTime(encoding: string, source: string | null, value: unknown): number | null {
  const takesNumber = encoding !== 'iso';
  const isDigits = typeof value === 'string' && /^-?\d+$/.test(value);
  if (takesNumber && (source !== null || isDigits)) {
    const text = source ?? (value as string);
    const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)!;
    const exponent = Number(match[4] ?? 0) - (match[3] ?? '').length;
    const shift = exponent + (encoding === 's' ? 3 : encoding === 'us' ? -3 : 0);
    const digits = BigInt(match[2]! + (match[3] ?? ''));
    if (digits === 0n) return 0;
    if (match[1] === '-') return -1;
    if (shift > 400) return null;
    if (shift < -400) return 0;
    return shift >= 0
      ? Number(digits * 10n ** BigInt(shift))
      : Number(digits / 10n ** BigInt(-shift));
  }
  const takesIso = encoding === 'iso' || encoding === 'auto';
  if (!takesIso || typeof value !== 'string') return null;
  const clock = String.raw`(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?`;
  const zone = String.raw`(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?`;
  const iso = new RegExp(String.raw`^(\d{4}-\d\d-\d\d)(?:[Tt ]${clock}${zone})?$`);
  const match = iso.exec(value);
  if (match === null) return null;
  const [hour, minute, second] = [match[2], match[3], match[4]].map((part) => Number(part ?? 0));
  const [offsetHour, offsetMinute] = [Number(match[7] ?? 0), Number(match[8] ?? 0)];
  if (hour! > 23 || minute! > 59 || second! > 59) return null;
  if (offsetHour > 23 || offsetMinute > 59) return null;
  // `Date` rolls 31 April over where we refuse it.
  const midnight = new Date(`${match[1]}T00:00:00Z`);
  if (Number.isNaN(midnight.getTime())) return null;
  if (midnight.toISOString().slice(0, 10) !== match[1]) return null;
  const fraction = Math.floor(Number(`0.${(match[5] ?? '0').slice(0, 3)}`) * 1000 + 0.5);
  const offset = (match[6] === '-' ? -1 : 1) * (offsetHour * 60 + offsetMinute);
  return midnight.getTime() + ((hour! * 60 + minute! - offset) * 60 + second!) * 1000 + fraction;
}

function plainJson(value: unknown): unknown {
  if (value instanceof NumberSource) return { number: value.source };
  if (Array.isArray(value)) return value.map(plainJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value).map(([key, member]) => [key, plainJson(member)]);
}

/** A json column's text in the form in which `parseAll` gives it. */
export function canonicalJson(text: string): string {
  return JSON.stringify(plainJson(parseWithSources(text)));
}
