// From a message that protobufjs has read to a row: which field a column is, and what it becomes.

import type { Enum, Field as ProtoField, Type } from 'protobufjs';
import type { Field, JsonValue, RowSchema, RowValue } from '../../../schema/data-type.ts';
import {
  bigintOfBytes,
  decimalInteger,
  decimalNumber,
  decimalText,
  exactNumber,
  instantValue,
  jsonFloat,
  setMember,
} from './exact-values.ts';
import { MismatchFound } from './format-errors.ts';
import type { RowReader } from './cached-readers.ts';
import { describeField, hasPresence, valueKindOf, wideInteger } from './protobuf-library.ts';

type Convert = (value: unknown) => RowValue;
type Members = { readonly [name: string]: unknown };

const wide: ReadonlySet<string> = new Set(['int64', 'uint64', 'sint64', 'fixed64', 'sfixed64']);
const narrow: ReadonlySet<string> = new Set(['int32', 'uint32', 'sint32', 'fixed32', 'sfixed32']);

export function isWide(scalar: string): boolean {
  return wide.has(scalar);
}

export function isNarrow(scalar: string): boolean {
  return narrow.has(scalar);
}

/** Throws `MismatchFound` where the columns do not fit. */
export function protobufRowReader(type: Type, schema: RowSchema): RowReader {
  const columns = schema.fields.map((field) => ({ name: field.name, get: at(type, field, 0) }));
  return (value, start) => {
    const message = type.decode(value.subarray(start));
    const row: { [name: string]: RowValue } = {};
    for (const { name, get } of columns) row[name] = get(message);
    return row;
  };
}

/** The value of a column's path below a message. */
function at(type: Type, column: Field, depth: number): Convert {
  const { path } = column;
  const name = path[depth]!;
  const field = type.fields[name];
  if (field === undefined) return missing(type, column, depth);
  const isLast = depth === path.length - 1;
  if (isLast) return fieldValue(field, column);
  const below = valueKindOf(field);
  if (field.map) return throughMap(field, column, depth);
  if (field.repeated || below.kind !== 'message') throw misfit(field, column, depth);
  const inner = at(below.of, column, depth + 1);
  return (value) => (Object.hasOwn(value as object, name) ? inner((value as Members)[name]) : null);
}

function throughMap(field: ProtoField, column: Field, depth: number): Convert {
  const key = column.path[depth + 1]!;
  const below = valueKindOf(field);
  const isLast = depth + 1 === column.path.length - 1;
  const inner = isLast
    ? valueConverter(field, column)
    : below.kind === 'message'
      ? at(below.of, column, depth + 2)
      : null;
  if (inner === null) throw misfit(field, column, depth);
  return (value) => {
    const map = (value as { readonly [name: string]: Members })[field.name]!;
    return Object.hasOwn(map, key) ? inner(map[key]) : null;
  };
}

function missing(type: Type, column: Field, depth: number): Convert {
  if (column.nullable) return () => null;
  const names = type.fieldsArray.map(({ name }) => name).join(', ');
  const called = type.fullName.replace(/^\./, '');
  throw new MismatchFound({
    what:
      `column "${column.name}" of ${column.type.kind} is not there: the message "${called}" ` +
      `has no field "${column.path[depth]!}"`,
    hint: `its fields are ${names}; declare the column .nullable() to read it as null`,
    column: column.name,
    field: column.path.slice(0, depth + 1).join('.'),
  });
}

function misfit(field: ProtoField, column: Field, depth: number): MismatchFound {
  const place = column.path.slice(0, depth + 1).join('.');
  const type = describeField(field);
  const declared = `column "${column.name}" is declared ${column.type.kind}`;
  return new MismatchFound({
    what: `${declared}, the field "${place}" is ${type}`,
    hint: `declare the column as a type that holds ${type}: see docs/kafka-formats.md`,
    column: column.name,
    field: place,
  });
}

/** The value of a field in its message; null where it tracks presence and is absent. */
function fieldValue(field: ProtoField, column: Field): Convert {
  const { name } = field;
  if (field.repeated || field.map) {
    if (column.type.kind !== 'json') throw misfit(field, column, column.path.length - 1);
    return jsonMember(field, new Map());
  }
  const convert = valueConverter(field, column);
  if (convert === null) throw misfit(field, column, column.path.length - 1);
  if (!hasPresence(field) || hasOwnDefault(field)) {
    return (value) => convert((value as Members)[name]);
  }
  return (value) =>
    Object.hasOwn(value as object, name) ? convert((value as Members)[name]) : null;
}

/** Of proto2: `[default = …]`. */
function hasOwnDefault({ options }: ProtoField): boolean {
  return options?.['default'] !== undefined;
}

/** Null: a column of this type takes no such values. */
function valueConverter(field: ProtoField, column: Field): Convert | null {
  const { kind } = column.type;
  if (kind === 'json') return jsonValue(field, new Map());
  const value = valueKindOf(field);
  switch (value.kind) {
    case 'scalar':
      return scalarConverter(value.name, column);
    case 'wrapper': {
      const inner = scalarConverter(value.name, column);
      return inner === null ? null : (wrapped) => inner((wrapped as Members)['value']);
    }
    case 'enum':
      if (kind === 'string') return enumName(value.of);
      return kind === 'int32' ? same : null;
    case 'timestamp':
      if (kind === 'timestamp') return (time) => instantValue(msOf(time), column.type);
      return kind === 'string' ? instantText : null;
    case 'decimal':
      if (kind === 'string') return (decimal) => decimalText(...partsOf(decimal));
      if (kind === 'float64') return (decimal) => decimalNumber(...partsOf(decimal));
      return kind === 'int64' ? (decimal) => decimalInteger(...partsOf(decimal)) : null;
    default:
      return null;
  }
}

function scalarConverter(scalar: string, { type: column }: Field): Convert | null {
  const { kind } = column;
  const isCount = kind === 'timestamp' && column.encoding !== 'iso';
  if (wide.has(scalar)) {
    if (kind === 'int64') return wideInteger;
    return kind === 'float64' || isCount ? (value) => exactNumber(wideInteger(value)) : null;
  }
  if (narrow.has(scalar)) {
    if (kind === 'int64') return wideInteger;
    if (kind === 'int32' && scalar !== 'uint32' && scalar !== 'fixed32') return same;
    return kind === 'float64' || isCount ? same : null;
  }
  switch (scalar) {
    case 'bool':
      return kind === 'boolean' ? same : null;
    case 'float':
    case 'double':
      return kind === 'float64' ? same : null;
    case 'string':
      return kind === 'string' || kind === 'timestamp' ? same : null;
    case 'bytes':
      return kind === 'string' ? base64 : null;
    default:
      return null;
  }
}

/** A field of a message as JSON, with its repetition. */
function jsonMember(field: ProtoField, known: Map<Type, Convert>): Convert {
  const { name } = field;
  const convert = jsonValue(field, known);
  if (field.map) {
    return (message) => {
      const object: { [name: string]: unknown } = {};
      const map = (message as { readonly [name: string]: Members })[name]!;
      for (const [key, value] of Object.entries(map)) setMember(object, key, convert(value));
      return object as RowValue;
    };
  }
  if (field.repeated) {
    return (message) => {
      const items = (message as { readonly [name: string]: readonly unknown[] })[name]!;
      return items.map((item) => convert(item) as JsonValue);
    };
  }
  if (!hasPresence(field) || hasOwnDefault(field)) {
    return (message) => convert((message as Members)[name]);
  }
  return (message) =>
    Object.hasOwn(message as object, name) ? convert((message as Members)[name]) : null;
}

/** One value as in Protobuf's own JSON: 64-bit integers are strings, bytes base64. */
function jsonValue(field: ProtoField, known: Map<Type, Convert>): Convert {
  const value = valueKindOf(field);
  switch (value.kind) {
    case 'scalar':
      return jsonScalar(value.name);
    case 'wrapper': {
      const inner = jsonScalar(value.name);
      return (wrapped) => inner((wrapped as Members)['value']);
    }
    case 'enum':
      return enumName(value.of);
    case 'timestamp':
      return instantText;
    case 'decimal':
      return (decimal) => decimalText(...partsOf(decimal));
    case 'struct':
      return structJson;
    case 'struct-value':
      return structValueJson;
    case 'struct-list':
      return structListJson;
    case 'message':
      return jsonMessage(value.of, known);
  }
}

function jsonScalar(scalar: string): Convert {
  if (wide.has(scalar)) return (value) => String(wideInteger(value));
  if (scalar === 'float' || scalar === 'double') return (value) => jsonFloat(value as number);
  return scalar === 'bytes' ? base64 : same;
}

/** All fields, absent ones as null. Messages may be rings. */
function jsonMessage(type: Type, known: Map<Type, Convert>): Convert {
  const found = known.get(type);
  if (found !== undefined) return found;
  known.set(type, (message) => known.get(type)!(message));
  const members = type.fieldsArray.map((field) => [field.name, jsonMember(field, known)] as const);
  const made: Convert = (message) => {
    const object: { [name: string]: unknown } = {};
    for (const [name, get] of members) setMember(object, name, get(message));
    return object as RowValue;
  };
  known.set(type, made);
  return made;
}

function structJson(struct: unknown): RowValue {
  const object: { [name: string]: unknown } = {};
  const { fields } = struct as { readonly fields: Members };
  for (const [name, value] of Object.entries(fields)) {
    setMember(object, name, structValueJson(value));
  }
  return object as RowValue;
}

function structListJson(list: unknown): RowValue {
  const { values } = list as { readonly values: readonly unknown[] };
  return values.map((value) => structValueJson(value) as JsonValue);
}

function structValueJson(value: unknown): RowValue {
  const members = value as Members;
  if (Object.hasOwn(members, 'numberValue')) return jsonFloat(members['numberValue'] as number);
  if (Object.hasOwn(members, 'stringValue')) return members['stringValue'] as string;
  if (Object.hasOwn(members, 'boolValue')) return members['boolValue'] as boolean;
  if (Object.hasOwn(members, 'structValue')) return structJson(members['structValue']);
  return Object.hasOwn(members, 'listValue') ? structListJson(members['listValue']) : null;
}

/** A number that the schema has no name for is its digits. */
function enumName({ valuesById }: Enum): Convert {
  return (value) => valuesById[value as number] ?? String(value);
}

function same(value: unknown): RowValue {
  return value as RowValue;
}

function base64(value: unknown): RowValue {
  return Buffer.from(value as Uint8Array).toString('base64');
}

function msOf(time: unknown): number {
  const { seconds, nanos } = time as { readonly seconds: unknown; readonly nanos: number };
  return Number(wideInteger(seconds)) * 1000 + Math.floor(nanos / 1e6);
}

/** RFC 3339, with the nanoseconds that a Date has no room for. */
function instantText(time: unknown): RowValue {
  const { seconds, nanos } = time as { readonly seconds: unknown; readonly nanos: number };
  const whole = new Date(Number(wideInteger(seconds)) * 1000)
    .toISOString()
    .slice(0, -'.000Z'.length);
  if (nanos === 0) return `${whole}Z`;
  const digits = String(nanos)
    .padStart(9, '0')
    .replace(/(?:000){1,2}$/, '');
  return `${whole}.${digits}Z`;
}

function partsOf(decimal: unknown): [unscaled: bigint, scale: number] {
  const { value, scale } = decimal as { readonly value: Uint8Array; readonly scale: number };
  // A scale beyond these would make a text of megabytes from a few broken bytes.
  if (scale < 0 || scale > 1_000) throw new Error(`a decimal has the scale ${scale}`);
  return [bigintOfBytes(value), scale];
}
