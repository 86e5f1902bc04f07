// From a row to the bytes of a message, by the schema's fields.

import type { Enum, Field as ProtoField, Type } from 'protobufjs';
import type {
  Field,
  JsonValue,
  RowObject,
  RowSchema,
  RowValue,
} from '../../../schema/data-type.ts';
import { bytesOfBigint, unscaledOf } from './exact-values.ts';
import { MismatchFound, rowRefused } from './format-errors.ts';
import type { FormatPlace } from './format-errors.ts';
import { base64, isObject, shown } from './json-values.ts';
import { describeField, hasPresence, keyTypeOf, longOf, valueKindOf } from './protobuf-library.ts';
import { isNarrow, isWide } from './protobuf-reader.ts';

export type MessageWriter = (row: RowObject) => Uint8Array;

type Convert = (value: RowValue) => unknown;
type Fill = (row: RowObject, message: { [name: string]: unknown }) => void;

/** Throws `MismatchFound` where the columns do not fit. */
export function protobufRowWriter(
  type: Type,
  schema: RowSchema,
  place: FormatPlace,
): MessageWriter {
  const used = new Set<Field>();
  const fill = messageOf(type, '', { schema, used, place, isOptional: false });
  const unused = schema.fields.find((field) => !used.has(field));
  if (unused !== undefined) {
    throw new MismatchFound({
      what: `it has no field for column "${unused.name}" of ${unused.type.kind}`,
      hint: 'add the field to the schema, or leave the column out before the sink',
      column: unused.name,
      field: null,
    });
  }
  return (row) => {
    const message: { [name: string]: unknown } = {};
    fill(row, message);
    return type.encode(message).finish();
  };
}

type Scope = {
  readonly schema: RowSchema;
  readonly used: Set<Field>;
  readonly place: FormatPlace;
  /** What is around may be left out as a whole, so columns that may be null do fit. */
  readonly isOptional: boolean;
};

function messageOf(type: Type, prefix: string, scope: Scope): Fill {
  const fills = type.fieldsArray.flatMap((field) => memberOf(field, prefix, scope) ?? []);
  return (row, message) => {
    for (const fill of fills) fill(row, message);
  };
}

/** Null: no column, so the field is left out. */
function memberOf(field: ProtoField, prefix: string, scope: Scope): Fill | null {
  const name = prefix + field.name;
  const column = scope.schema.fields.find((other) => other.name === name);
  if (column !== undefined) return columnOf(field, column, scope);
  const below = scope.schema.fields.filter((other) => other.name.startsWith(`${name}.`));
  if (below.length > 0) return nestedOf(field, { name, below }, scope);
  if (!field.required) return null;
  throw new MismatchFound({
    what: `the rows have no column "${name}" for the required field of ${describeField(field)}`,
    hint: 'add the column',
    column: null,
    field: name,
  });
}

/** Columns called `user.id` and so on; where all of them are null the message is left out. */
function nestedOf(
  field: ProtoField,
  { name, below }: { readonly name: string; readonly below: readonly Field[] },
  scope: Scope,
): Fill {
  const value = valueKindOf(field);
  if (field.repeated || field.map || value.kind !== 'message') throw misfit(field, below[0]!, name);
  const fill = messageOf(value.of, `${name}.`, { ...scope, isOptional: true });
  return (row, message) => {
    if (below.every((column) => (row[column.name] ?? null) === null)) return;
    const inner: { [name: string]: unknown } = {};
    fill(row, inner);
    message[field.name] = inner;
  };
}

function columnOf(field: ProtoField, column: Field, scope: Scope): Fill {
  const { name, nullable } = column;
  const convert = fieldConverter(field, column);
  if (convert === null) throw misfit(field, column, name);
  const isOptional =
    !field.required && (hasPresence(field) || field.repeated || Boolean(field.map));
  if (nullable && !isOptional && !scope.isOptional) {
    throw new MismatchFound({
      what: `column "${name}" may be null, its field of ${describeField(field)} may not be absent`,
      hint: 'make the field `optional`, or replace nulls before the sink',
      column: name,
      field: name,
    });
  }
  scope.used.add(column);
  const { place } = scope;
  return (row, message) => {
    const value = row[name] ?? null;
    if (value === null) {
      if (nullable && isOptional) return;
      throw rowRefused(place, name, 'it is null');
    }
    try {
      message[field.name] = convert(value);
    } catch (error) {
      throw rowRefused(place, name, error);
    }
  };
}

function misfit(field: ProtoField, { name, type: { kind } }: Field, path: string): MismatchFound {
  return new MismatchFound({
    what: `column "${name}" is ${kind}, the field "${path}" is ${describeField(field)}`,
    hint: 'convert the column before the sink, or change the schema: see docs/kafka-formats.md',
    column: name,
    field: path,
  });
}

/** Null: this field does not take such columns. */
function fieldConverter(field: ProtoField, column: Field): Convert | null {
  const { kind } = column.type;
  if (kind === 'json') {
    const value = valueKindOf(field);
    const isText = !field.repeated && !field.map && value.kind === 'scalar';
    if (isText && value.name === 'string') return (json) => JSON.stringify(json);
    return (json) => memberFromJson(field, json as JsonValue);
  }
  if (field.repeated || field.map) return null;
  const value = valueKindOf(field);
  switch (value.kind) {
    case 'scalar':
      return scalarConverter(value.name, kind);
    case 'wrapper': {
      const inner = scalarConverter(value.name, kind);
      return inner === null ? null : (scalar) => ({ value: inner(scalar) });
    }
    case 'enum':
      if (kind === 'int32') return (number) => number;
      return kind === 'string' ? (name) => enumNumber(value.of, name as JsonValue) : null;
    case 'timestamp':
      return kind === 'timestamp' ? (ms) => timestampOf(BigInt(ms as number) * 1_000_000n) : null;
    case 'decimal':
      return kind === 'string' || kind === 'int64' || kind === 'int32' || kind === 'float64'
        ? (decimal) => decimalOf(String(decimal))
        : null;
    default:
      return null;
  }
}

function scalarConverter(scalar: string, kind: string): Convert | null {
  if (isWide(scalar)) {
    const takes = kind === 'int32' || kind === 'int64' || kind === 'timestamp';
    return takes ? (value) => integerOf(scalar, value as JsonValue | bigint) : null;
  }
  if (isNarrow(scalar)) {
    return kind === 'int32' ? (value) => integerOf(scalar, value as JsonValue) : null;
  }
  switch (scalar) {
    case 'bool':
      return kind === 'boolean' ? (value) => value : null;
    case 'float':
    case 'double':
      return kind === 'float64' || kind === 'int32' ? (value) => value : null;
    case 'string':
      return kind === 'string' ? (value) => value : null;
    case 'bytes':
      return kind === 'string' ? (value) => base64(value as JsonValue) : null;
    default:
      return null;
  }
}

function integerOf(scalar: string, value: JsonValue | bigint): unknown {
  const isUnsigned = scalar.startsWith('u') || scalar.startsWith('f');
  const bits = isWide(scalar) ? 64 : 32;
  const text = typeof value === 'string' || typeof value === 'bigint' || isExact(value);
  if (!text || !/^-?\d+$/.test(String(value))) throw new Error(`${shown(value)} is no ${scalar}`);
  const wide = BigInt(value as string | number | bigint);
  const fits = isUnsigned ? BigInt.asUintN(bits, wide) : BigInt.asIntN(bits, wide);
  if (fits !== wide) throw new Error(`${wide} is out of range for ${scalar}`);
  return bits === 64 ? longOf(wide, isUnsigned) : Number(wide);
}

function isExact(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value);
}

/** A field's value from JSON, with its repetition. */
function memberFromJson(field: ProtoField, json: JsonValue): unknown {
  if (field.map) {
    if (!isObject(json)) throw new Error(`${shown(json)} is no object`);
    return Object.fromEntries(
      Object.entries(json).map(([key, value]) => [
        checkedKey(keyTypeOf(field), key),
        valueFromJson(field, value),
      ]),
    );
  }
  if (field.repeated) {
    if (!Array.isArray(json)) throw new Error(`${shown(json)} is no array`);
    return (json as readonly JsonValue[]).map((item) => valueFromJson(field, item));
  }
  return valueFromJson(field, json);
}

/** protobufjs writes a key that is no number as a zero. */
function checkedKey(type: string, key: string): string {
  if (isWide(type) || isNarrow(type)) integerOf(type, key);
  if (type === 'bool' && key !== 'true' && key !== 'false') {
    throw new Error(`${shown(key)} is no bool`);
  }
  return key;
}

function valueFromJson(field: ProtoField, json: JsonValue): unknown {
  const value = valueKindOf(field);
  switch (value.kind) {
    case 'scalar':
      return scalarFromJson(value.name, json);
    case 'wrapper':
      return { value: scalarFromJson(value.name, json) };
    case 'enum':
      return enumNumber(value.of, json);
    case 'timestamp':
      return timestampOf(nanosOf(json));
    case 'decimal':
      return decimalOf(String(json));
    case 'struct':
      return structOf(json);
    case 'struct-value':
      return structValueOf(json);
    case 'struct-list':
      return structListOf(json);
    case 'message':
      return messageFromJson(value.of, json);
  }
}

function messageFromJson(type: Type, json: JsonValue): unknown {
  if (!isObject(json)) throw new Error(`${shown(json)} is no object`);
  const message: { [name: string]: unknown } = {};
  for (const [name, value] of Object.entries(json)) {
    const field = type.fields[name];
    if (field === undefined) throw new Error(`${type.name} has no field "${name}"`);
    if (value !== null) message[name] = memberFromJson(field, value);
  }
  return message;
}

function scalarFromJson(scalar: string, json: JsonValue): unknown {
  if (isWide(scalar) || isNarrow(scalar)) return integerOf(scalar, json);
  switch (scalar) {
    case 'bytes':
      return base64(json);
    case 'float':
    case 'double':
      if (typeof json === 'string' && /^(NaN|-?Infinity)$/.test(json)) return Number(json);
      return expected(json, 'number', scalar);
    case 'bool':
      return expected(json, 'boolean', scalar);
    default:
      return expected(json, 'string', scalar);
  }
}

function expected(json: JsonValue, kind: string, scalar: string): JsonValue {
  if (typeof json === kind) return json;
  throw new Error(`${shown(json)} is no ${scalar}`);
}

function enumNumber(of: Enum, value: JsonValue): number {
  if (typeof value === 'number') return value;
  const number = of.values[String(value)];
  if (number !== undefined) return number;
  // As sources read a number without a name.
  if (/^-?\d{1,10}$/.test(String(value))) return Number(value);
  throw new Error(`${shown(value)} is none of ${Object.keys(of.values).join(', ')}`);
}

function timestampOf(nanos: bigint): object {
  const unit = 1_000_000_000n;
  const rest = ((nanos % unit) + unit) % unit;
  return { seconds: longOf((nanos - rest) / unit, false), nanos: Number(rest) };
}

function nanosOf(json: JsonValue): bigint {
  const match = /^(.*T\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(String(json));
  const ms = match === null ? NaN : Date.parse(`${match[1]!}${match[3]!}`);
  if (Number.isNaN(ms)) throw new Error(`${shown(json)} is no time`);
  return BigInt(ms) * 1_000_000n + BigInt((match![2] ?? '0').padEnd(9, '0'));
}

function decimalOf(text: string): object {
  const scale = /\.(\d+)/.exec(text)?.[1]?.length ?? 0;
  const unscaled = unscaledOf(text, scale);
  if (unscaled === null) throw new Error(`"${text}" is no decimal of scale ${scale}`);
  const precision = String(unscaled).replace('-', '').length;
  return { value: bytesOfBigint(unscaled, null), precision, scale };
}

function structOf(json: JsonValue): object {
  if (!isObject(json)) throw new Error(`${shown(json)} is no object`);
  const entries = Object.entries(json).map(
    ([name, value]) => [name, structValueOf(value)] as const,
  );
  return { fields: Object.fromEntries(entries) };
}

function structListOf(json: JsonValue): object {
  if (!Array.isArray(json)) throw new Error(`${shown(json)} is no array`);
  return { values: (json as readonly JsonValue[]).map(structValueOf) };
}

function structValueOf(json: JsonValue): object {
  if (json === null) return { nullValue: 0 };
  if (typeof json === 'number') return { numberValue: json };
  if (typeof json === 'string') return { stringValue: json };
  if (typeof json === 'boolean') return { boolValue: json };
  return Array.isArray(json) ? { listValue: structListOf(json) } : { structValue: structOf(json) };
}
