// Batches to plain row objects and back: for memory sources, sinks and tests. Values from outside
// are checked one by one; a row with a bad value is reported and left out, never bent into shape.

import { parseIso } from '../../base/iso-time.ts';
import { unreachable } from '../../base/assert.ts';
import type {
  DataType,
  Field,
  JsonValue,
  RowObject,
  RowSchema,
  RowValue,
  TimeEncoding,
} from '../../schema/data-type.ts';
import { BatchBuilder } from './batch-builder.ts';
import type { BuilderColumn } from './batch-builder.ts';
import type { Batch, Vector } from './batch.ts';
import { decodeUtf8, encodeUtf8Into, utf8BytesMax } from './utf8.ts';

export function batchToRows(batch: Batch): RowObject[] {
  return Array.from({ length: batch.rowCount }, (_, row) => rowAt(batch, row));
}

export function rowAt(batch: Batch, row: number): RowObject {
  const { fields } = batch.schema;
  const object: { [name: string]: RowValue } = {};
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index]!;
    setOwn(object, field.name, valueAt(batch.vectors[index]!, field.type, row));
  }
  return object;
}

/** A column may be called `__proto__`. */
function setOwn(object: { [name: string]: RowValue }, name: string, value: RowValue): void {
  if (name !== '__proto__') object[name] = value;
  else
    Object.defineProperty(object, name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
}

/** One value of a vector as rows have it. */
export function valueAt(vector: Vector, type: DataType, row: number): RowValue {
  if (vector.valid !== null && vector.valid[row] === 0) return null;
  switch (vector.kind) {
    case 'number':
    case 'int32':
    case 'int64':
      return vector.values[row]!;
    case 'boolean':
      return vector.values[row] === 1;
    case 'string': {
      const text = decodeUtf8(vector.bytes, vector.offsets[row]!, vector.offsets[row + 1]!);
      return type.kind === 'json' ? (JSON.parse(text) as JsonValue) : text;
    }
  }
}

/** What is wrong with a row; `code` is as in a scanner's errors. */
export type RowError = {
  /** Index in the rows given. */
  readonly row: number;
  readonly code: 'json-type' | 'json-missing' | 'number-range' | 'time-range';
  readonly message: string;
  readonly field: string;
};

export type RowCheck = {
  readonly nowMs: number;
  /** An event time further than this beyond `nowMs`, or below 0, makes a bad row. */
  readonly timeAheadMsMax: number;
  /** Index of the event-time field, or -1. */
  readonly timeField: number;
  readonly onBad: (error: RowError) => void;
};

/** The good rows as a batch. Fields are looked up by their `path`. */
export function rowsToBatch(schema: RowSchema, rows: readonly unknown[], check: RowCheck): Batch {
  const builder = new BatchBuilder(schema, rows.length);
  appendRows(builder, rows, check);
  return builder.finish();
}

/**
 * Rows in TypeScript's form as a batch: members by column name, times as epoch milliseconds. For
 * tables and for what user functions give.
 */
export function rowObjectsToBatch(
  schema: RowSchema,
  rows: readonly RowObject[],
  onBad: (error: RowError) => void,
): Batch {
  const fields = schema.fields.map((field): Field => {
    const path = [field.name];
    const inMs = field.type.kind === 'timestamp';
    return { ...field, path, type: inMs ? { kind: 'timestamp', encoding: 'ms' } : field.type };
  });
  const check = { nowMs: 0, timeAheadMsMax: Infinity, timeField: -1, onBad };
  return { ...rowsToBatch({ fields }, rows, check), schema };
}

export function appendRows(builder: BatchBuilder, rows: readonly unknown[], check: RowCheck): void {
  for (let row = 0; row < rows.length; row++) {
    const problem = appendRow(builder, rows[row], check);
    if (problem === null) {
      builder.endRow();
      continue;
    }
    builder.dropOpenRow();
    check.onBad({ row, ...problem });
  }
}

type Problem = Omit<RowError, 'row'>;

function appendRow(builder: BatchBuilder, row: unknown, check: RowCheck): Problem | null {
  const { fields } = builder.schema;
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index]!;
    const value = lookUp(row, field.path);
    const code =
      value === null || value === undefined
        ? appendMissing(builder.columns[index]!, field)
        : appendEncoded(builder.columns[index]!, field.type, value);
    if (code !== null) return { code, message: describe(code, field, value), field: field.name };
    if (index === check.timeField && !isTimely(builder.columns[index]!, check)) {
      const message = describe('time-range', field, value);
      return { code: 'time-range', message, field: field.name };
    }
  }
  return null;
}

function lookUp(row: unknown, path: readonly string[]): unknown {
  let value = row;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) {
      return undefined;
    }
    value = (value as { readonly [name: string]: unknown })[name];
  }
  return value;
}

function appendMissing(column: BuilderColumn, field: Field): RowError['code'] | null {
  if (!field.nullable) return 'json-missing';
  column.appendNull();
  return null;
}

function isTimely(column: BuilderColumn, check: RowCheck): boolean {
  const last = column.count - 1;
  if (column.kind !== 'number' || column.valid[last] === 0) return true;
  const time = column.values[last]!;
  return time >= 0 && time <= check.nowMs + check.timeAheadMsMax;
}

type ValueProblem = 'json-type' | 'number-range' | null;

/** Appends a value as a record writes it: a time is a number or text in the column's encoding. */
function appendEncoded(column: BuilderColumn, type: DataType, value: unknown): ValueProblem {
  if (type.kind !== 'timestamp') return appendValue(column, type, value);
  const time = timeOf(value, type.encoding);
  return time === null ? 'json-type' : appendValue(column, type, time);
}

/**
 * Appends a value as a row in TypeScript has it, neither null nor undefined, and gives null; or
 * appends nothing and says what is wrong with it. A time is a number of epoch milliseconds.
 */
export function appendValue(column: BuilderColumn, type: DataType, value: unknown): ValueProblem {
  switch (type.kind) {
    case 'boolean':
      if (typeof value !== 'boolean') return 'json-type';
      (column as { appendBoolean(value: boolean): void }).appendBoolean(value);
      return null;
    case 'int32':
      if (typeof value !== 'number') return 'json-type';
      if ((value | 0) !== value) return 'number-range';
      (column as { appendNumber(value: number): void }).appendNumber(value);
      return null;
    case 'int64':
      return appendInt64(column as { appendBigint(value: bigint): void }, value);
    case 'float64':
      if (typeof value !== 'number') return 'json-type';
      (column as { appendNumber(value: number): void }).appendNumber(value);
      return null;
    case 'timestamp': {
      if (typeof value !== 'number') return 'json-type';
      const time = whole(value, 'ms');
      if (Number.isNaN(time)) return 'number-range';
      (column as { appendNumber(value: number): void }).appendNumber(time);
      return null;
    }
    case 'string':
      if (typeof value !== 'string') return 'json-type';
      appendText(column as SpanSink, value);
      return null;
    case 'json': {
      const text = jsonText(value);
      if (text === undefined) return 'json-type';
      appendText(column as SpanSink, text);
      return null;
    }
    default:
      return unreachable(type);
  }
}

function appendInt64(column: { appendBigint(value: bigint): void }, value: unknown): ValueProblem {
  if (typeof value === 'bigint') {
    if (BigInt.asIntN(64, value) !== value) return 'number-range';
    column.appendBigint(value);
    return null;
  }
  if (typeof value !== 'number') return 'json-type';
  if (!Number.isSafeInteger(value)) return 'number-range';
  column.appendBigint(BigInt(value));
  return null;
}

/** Epoch ms; null for what is no time, NaN for one that is out of range. */
function timeOf(value: unknown, encoding: TimeEncoding): number | null {
  if (typeof value === 'number') return whole(value, encoding);
  if (typeof value === 'string') return textTime(value, encoding);
  if (typeof value !== 'object' || value === null || !('getTime' in value)) return null;
  const time = typeof value.getTime === 'function' ? (value.getTime() as unknown) : null;
  return typeof time === 'number' ? whole(time, 'ms') : null;
}

/** As scanners read it: digits where the encoding has numbers, ISO 8601 where it has that. */
function textTime(text: string, encoding: TimeEncoding): number | null {
  if (encoding !== 'iso' && /^-?\d+$/.test(text)) return whole(Number(text), encoding);
  return encoding === 'iso' || encoding === 'auto' ? parseIso(text) : null;
}

/** A number as records of this encoding write it, in whole epoch ms; NaN when out of range. */
function whole(value: number, encoding: TimeEncoding): number {
  const time = Math.floor(
    encoding === 's' ? value * 1000 : encoding === 'us' ? value / 1000 : value,
  );
  // -0 would be another byte pattern for the same instant.
  return Math.abs(time) <= 8.64e15 ? time + 0 : NaN;
}

/** The value as JSON; undefined for what JSON cannot hold. */
export function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

type SpanSink = { appendSpan(source: Uint8Array, start: number, end: number): void };

let textBytes = new Uint8Array(1024);

/** Appends a JavaScript string to a string column. */
export function appendText(column: SpanSink, text: string): void {
  const most = utf8BytesMax(text);
  if (most > textBytes.length) textBytes = new Uint8Array(most * 2);
  column.appendSpan(textBytes, 0, encodeUtf8Into(text, textBytes, 0));
}

function describe(code: RowError['code'], field: Field, value: unknown): string {
  const column = `column "${field.name}"`;
  switch (code) {
    case 'json-missing':
      return `${column} is missing or null`;
    case 'json-type':
      return `${column} takes ${field.type.kind}, got ${show(value)}`;
    case 'number-range':
      return `${column} has ${show(value)}, which is out of range for ${field.type.kind}`;
    case 'time-range':
      return `${column} has ${show(value)}, which is no plausible event time`;
  }
}

function show(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  const text = jsonText(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
