// From a value that avsc has read to a row: which field a column is, and what becomes of its type.

import type Avsc from 'avsc';
import type { Type } from 'avsc';
import type { Field, JsonValue, RowSchema, RowValue } from '../../../schema/data-type.ts';
import { boundsCheckOf } from './avro-bounds.ts';
import { avroKind, describeAvro, instantUnits, plainKind } from './avro-library.ts';
import type { AnnotatedType, AvroLibrary } from './avro-library.ts';
import {
  bigintOfBytes,
  decimalInteger,
  decimalNumber,
  decimalText,
  exactNumber,
  floorMs,
  instantValue,
  jsonFloat,
  jsonInteger,
  setMember,
} from './exact-values.ts';
import { MismatchFound } from './format-errors.ts';
import type { RowReader } from './cached-readers.ts';

type Convert = (value: unknown) => RowValue;
type RecordType = Avsc.types.RecordType;
type UnionType = Avsc.types.WrappedUnionType;
type Members = { readonly [name: string]: unknown };

const dayMs = 86_400_000;

/**
 * Throws `MismatchFound` where the columns do not fit. `reader`: the user's own schema, to which
 * what was written is brought by Avro's rules; null: it is read as it was written.
 */
export function avroRowReader(
  library: AvroLibrary,
  writer: Type,
  { reader, schema }: { readonly reader: Type | null; readonly schema: RowSchema },
): RowReader {
  const read = reader ?? withoutUnused(library, writer, schema);
  const resolver = read === writer ? undefined : resolverOf(read, writer);
  const columns = schema.fields.map((field) => ({
    name: field.name,
    get: columnOf(read, field, schema.fields.length === 1),
  }));
  const check = boundsCheckOf(writer);
  return (value, start) => {
    check?.(value, start);
    const body = Buffer.from(value.buffer, value.byteOffset + start, value.length - start);
    const record = read.fromBuffer(body, resolver) as unknown;
    const row: { [name: string]: RowValue } = {};
    for (const { name, get } of columns) row[name] = get(record);
    return row;
  };
}

function resolverOf(reader: Type, writer: Type): ReturnType<Type['createResolver']> {
  try {
    return reader.createResolver(writer);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MismatchFound({
      what: `it cannot be read as the schema that is given: ${reason}`,
      hint: 'give a schema with defaults for what is missing, and types that Avro may promote',
      column: null,
      field: null,
    });
  }
}

/** The writer's record with only the fields that columns come from: others are skipped. */
function withoutUnused(library: AvroLibrary, writer: Type, { fields }: RowSchema): Type {
  if (avroKind(writer) !== 'record') return writer;
  const used = (writer as RecordType).fields.filter(({ name }) =>
    fields.some(({ path }) => path[0] === name),
  );
  if (used.length === (writer as RecordType).fields.length) return writer;
  // Of several branches the resolution takes the first that a value could be promoted to.
  const seen = new Set<Type>();
  if (used.some(({ type }) => hasWideUnion(type, seen))) return writer;
  return library.build({
    type: 'record',
    name: 'Used',
    aliases: writer.name === undefined ? [] : [writer.name],
    fields: used.map(({ name, type }) => ({ name, type })),
  });
}

function hasWideUnion(type: Type, seen: Set<Type>): boolean {
  if (seen.has(type)) return false;
  seen.add(type);
  switch (avroKind(type)) {
    case 'union': {
      const branches = branchesOf(type as UnionType);
      return branches.length > 1 || branches.some((branch) => hasWideUnion(branch, seen));
    }
    case 'record':
      return (type as RecordType).fields.some((field) => hasWideUnion(field.type, seen));
    case 'array':
      return hasWideUnion((type as Avsc.types.ArrayType).itemsType, seen);
    case 'map':
      return hasWideUnion((type as Avsc.types.MapType).valuesType as Type, seen);
    default:
      return false;
  }
}

/** Without null. */
export function branchesOf({ types }: UnionType): readonly Type[] {
  return types.filter((branch) => branch.typeName !== 'null');
}

/** A value that is no record, as keys often are, is the only column's. */
function columnOf(type: Type, field: Field, isOnly: boolean): Convert {
  const isRow = ['record', 'map'].includes(avroKind(type)) || holdsRecord(type);
  return at(type, { field, path: isRow || !isOnly ? field.path : [], depth: 0 });
}

function holdsRecord(type: Type): boolean {
  return (
    avroKind(type) === 'union' &&
    branchesOf(type as UnionType).some((branch) => avroKind(branch) === 'record')
  );
}

type Sought = { readonly field: Field; readonly path: readonly string[]; readonly depth: number };

/** The value at a path below a type. */
function at(type: Type, { field, path, depth }: Sought): Convert {
  const name = path[depth];
  if (name === undefined) return converted(type, field, path);
  const next = { field, path, depth: depth + 1 };
  switch (avroKind(type)) {
    case 'record': {
      const member = (type as RecordType).fields.find((other) => other.name === name);
      if (member === undefined) return missing(type, { field, path, depth });
      const inner = at(member.type, next);
      return (value) => inner((value as Members)[name]);
    }
    case 'map': {
      const inner = at((type as Avsc.types.MapType).valuesType as Type, next);
      return (value) =>
        Object.hasOwn(value as object, name) ? inner((value as Members)[name]) : null;
    }
    case 'union': {
      const branches = branchesOf(type as UnionType);
      if (branches.length !== 1) break;
      const branchName = branches[0]!.branchName!;
      const inner = at(branches[0]!, { field, path, depth });
      return (value) => (value === null ? null : inner((value as Members)[branchName]));
    }
  }
  throw misfit(type, field, path.slice(0, depth));
}

function missing(type: Type, { field, path, depth }: Sought): Convert {
  if (field.nullable) return () => null;
  const names = (type as RecordType).fields.map((other) => other.name).join(', ');
  throw new MismatchFound({
    what:
      `column "${field.name}" of ${field.type.kind} is not there: ` +
      `the record "${type.name ?? ''}" has no field "${path[depth] ?? ''}"`,
    hint:
      `its fields are ${names}; declare the column .nullable(), ` +
      'or give a `schema` with a default',
    column: field.name,
    field: path.slice(0, depth + 1).join('.'),
  });
}

function misfit(type: Type, field: Field, path: readonly string[]): MismatchFound {
  const place = path.length === 0 ? 'the whole value' : `the field "${path.join('.')}"`;
  const shown = describeAvro(type);
  return new MismatchFound({
    what: `column "${field.name}" is declared ${field.type.kind}, ${place} is ${shown}`,
    hint: `declare it as a type that holds ${shown}: see docs/kafka-formats.md`,
    column: field.name,
    field: path.length === 0 ? null : path.join('.'),
  });
}

function converted(type: Type, field: Field, path: readonly string[]): Convert {
  const convert = converterOf(type, field);
  if (convert !== null) return convert;
  throw misfit(type, field, path);
}

/** Null: a column of this type takes no such values. */
function converterOf(type: Type, field: Field): Convert | null {
  const { kind } = field.type;
  if (kind === 'json') return jsonOf(type, new Map());
  if (avroKind(type) === 'union') return unionConverter(type as UnionType, field);
  switch (avroKind(type)) {
    case 'null':
      return field.nullable ? same : null;
    case 'boolean':
      return kind === 'boolean' ? same : null;
    case 'int':
      if (kind === 'int64') return toBigint;
      if (kind === 'timestamp') return field.type.encoding === 'iso' ? null : same;
      return kind === 'int32' || kind === 'float64' ? same : null;
    case 'long':
      if (kind === 'int64') return toBigint;
      if (kind === 'timestamp') return field.type.encoding === 'iso' ? null : toNumber;
      return kind === 'float64' ? toNumber : null;
    case 'float':
    case 'double':
      return kind === 'float64' ? same : null;
    case 'string':
      return kind === 'string' || kind === 'timestamp' ? same : null;
    case 'enum':
      return kind === 'string' ? same : null;
    case 'bytes':
    case 'fixed':
      return kind === 'string' ? toBase64 : null;
    default:
      return logicalConverter(type as AnnotatedType, field);
  }
}

function logicalConverter(type: AnnotatedType, { type: column }: Field): Convert | null {
  const { logical } = type;
  const { kind } = column;
  if (logical === 'uuid') {
    if (kind !== 'string') return null;
    return plainKind(type) === 'string' ? same : (value) => uuidText(value as Uint8Array);
  }
  if (logical === 'decimal') {
    const { scale } = type.decimal;
    const unscaled = (value: unknown): bigint => bigintOfBytes(value as Uint8Array);
    if (kind === 'string') return (value) => decimalText(unscaled(value), scale);
    if (kind === 'float64') return (value) => decimalNumber(unscaled(value), scale);
    return kind === 'int64' ? (value) => decimalInteger(unscaled(value), scale) : null;
  }
  if (logical === 'date') {
    if (kind === 'timestamp') return (value) => instantValue((value as number) * dayMs, column);
    if (kind === 'string') return dateText;
    if (kind === 'int64') return toBigint;
    return kind === 'int32' ? same : null;
  }
  const unit = instantUnits[logical as keyof typeof instantUnits];
  if (kind === 'timestamp') {
    if (unit === 1n) return (value) => instantValue(Number(value as number | bigint), column);
    return (value) => instantValue(floorMs(value as number | bigint, unit), column);
  }
  return kind === 'int64' ? toBigint : null;
}

function unionConverter(type: UnionType, field: Field): Convert | null {
  const branches = branchesOf(type);
  const [only] = branches;
  if (only === undefined) return field.nullable ? same : null;
  const converters = branches.map(
    (branch) => [branch.branchName!, converterOf(branch, field)] as const,
  );
  if (converters.some(([, convert]) => convert === null)) return null;
  const byName = new Map(converters) as Map<string, Convert>;
  if (branches.length === 1) {
    const [[name, convert]] = [...byName] as [[string, Convert]];
    return (value) => (value === null ? null : convert((value as Members)[name]));
  }
  return (value) => {
    if (value === null) return null;
    const [[name, inside]] = Object.entries(value as Members) as [[string, unknown]];
    return byName.get(name)!(inside);
  };
}

/** Any value as JSON; schemas may be rings. */
function jsonOf(type: Type, known: Map<Type, Convert>): Convert {
  const found = known.get(type);
  if (found !== undefined) return found;
  known.set(type, (value) => known.get(type)!(value));
  const made = makeJson(type, (of) => jsonOf(of, known));
  known.set(type, made);
  return made;
}

function makeJson(type: Type, of: (type: Type) => Convert): Convert {
  switch (avroKind(type)) {
    case 'long':
      return (value) => jsonInteger(value as number | bigint);
    case 'float':
    case 'double':
      return (value) => jsonFloat(value as number);
    case 'bytes':
    case 'fixed':
      return toBase64;
    case 'date':
      return dateText;
    case 'decimal': {
      const { scale } = (type as AnnotatedType).decimal;
      return (value) => decimalText(bigintOfBytes(value as Uint8Array), scale);
    }
    case 'uuid':
      return plainKind(type) === 'string' ? same : (value) => uuidText(value as Uint8Array);
    case 'array': {
      const item = of((type as Avsc.types.ArrayType).itemsType);
      return (value) => (value as readonly unknown[]).map((each) => item(each) as JsonValue);
    }
    case 'map': {
      const member = of((type as Avsc.types.MapType).valuesType as Type);
      return (value) => objectOf(Object.entries(value as Members), () => member);
    }
    case 'record': {
      const members = new Map(
        (type as RecordType).fields.map((field) => [field.name, of(field.type)] as const),
      );
      return (value) => {
        const names = [...members.keys()];
        const entries = names.map((name) => [name, (value as Members)[name]] as const);
        return objectOf(entries, (name) => members.get(name)!);
      };
    }
    case 'union': {
      const branches = new Map(
        branchesOf(type as UnionType).map((branch) => [branch.branchName!, of(branch)] as const),
      );
      return (value) => {
        if (value === null) return null;
        const [[name, inside]] = Object.entries(value as Members) as [[string, unknown]];
        return branches.get(name)!(inside);
      };
    }
    default:
      // Instants are the numbers that were written, in the writer's unit.
      return plainKind(type) === 'long' ? (value) => jsonInteger(value as number | bigint) : same;
  }
}

function objectOf(
  entries: readonly (readonly [name: string, value: unknown])[],
  convertOf: (name: string) => Convert,
): RowValue {
  const object: { [name: string]: unknown } = {};
  for (const [name, value] of entries) setMember(object, name, convertOf(name)(value));
  return object as RowValue;
}

function same(value: unknown): RowValue {
  return value as RowValue;
}

function toBigint(value: unknown): RowValue {
  return BigInt(value as number | bigint);
}

function toNumber(value: unknown): RowValue {
  return exactNumber(value as number | bigint);
}

function toBase64(value: unknown): RowValue {
  return Buffer.from(value as Uint8Array).toString('base64');
}

function dateText(value: unknown): RowValue {
  return new Date((value as number) * dayMs).toISOString().replace(/T.*$/, '');
}

function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
