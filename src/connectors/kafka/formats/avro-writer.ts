// From a row to a value that avsc writes, by the schema's types; and a schema made of columns.

import type Avsc from 'avsc';
import type { Type } from 'avsc';
import type {
  Field,
  JsonValue,
  RowObject,
  RowSchema,
  RowValue,
} from '../../../schema/data-type.ts';
import { avroKind, describeAvro, instantUnits, plainKind } from './avro-library.ts';
import type { AnnotatedType } from './avro-library.ts';
import { branchesOf } from './avro-reader.ts';
import { bytesOfBigint, unscaledOf } from './exact-values.ts';
import { MismatchFound, rowRefused } from './format-errors.ts';
import type { FormatPlace } from './format-errors.ts';
import { base64, isObject, shown } from './json-values.ts';

export type RowWriter = (row: RowObject) => Uint8Array;

type Convert = (value: RowValue) => unknown;
type Build = (row: RowObject) => unknown;
type RecordType = Avsc.types.RecordType;
type UnionType = Avsc.types.WrappedUnionType;

const dayMs = 86_400_000;

/** Throws `MismatchFound` where the columns do not fit. */
export function avroRowWriter(type: Type, schema: RowSchema, place: FormatPlace): RowWriter {
  const used = new Set<Field>();
  const build = rootOf(type, { schema, used, place, isOptional: false });
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
    const value = build(row);
    try {
      return type.toBuffer(value);
    } catch (error) {
      const problem = { path: '' };
      type.isValid(value, { errorHook: (path) => (problem.path = path.join('.')) });
      throw rowRefused(place, problem.path, error);
    }
  };
}

type Scope = {
  readonly schema: RowSchema;
  readonly used: Set<Field>;
  readonly place: FormatPlace;
  /** What is around may be left out as a whole, so columns that may be null do fit. */
  readonly isOptional: boolean;
};

function rootOf(type: Type, scope: Scope): Build {
  const { fields } = scope.schema;
  const [only] = fields;
  if (avroKind(type) === 'record') return recordOf(type as RecordType, '', scope);
  if (fields.length === 1) return columnOf(type, only!, scope);
  throw new MismatchFound({
    what: `it is ${describeAvro(type)}, which holds one column, not ${fields.length}`,
    hint: 'use a record',
    column: null,
    field: null,
  });
}

function recordOf(type: RecordType, prefix: string, scope: Scope): Build {
  const members = type.fields.map((field) => ({
    name: field.name,
    build: memberOf(field, prefix, scope),
  }));
  return (row) => {
    const record: { [name: string]: unknown } = {};
    for (const { name, build } of members) record[name] = build(row);
    return record;
  };
}

function memberOf(field: Avsc.types.Field, prefix: string, scope: Scope): Build {
  const name = prefix + field.name;
  const column = scope.schema.fields.find((other) => other.name === name);
  if (column !== undefined) return columnOf(field.type, column, scope);
  const below = scope.schema.fields.filter((other) => other.name.startsWith(`${name}.`));
  if (below.length > 0) return nestedOf(field.type, { name, below }, scope);
  // avsc fills the default in.
  if (field.defaultValue() !== undefined) return () => undefined;
  if (takesNull(field.type)) return () => null;
  throw new MismatchFound({
    what: `the rows have no column "${name}" for the field of ${describeAvro(field.type)}`,
    hint: 'add the column, or give the field a default',
    column: null,
    field: name,
  });
}

/** Columns called `user.id` and so on; null where all of them are, if that is allowed. */
function nestedOf(
  type: Type,
  { name, below }: { readonly name: string; readonly below: readonly Field[] },
  scope: Scope,
): Build {
  if (avroKind(type) === 'record') return recordOf(type as RecordType, `${name}.`, scope);
  const branches = avroKind(type) === 'union' ? branchesOf(type as UnionType) : [];
  const [record] = branches;
  if (record === undefined || branches.length > 1 || avroKind(record) !== 'record') {
    throw misfit(type, below[0]!, name);
  }
  const nullable = takesNull(type);
  const build = recordOf(record as RecordType, `${name}.`, { ...scope, isOptional: nullable });
  const branchName = record.branchName!;
  return (row) => {
    const isNull = nullable && below.every((field) => (row[field.name] ?? null) === null);
    return isNull ? null : { [branchName]: build(row) };
  };
}

function columnOf(type: Type, column: Field, scope: Scope): Build {
  const { name, nullable } = column;
  const convert = converterOf(type, column);
  if (convert === null) throw misfit(type, column, name);
  if (nullable && !takesNull(type) && !scope.isOptional) {
    throw new MismatchFound({
      what: `column "${name}" may be null, its field of ${describeAvro(type)} may not`,
      hint: 'make the field a union with null, or replace nulls before the sink',
      column: name,
      field: name,
    });
  }
  scope.used.add(column);
  const { place } = scope;
  return (row) => {
    const value = row[name] ?? null;
    if (value === null && nullable) return null;
    try {
      return convert(value);
    } catch (error) {
      throw rowRefused(place, name, error);
    }
  };
}

function misfit(type: Type, { name, type: { kind } }: Field, field: string): MismatchFound {
  return new MismatchFound({
    what: `column "${name}" is ${kind}, the field "${field}" is ${describeAvro(type)}`,
    hint: 'convert the column before the sink, or change the schema: see docs/kafka-formats.md',
    column: name,
    field,
  });
}

function takesNull(type: Type): boolean {
  if (avroKind(type) === 'null') return true;
  return avroKind(type) === 'union' && (type as UnionType).types.some(takesNull);
}

/** Null: this type does not take such columns. */
function converterOf(type: Type, column: Field): Convert | null {
  const { kind } = column.type;
  if (avroKind(type) === 'union') {
    for (const branch of branchesOf(type as UnionType)) {
      const convert = converterOf(branch, column);
      if (convert === null) continue;
      const branchName = branch.branchName!;
      return (value) => ({ [branchName]: convert(value) });
    }
    return null;
  }
  if (kind === 'json') {
    if (avroKind(type) === 'string') return (value) => JSON.stringify(value);
    return (value) => fromJson(type, value as JsonValue);
  }
  switch (avroKind(type)) {
    case 'boolean':
      return kind === 'boolean' ? same : null;
    case 'int':
      return kind === 'int32' ? same : null;
    case 'long':
      return kind === 'int32' || kind === 'int64' || kind === 'timestamp' ? same : null;
    case 'float':
    case 'double':
      return kind === 'int32' || kind === 'float64' ? same : null;
    case 'string':
    case 'enum':
      return kind === 'string' ? same : null;
    case 'bytes':
    case 'fixed':
      return kind === 'string' ? base64 : null;
    case 'array':
    case 'map':
    case 'record':
    case 'null':
      return null;
    default:
      return logicalConverter(type as AnnotatedType, kind);
  }
}

function logicalConverter(type: AnnotatedType, kind: string): Convert | null {
  const { logical } = type;
  if (logical === 'uuid') {
    if (kind !== 'string') return null;
    return plainKind(type) === 'string' ? same : uuidBytes;
  }
  if (logical === 'decimal') {
    const takes = ['string', 'int32', 'int64', 'float64'].includes(kind);
    return takes ? (value) => decimalBytes(type, String(value)) : null;
  }
  if (logical === 'date') {
    if (kind === 'timestamp') return wholeDays;
    return kind === 'int32' ? same : null;
  }
  const unit = instantUnits[logical as keyof typeof instantUnits];
  if (kind === 'timestamp') {
    return unit === 1n ? same : (value) => BigInt(value as number) * unit;
  }
  return kind === 'int64' ? same : null;
}

/** JSON by a type's shape; throws where it does not fit. */
function fromJson(type: Type, value: JsonValue): unknown {
  switch (avroKind(type)) {
    case 'union': {
      if (value === null && takesNull(type)) return null;
      for (const branch of branchesOf(type as UnionType)) {
        const inside = attempt(() => fromJson(branch, value));
        if (inside !== undefined && branch.isValid(inside)) {
          return { [branch.branchName!]: inside };
        }
      }
      throw new Error(`${shown(value)} is none of ${describeAvro(type)}`);
    }
    case 'record': {
      if (!isObject(value)) throw new Error(`${shown(value)} is no object`);
      const { fields } = type as RecordType;
      return Object.fromEntries(
        fields.map((field) => {
          const member = Object.hasOwn(value, field.name) ? value[field.name] : undefined;
          if (member !== undefined) return [field.name, fromJson(field.type, member)];
          const isNull = field.defaultValue() === undefined && takesNull(field.type);
          return [field.name, isNull ? null : undefined];
        }),
      );
    }
    case 'map': {
      if (!isObject(value)) throw new Error(`${shown(value)} is no object`);
      const values = (type as Avsc.types.MapType).valuesType as Type;
      return Object.fromEntries(
        Object.entries(value).map(([name, member]) => [name, fromJson(values, member)]),
      );
    }
    case 'array': {
      if (!Array.isArray(value)) throw new Error(`${shown(value)} is no array`);
      const { itemsType } = type as Avsc.types.ArrayType;
      return (value as readonly JsonValue[]).map((item) => fromJson(itemsType, item));
    }
    case 'bytes':
    case 'fixed':
      return base64(value);
    case 'decimal':
      return decimalBytes(type as AnnotatedType, String(value));
    case 'float':
    case 'double':
      return typeof value === 'string' && /^(NaN|-?Infinity)$/.test(value) ? Number(value) : value;
    case 'uuid':
      return plainKind(type) === 'string' ? value : uuidBytes(value);
    case 'date':
      if (typeof value === 'string') return wholeDays(Date.parse(value));
      return value;
    default:
      // A long beyond the numbers that are exact is a string of its digits.
      if (plainKind(type) === 'long' && typeof value === 'string' && /^-?\d+$/.test(value)) {
        return BigInt(value);
      }
      return value;
  }
}

function attempt(action: () => unknown): unknown {
  try {
    return action();
  } catch {
    return undefined;
  }
}

function same(value: RowValue): unknown {
  return value;
}

function uuidBytes(value: RowValue): Buffer {
  const hex = String(value).replaceAll('-', '');
  if (/^[0-9a-fA-F]{32}$/.test(hex)) return Buffer.from(hex, 'hex');
  throw new Error(`${shown(value)} is no UUID`);
}

function wholeDays(value: RowValue): number {
  const days = (value as number) / dayMs;
  if (Number.isInteger(days)) return days;
  throw new Error(`${shown(value)} is no midnight, so a date would not hold it`);
}

function decimalBytes(type: AnnotatedType, text: string): Buffer {
  const { precision, scale } = type.decimal;
  const unscaled = unscaledOf(text, scale);
  if (unscaled === null) throw new Error(`"${text}" is no decimal of scale ${scale}`);
  const digits = String(unscaled).replace('-', '').length;
  const { underlyingType } = type;
  const isFixed = avroKind(underlyingType) === 'fixed';
  const size = isFixed ? (underlyingType as Avsc.types.FixedType).size : null;
  const bytes = digits > precision ? null : bytesOfBigint(unscaled, size);
  if (bytes === null) throw new Error(`"${text}" has more than ${precision} digits`);
  return bytes;
}

type Tree = Map<string, Field | Tree>;

/** A record for the columns; nullable ones default to null, so that they may go and come. */
export function avroSchemaOf({ fields }: RowSchema, name: string): string {
  const tree: Tree = new Map();
  for (const field of fields) {
    const parts = field.name.split('.');
    let level = tree;
    for (const part of parts.slice(0, -1)) {
      const next = level.get(part) ?? new Map<string, Field | Tree>();
      level.set(part, next);
      level = next as Tree;
    }
    level.set(parts.at(-1)!, field);
  }
  return JSON.stringify(recordSchema(tree, name.replaceAll(/[^A-Za-z0-9_]/g, '_')));
}

function recordSchema(tree: Tree, name: string): object {
  const called = /^\d/.test(name) ? `_${name}` : name;
  const fields = [...tree].map(([member, of]) => {
    if (of instanceof Map) return { name: member, type: recordSchema(of, `${called}_${member}`) };
    const type = columnSchema(of);
    return of.nullable
      ? { name: member, type: ['null', type], default: null }
      : { name: member, type };
  });
  return { type: 'record', name: called, fields };
}

function columnSchema({ name, type: { kind } }: Field): unknown {
  switch (kind) {
    case 'int32':
      return 'int';
    case 'int64':
      return 'long';
    case 'float64':
      return 'double';
    case 'timestamp':
      return { type: 'long', logicalType: 'timestamp-millis' };
    case 'json':
      throw new MismatchFound({
        what: `the shape of the JSON in column "${name}" is not known`,
        hint: 'give the `schema`, with a record, an array, a map or a string for the column',
        column: name,
        field: null,
      });
    default:
      return kind;
  }
}
