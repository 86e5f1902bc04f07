// Schemas as types of the package avsc: longs without rounding, logical types kept visible, and no
// name that could become code, for avsc makes functions of names.
//
// Why avsc (5.7.9): the one widely used Avro library for JavaScript that resolves schemas; small,
// no dependencies. It is kept slowly, and two faults are worked around, here and in avro-bounds.ts:
// its own longs are wrong beyond 2^52, and counts in broken bytes are believed.

import type Avsc from 'avsc';
import type { Type } from 'avsc';
import { optionalPackage } from './format-errors.ts';
import type { ReferencedSchema } from './schema-registry.ts';

export type AvroLibrary = {
  /** Throws where the text is no schema. */
  parse(text: string, references?: readonly ReferencedSchema[]): Type;
  /** A schema that may hold types in place. */
  build(schema: unknown): Type;
};

/** Logical types that columns know; others are read as what they are made of. */
export const instantUnits = {
  'timestamp-millis': 1n,
  'timestamp-micros': 1_000n,
  'timestamp-nanos': 1_000_000n,
  'local-timestamp-millis': 1n,
  'local-timestamp-micros': 1_000n,
  'local-timestamp-nanos': 1_000_000n,
} as const;

/** What a type annotated with a logical type may be made of. */
const madeOf: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ...Object.keys(instantUnits).map((name): [string, readonly string[]] => [name, ['long']]),
  ['date', ['int']],
  ['decimal', ['bytes', 'fixed']],
  ['uuid', ['string', 'fixed']],
]);

export type DecimalAttributes = { readonly precision: number; readonly scale: number };

let loading: Promise<AvroLibrary> | null = null;

export function loadAvro(): Promise<AvroLibrary> {
  loading ??= optionalPackage('avsc', async () => library((await import('avsc')).default));
  loading.catch(() => (loading = null));
  return loading;
}

type SchemaObject = { readonly [name: string]: unknown };

/** Marks the schema that a logical type is made of, so that it is not taken for one again. */
const inner = Symbol('inner');

function library(avsc: typeof Avsc): AvroLibrary {
  const long = longType(avsc);
  const logicalTypes = Object.fromEntries(
    [...madeOf.keys()].map((name) => [name, logicalClass(avsc)]),
  );
  const typeHook = (schema: unknown, options: object): Type | undefined => {
    if (schema === 'long') return long;
    if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return undefined;
    const { type, logicalType, ...rest } = schema as SchemaObject;
    checkNames(schema as SchemaObject);
    // Java's parser takes `{ "type": { "type": "string" } }`, too.
    if (typeof type === 'object' && type !== null) {
      return avsc.Type.forSchema(type as Avsc.Schema, options);
    }
    const isInner = inner in schema;
    if (type === 'long' && (isInner || !madeOf.has(String(logicalType)))) return long;
    if (isInner || logicalType === undefined) return undefined;
    const fits = madeOf.get(String(logicalType))?.includes(String(type)) ?? false;
    if (fits && isSound(schema as SchemaObject)) return undefined;
    // The specification has it that an unknown or broken logical type is ignored.
    return avsc.Type.forSchema({ type, ...rest } as Avsc.Schema, options);
  };
  const options = (registry: { [name: string]: Type }) =>
    ({ registry, logicalTypes, typeHook, wrapUnions: 'always', omitRecordMethods: true }) as const;
  const make = (schema: unknown, registry: { [name: string]: Type }): Type =>
    avsc.Type.forSchema(schema as Avsc.Schema, options(registry) as never);
  return {
    parse(text, references = []) {
      const registry: { [name: string]: Type } = {};
      for (const reference of references) make(schemaOf(reference.text), registry);
      return make(schemaOf(text), registry);
    },
    build: (schema) => make(schema, {}),
  };
}

/** A schema as text is JSON, or the bare name of a primitive type. */
function schemaOf(text: string): unknown {
  const trimmed = text.trim();
  return /^[a-z]+$/.test(trimmed) && trimmed !== 'null' ? trimmed : JSON.parse(trimmed);
}

const nameParts = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/;

function checkNames({ name, namespace, aliases, symbols }: SchemaObject): void {
  const names: unknown[] = [];
  if (name !== undefined) names.push(name);
  if (namespace !== undefined && namespace !== '' && namespace !== null) names.push(namespace);
  if (Array.isArray(aliases)) names.push(...(aliases as unknown[]));
  if (Array.isArray(symbols)) names.push(...(symbols as unknown[]));
  for (const each of names) {
    if (typeof each === 'string' && nameParts.test(each)) continue;
    throw new Error(`${JSON.stringify(each)} is no name`);
  }
}

function isSound(schema: SchemaObject): boolean {
  const { logicalType, type, size, precision, scale = 0 } = schema;
  if (logicalType === 'uuid') return type === 'string' || size === 16;
  if (logicalType !== 'decimal') return true;
  const whole = Number.isInteger(precision) && Number.isInteger(scale);
  return whole && Number(precision) > 0 && Number(scale) >= 0 && Number(scale) <= Number(precision);
}

/** A number where it is exact, else a bigint. */
function longType(avsc: typeof Avsc): Type {
  const methods = {
    fromBuffer: readLong,
    toBuffer: longBytes,
    fromJSON: (value: unknown): unknown => {
      if (typeof value === 'bigint' || Number.isSafeInteger(value)) return value;
      throw new Error(`${String(value)} is no exact long`);
    },
    toJSON: (value: unknown): unknown => value,
    isValid: (value: unknown): boolean =>
      typeof value === 'bigint' ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value),
    compare: (a: number | bigint, b: number | bigint): number => (a < b ? -1 : a > b ? 1 : 0),
  };
  // The bytes as they are: avsc's own unpacking allocates twice for each.
  return avsc.types.LongType.__with(methods, true);
}

/** Seven bytes hold 49 bits, which a number does; the rest is left to bigints. */
function readLong(bytes: Uint8Array): number | bigint {
  const { length } = bytes;
  if (length > 7) return readWideLong(bytes);
  let result = 0;
  let unit = 1;
  for (let i = 0; i < length; i++) {
    result += (bytes[i]! & 0x7f) * unit;
    unit *= 128;
  }
  return result % 2 === 1 ? -(result + 1) / 2 : result / 2;
}

function readWideLong(bytes: Uint8Array): number | bigint {
  if (bytes.length > 10) throw new Error('it has a number of more than 64 bits');
  let wide = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) wide = (wide << 7n) | BigInt(bytes[i]! & 0x7f);
  if (wide >> 64n !== 0n) throw new Error('it has a number of more than 64 bits');
  const value = (wide >> 1n) ^ -(wide & 1n);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function longBytes(value: number | bigint): Buffer {
  const bytes = Buffer.allocUnsafe(10);
  let length = 0;
  if (typeof value === 'number' && Math.abs(value) < 2 ** 51) {
    let rest = value < 0 ? -2 * value - 1 : 2 * value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes[length++] = (rest % 128) | 0x80;
    bytes[length++] = rest;
    return bytes.subarray(0, length);
  }
  const signed = BigInt(value);
  let rest = BigInt.asUintN(64, (signed << 1n) ^ (signed >> 63n));
  for (; rest >= 128n; rest >>= 7n) bytes[length++] = Number(rest & 0x7fn) | 0x80;
  bytes[length++] = Number(rest);
  return bytes.subarray(0, length);
}

export type AnnotatedType = Type & {
  readonly underlyingType: Type;
  readonly logical: string;
  readonly decimal: DecimalAttributes;
};

/** Values are those of the type below. What columns make of them is known to the reader alone. */
function logicalClass(avsc: typeof Avsc): new (schema: Avsc.Schema, opts?: unknown) => never {
  const { Type } = avsc;
  const plain = (value: unknown): unknown => value;
  class Annotated extends avsc.types.LogicalType {
    readonly logical: string;
    readonly decimal: DecimalAttributes;

    constructor(schema: Avsc.Schema, options?: unknown) {
      const { logicalType, precision, scale = 0 } = schema as unknown as SchemaObject;
      super({ ...(schema as object), [inner]: true } as never, options);
      this.logical = String(logicalType);
      this.decimal = { precision: Number(precision), scale: Number(scale) };
    }

    override _fromValue(value: unknown): unknown {
      return value;
    }

    override _toValue(value: unknown): unknown {
      return value;
    }

    /** What was written as another logical type would be misread by a thousand or more. */
    override _resolve(type: Type): unknown {
      if (Type.isType(type, 'logical')) {
        const other = type as AnnotatedType;
        if (other.logical !== this.logical) return undefined;
        if (this.logical === 'decimal' && other.decimal.scale !== this.decimal.scale) {
          return undefined;
        }
        return plain;
      }
      const { typeName } = this.underlyingType;
      return typeName === type.typeName ? plain : undefined;
    }

    protected override _export(schema: Avsc.Schema): void {
      if (this.logical === 'decimal') Object.assign(schema, this.decimal);
    }
  }
  return Annotated as never;
}

/** `long`, `decimal`, `record`, …: the logical type's name where there is one. */
export function avroKind(type: Type): string {
  const { typeName } = type;
  if (typeName.startsWith('logical:')) return typeName.slice('logical:'.length);
  if (typeName === 'abstract:long') return 'long';
  return typeName === 'union:wrapped' ? 'union' : typeName === 'error' ? 'record' : typeName;
}

export function plainKind(type: Type): string {
  return type.typeName.startsWith('logical:')
    ? avroKind((type as AnnotatedType).underlyingType)
    : avroKind(type);
}

/** For messages: `long (timestamp-millis)`, `null | string`. */
export function describeAvro(type: Type): string {
  if (avroKind(type) === 'union') {
    return (type as Avsc.types.WrappedUnionType).types.map(describeAvro).join(' | ');
  }
  const kind = avroKind(type);
  const plain = plainKind(type);
  return kind === plain ? kind : `${plain} (${kind})`;
}
