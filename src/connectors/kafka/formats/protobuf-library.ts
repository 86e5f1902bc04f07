// Schemas as types of the package protobufjs, read from .proto text by reflection.
//
// Why protobufjs (8.8): it reads .proto text itself, which @bufbuild/protobuf leaves to a compiler,
// and has several releases a year. Any number of its own is a Long or a number that is exact.

import type Protobuf from 'protobufjs';
import type { Enum, Field, Namespace, Root, Type } from 'protobufjs';
import { optionalPackage } from './format-errors.ts';
import type { ReferencedSchema } from './schema-registry.ts';

export type ProtobufLibrary = {
  /** Throws where the text is no schema, or an import is missing that it needs. */
  parse(text: string, references?: readonly ReferencedSchema[]): ProtobufSchema;
};

export type MessageType = {
  readonly type: Type;
  /** With its package. */
  readonly name: string;
  /** Where it is in the text, for the wire format. */
  readonly indexes: readonly number[];
};

export type ProtobufSchema = {
  /** All of the text itself, nested ones behind those around them; none of the references. */
  readonly messages: readonly MessageType[];
};

let loading: Promise<ProtobufLibrary> | null = null;

export function loadProtobuf(): Promise<ProtobufLibrary> {
  loading ??= optionalPackage('protobufjs', async () =>
    library((await import('protobufjs')).default),
  );
  loading.catch(() => (loading = null));
  return loading;
}

/** What registries serve without telling: Confluent's own imports. */
const builtIn: ReadonlyMap<string, string> = new Map([
  [
    'confluent/type/decimal.proto',
    'syntax = "proto3"; package confluent.type; ' +
      'message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }',
  ],
]);

function library(protobuf: typeof Protobuf): ProtobufLibrary {
  const options = { keepCase: true };
  return {
    parse(text, references = []) {
      const root = new protobuf.Root();
      const done = new Set<string>();
      const bring = (name: string): void => {
        if (done.has(name)) return;
        done.add(name);
        const given = references.find((reference) => reference.name === name)?.text;
        const own = given ?? builtIn.get(name);
        if (own !== undefined) read(own);
        // An import that is in no list is missed only if a type of it is.
        else addCommon(protobuf, root, name);
      };
      const read = (source: string): Protobuf.IParserResult => {
        const parsed = protobuf.parse(source, root, options);
        for (const name of [...(parsed.imports ?? []), ...(parsed.weakImports ?? [])]) bring(name);
        return parsed;
      };
      // By itself first: in the common root the types of other files would be between its own.
      const alone = protobuf.parse(text, new protobuf.Root(), options);
      const outline = outlineOf(protobuf, alone.root, alone.package);
      read(text);
      root.resolveAll();
      const messages = outline.map(({ name, indexes }) => {
        return { name, indexes, type: root.lookupType(name) };
      });
      return { messages };
    },
  };
}

function addCommon(protobuf: typeof Protobuf, root: Root, name: string): void {
  if (!name.startsWith('google/protobuf/')) return;
  const found = (protobuf.common as { get?: (name: string) => Protobuf.INamespace | null }).get?.(
    name,
  );
  if (found?.nested !== undefined) root.addJSON(found.nested);
}

type Outline = { readonly name: string; readonly indexes: readonly number[] };

function outlineOf(
  protobuf: typeof Protobuf,
  root: Root,
  packageName: string | undefined,
): readonly Outline[] {
  const top = packageName === undefined ? root : (root.lookup(packageName) as Namespace);
  const found: Outline[] = [];
  const visit = (namespace: Namespace, name: string, indexes: readonly number[]): void => {
    const types = namespace.nestedArray.filter((each) => each instanceof protobuf.Type);
    for (const [index, type] of types.entries()) {
      const own = { name: `${name}${type.name}`, indexes: [...indexes, index] };
      found.push(own);
      visit(type as Type, `${own.name}.`, own.indexes);
    }
  };
  visit(top, packageName === undefined ? '' : `${packageName}.`, []);
  return found;
}

const wrappers: ReadonlySet<string> = new Set(
  ['Double', 'Float', 'Int64', 'UInt64', 'Int32', 'UInt32', 'Bool', 'String', 'Bytes'].map(
    (name) => `google.protobuf.${name}Value`,
  ),
);

/** What a single value of a field is, repeated or not. */
export type ValueKind =
  | { readonly kind: 'scalar'; readonly name: string }
  | { readonly kind: 'enum'; readonly of: Enum }
  | { readonly kind: 'message'; readonly of: Type; readonly name: string }
  /** A scalar in a message of its own, which may be absent. */
  | { readonly kind: 'wrapper'; readonly of: Type; readonly name: string }
  | { readonly kind: 'timestamp' | 'decimal'; readonly of: Type }
  | { readonly kind: 'struct' | 'struct-value' | 'struct-list'; readonly of: Type };

export function valueKindOf(field: Field): ValueKind {
  const { resolvedType, type } = field;
  if (resolvedType === null) return { kind: 'scalar', name: type };
  if ('values' in resolvedType) return { kind: 'enum', of: resolvedType };
  const of = resolvedType;
  const name = of.fullName.replace(/^\./, '');
  if (wrappers.has(name)) return { kind: 'wrapper', of, name: of.fields['value']!.type };
  switch (name) {
    case 'google.protobuf.Timestamp':
      return { kind: 'timestamp', of };
    case 'confluent.type.Decimal':
      return { kind: 'decimal', of };
    case 'google.protobuf.Struct':
      return { kind: 'struct', of };
    case 'google.protobuf.Value':
      return { kind: 'struct-value', of };
    case 'google.protobuf.ListValue':
      return { kind: 'struct-list', of };
    default:
      return { kind: 'message', of, name };
  }
}

/** Absent and default are different. */
export function hasPresence(field: Field): boolean {
  if (field.repeated || field.map) return false;
  return Boolean(field.hasPresence) || isMessage(field);
}

function isMessage({ resolvedType }: Field): boolean {
  return resolvedType !== null && !('values' in resolvedType);
}

export function keyTypeOf(field: Field): string {
  return (field as unknown as Protobuf.MapField).keyType;
}

/** For messages: `repeated int64`, `map<string, shop.Item>`. */
export function describeField(field: Field): string {
  const name = field.resolvedType?.fullName.replace(/^\./, '') ?? field.type;
  if (field.map) return `map<${keyTypeOf(field)}, ${name}>`;
  return field.repeated ? `repeated ${name}` : name;
}

type LongLike = { readonly low: number; readonly high: number; readonly unsigned: boolean };

export function wideInteger(value: unknown): bigint {
  if (typeof value === 'number') return BigInt(value);
  const { low, high, unsigned } = value as LongLike;
  const top = unsigned ? high >>> 0 : high;
  return (BigInt(top) << 32n) | BigInt(low >>> 0);
}

/** What protobufjs takes for a 64-bit integer. */
export function longOf(value: bigint, unsigned: boolean): LongLike {
  return {
    low: Number(BigInt.asIntN(32, value)),
    high: Number(BigInt.asIntN(32, value >> 32n)),
    unsigned,
  };
}
