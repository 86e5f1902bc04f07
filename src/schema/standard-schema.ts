// Schemas of other libraries through Standard Schema's JSON Schema output (zod 4, arktype). Both
// sides follow one rule: scalars become columns, objects of known properties are flattened, all
// else is a json column; optional and nullable are one. What has no JSON Schema is a mistake.

import type { DataType, Field, TimeEncoding } from './data-type.ts';
import type { Mistake } from './mistake.ts';
import { mistake } from './mistake.ts';
import type { BooleanType, ColumnsFrom, JsonType, NumberType, StringType } from './value-type.ts';

/** The part of the Standard Schema specifications that is used; stated here to depend on none. */
export type StandardSchema<Input> = {
  readonly '~standard': {
    readonly vendor: string;
    readonly types?: { readonly input: Input } | undefined;
    readonly jsonSchema: {
      readonly input: (options: {
        readonly target: 'draft-2020-12';
      }) => Readonly<Record<string, unknown>>;
    };
  };
};

/** The columns of another library's schema, from the type of the records it accepts. */
export type StandardColumns<Input> = ColumnsFrom<InputEntries<Input>>;

type InputEntries<Input, Prefix extends string = '', Outer = never> = {
  [Name in keyof Input & string]-?: Entry<
    Exclude<Input[Name], null | undefined>,
    `${Prefix}${Name}`,
    Outer | (object extends Pick<Input, Name> ? null : never) | NullIn<Input[Name]>
  >;
}[keyof Input & string];

type NullIn<Value> = null extends Value ? null : undefined extends Value ? null : never;

type Entry<Value, Name extends string, Null> = 0 extends 1 & Value
  ? readonly [Name, JsonType<Value, Null>]
  : [Value] extends [never]
    ? readonly [Name, JsonType<null, Null>]
    : [Value] extends [boolean]
      ? readonly [Name, BooleanType<Null>]
      : [Value] extends [number]
        ? readonly [Name, NumberType<Null>]
        : [Value] extends [string]
          ? readonly [Name, StringType<Value, Null>]
          : IsPlainObject<Value> extends true
            ? InputEntries<Value, `${Name}.`, Null>
            : readonly [Name, JsonType<Value, Null>];

/** One object type of known properties: no list, no dictionary, no union. */
type IsPlainObject<Value> = [Value] extends [readonly unknown[]]
  ? false
  : [Value] extends [object]
    ? string extends keyof Value
      ? false
      : [keyof Value] extends [never]
        ? false
        : IsUnion<Value> extends true
          ? false
          : true
    : false;

type IsUnion<T, All = T> = T extends unknown ? ([All] extends [T] ? false : true) : never;

export function isStandardSchema(value: unknown): value is StandardSchema<unknown> {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return isObject && '~standard' in value;
}

type JsonSchema = { readonly [keyword: string]: unknown };

/** Fields of the schema's JSON Schema, `timestamps` read as times. */
export function fieldsOfStandardSchema(
  standard: StandardSchema<unknown>,
  timestamps: { readonly [name: string]: TimeEncoding | undefined },
): { readonly fields: readonly Field[]; readonly mistakes: readonly Mistake[] } {
  const { vendor, jsonSchema } = standard['~standard'];
  if (typeof jsonSchema?.input !== 'function') {
    const hint = 'use zod 4.2 or later, arktype 2.1.28 or later, or column types';
    const message = `the ${vendor} schema does not give a JSON Schema`;
    return { fields: [], mistakes: [mistake(message, hint)] };
  }
  let root: JsonSchema;
  try {
    root = jsonSchema.input({ target: 'draft-2020-12' });
  } catch (cause) {
    return { fields: [], mistakes: [whyNoJsonSchema(standard, cause)] };
  }
  const reader = new JsonSchemaReader(root, timestamps);
  reader.readRoot();
  return { fields: reader.fields, mistakes: reader.mistakes };
}

/** Libraries refuse the whole schema for one property: asks for each alone to name the guilty. */
function whyNoJsonSchema(standard: StandardSchema<unknown>, cause: unknown): Mistake {
  const hint = 'only what JSON can hold can be a column: no bigint, Date, Map, Set or transform';
  const reason = cause instanceof Error ? cause.message : String(cause);
  const shape: unknown = Reflect.get(standard, 'shape');
  const guilty = Object.entries(typeof shape === 'object' && shape !== null ? shape : {})
    .filter(([, property]) => isStandardSchema(property) && !hasJsonSchema(property))
    .map(([name]) => `"${name}"`);
  const what = guilty.length > 0 ? `field ${guilty.join(', ')} of the` : 'the';
  const { vendor } = standard['~standard'];
  const message = `${what} ${vendor} schema has no JSON Schema: ${reason}`;
  return { ...mistake(message, hint), cause };
}

function hasJsonSchema(standard: StandardSchema<unknown>): boolean {
  try {
    standard['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
    return true;
  } catch {
    return false; // Expected: the question is whether it can.
  }
}

/** A JSON Schema with null taken out. `null`: it allows nothing but null. */
type Shape = { readonly schema: JsonSchema | null; readonly nullable: boolean };

class JsonSchemaReader {
  readonly fields: Field[] = [];
  readonly mistakes: Mistake[] = [];
  readonly #root: JsonSchema;
  readonly #timestamps: { readonly [name: string]: TimeEncoding | undefined };

  constructor(root: JsonSchema, timestamps: { readonly [name: string]: TimeEncoding | undefined }) {
    this.#root = root;
    this.#timestamps = timestamps;
  }

  readRoot(): void {
    const { schema } = this.#shapeOf(this.#root, []);
    const properties = schema === null ? null : propertiesOf(schema);
    if (schema === null || properties === null) {
      const message = 'the schema does not describe objects of known properties';
      this.mistakes.push(mistake(message, 'a record is an object, and its properties are columns'));
      return;
    }
    this.#readProperties(schema, properties, { path: [], nullable: false, refs: [] });
    for (const name of Object.keys(this.#timestamps)) {
      if (this.fields.some((field) => field.name === name)) continue;
      this.mistakes.push(mistake(`timestamps names "${name}", which the schema does not have`));
    }
  }

  #readProperties(schema: JsonSchema, properties: JsonSchema, place: Place): void {
    const required = new Set(asList(schema['required']));
    for (const [key, property] of Object.entries(properties)) {
      const optional = place.nullable || !required.has(key);
      this.#readProperty(property, { ...place, path: [...place.path, key], nullable: optional });
    }
  }

  #readProperty(property: unknown, place: Place): void {
    const name = place.path.join('.');
    const refs = [...place.refs];
    const shape = this.#shapeOf(property, refs);
    const nullable = place.nullable || shape.nullable;
    const properties = shape.schema === null ? null : propertiesOf(shape.schema);
    if (shape.schema !== null && properties !== null) {
      this.#readProperties(shape.schema, properties, { path: place.path, nullable, refs });
      return;
    }
    const encoding = this.#timestamps[name];
    const type = shape.schema === null ? json : dataTypeOf(shape.schema);
    if (encoding !== undefined && type.kind === 'json') {
      this.mistakes.push(mistake(`column "${name}" holds no text or number to read a time from`));
    }
    const column: DataType = encoding === undefined ? type : { kind: 'timestamp', encoding };
    this.fields.push({ name, path: place.path, type: column, nullable });
  }

  /** Follows references and takes null out; `refs` gets the references that were followed. */
  #shapeOf(value: unknown, refs: string[]): Shape {
    if (!isJsonSchema(value)) return { schema: {}, nullable: false };
    const ref = value['$ref'];
    if (typeof ref === 'string') {
      if (refs.includes(ref)) {
        const message = `the schema contains itself through "${ref}"`;
        this.mistakes.push(mistake(message, 'columns are finite: describe that part as any value'));
        return { schema: {}, nullable: true };
      }
      refs.push(ref);
      return this.#shapeOf(this.#resolve(ref), refs);
    }
    const whole = isList(value['allOf']) ? this.#merged(value, value['allOf'], refs) : value;
    const choices = whole['anyOf'] ?? whole['oneOf'];
    return isList(choices) ? this.#choiceOf(whole, choices, refs) : withoutNull(whole);
  }

  #choiceOf(whole: JsonSchema, choices: readonly unknown[], refs: string[]): Shape {
    const shapes = choices.map((choice) => this.#shapeOf(choice, refs));
    const nullable = shapes.some((shape) => shape.nullable);
    const rest = shapes.map((shape) => shape.schema).filter((schema) => schema !== null);
    const [only] = rest;
    if (only === undefined) return { schema: null, nullable };
    if (rest.length === 1) return { schema: only, nullable };
    // Several choices are one scalar when all agree on its type, else any value.
    const types = new Set(rest.map((schema) => scalarKindOf(schema)));
    const [type] = types;
    if (types.size === 1 && type) return { schema: { type }, nullable };
    return { schema: { description: whole['description'] }, nullable };
  }

  #merged(whole: JsonSchema, parts: readonly unknown[], refs: string[]): JsonSchema {
    const shapes = parts.map((part) => this.#shapeOf(part, refs).schema ?? {});
    const all = [{ ...whole, allOf: undefined }, ...shapes];
    const properties = Object.assign({}, ...all.map((part) => part['properties'] ?? {}));
    const required = all.flatMap((part) => asList(part['required']));
    const merged = Object.assign({}, ...all);
    return Object.keys(properties).length > 0 ? { ...merged, properties, required } : merged;
  }

  #resolve(ref: string): unknown {
    const steps = ref.replace(/^#\/?/, '').split('/');
    let target: unknown = this.#root;
    for (const step of steps.filter((one) => one !== '')) {
      const key = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
      target = isJsonSchema(target) ? target[key] : undefined;
    }
    return target;
  }
}

type Place = {
  readonly path: readonly string[];
  readonly nullable: boolean;
  /** References followed on the way here. */
  readonly refs: readonly string[];
};

const json: DataType = { kind: 'json' };

/** The properties of an object schema; null for all other schemas. */
function propertiesOf(schema: JsonSchema): JsonSchema | null {
  const properties = schema['properties'];
  const found = isJsonSchema(properties) && Object.keys(properties).length > 0;
  // A dictionary with some known keys holds more than its columns could.
  const open = isJsonSchema(schema['additionalProperties']);
  const dictionary = open && Object.keys(schema['additionalProperties'] as object).length > 0;
  return found && !dictionary ? properties : null;
}

function withoutNull(schema: JsonSchema): Shape {
  const types = typeof schema['type'] === 'string' ? [schema['type']] : asList(schema['type']);
  const values = valuesOf(schema);
  // A schema that says nothing of the type accepts null as well.
  if (types.length === 0 && values === null) {
    return { schema, nullable: propertiesOf(schema) === null };
  }
  const nullable = types.includes('null') || (values?.includes(null) ?? false);
  if (!nullable) return { schema, nullable };
  const rest = types.filter((type) => type !== 'null');
  const others = values?.filter((value) => value !== null);
  const nothing = others === undefined ? rest.length === 0 : others.length === 0;
  if (nothing) return { schema: null, nullable };
  const narrowed: JsonSchema = {
    ...schema,
    type: rest.length === 1 ? rest[0] : rest.length > 1 ? rest : undefined,
    ...(others === undefined ? {} : { enum: others, const: undefined }),
  };
  return { schema: narrowed, nullable };
}

function dataTypeOf(schema: JsonSchema): DataType {
  const kind = scalarKindOf(schema);
  if (kind === 'string' || kind === 'boolean') return { kind };
  if (kind === 'number') return { kind: 'float64' };
  if (kind === 'integer') return { kind: fitsInt32(schema) ? 'int32' : 'float64' };
  return json;
}

function scalarKindOf(schema: JsonSchema): 'string' | 'boolean' | 'number' | 'integer' | null {
  const type = schema['type'];
  if (type === 'string' || type === 'boolean' || type === 'number' || type === 'integer') {
    return type;
  }
  if (isList(type))
    return type.every((one) => one === 'number' || one === 'integer') ? 'number' : null;
  const kinds = new Set(valuesOf(schema)?.map((value) => typeof value));
  const [kind] = kinds;
  const scalar = kind === 'string' || kind === 'boolean' || kind === 'number';
  return type === undefined && kinds.size === 1 && scalar ? kind : null;
}

function valuesOf(schema: JsonSchema): readonly unknown[] | null {
  if (isList(schema['enum'])) return schema['enum'];
  return schema['const'] === undefined ? null : [schema['const']];
}

/** An integer without bounds may be any safe integer, which float64 holds and int32 does not. */
function fitsInt32(schema: JsonSchema): boolean {
  const values = valuesOf(schema);
  if (values !== null) return values.every((value) => value === Number(value) >> 0);
  const least = bound(schema, 'minimum', 'exclusiveMinimum');
  const most = bound(schema, 'maximum', 'exclusiveMaximum');
  return least !== null && most !== null && least >= -(2 ** 31) && most < 2 ** 31;
}

function bound(schema: JsonSchema, inclusive: string, exclusive: string): number | null {
  const value = schema[inclusive] ?? schema[exclusive];
  return typeof value === 'number' ? value : null;
}

function isJsonSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

function asList(value: unknown): readonly unknown[] {
  return isList(value) ? value : [];
}
