// Row schemas as users write them: columns by name, nested objects flattened to dotted names
// (`user.id`), or a schema of another library. Mistakes are kept and reported by the pipeline.

import { captureCallSite } from '../base/call-site.ts';
import { ColumnType } from './column-type.ts';
import type { Field, RowSchema, TimeEncoding } from './data-type.ts';
import type { Mistake } from './mistake.ts';
import { mistake, placed } from './mistake.ts';
import type { StandardColumns, StandardSchema } from './standard-schema.ts';
import { fieldsOfStandardSchema, isStandardSchema } from './standard-schema.ts';
import type { Columns, ColumnsFrom, RowOf, TimestampType, ValueType } from './value-type.ts';

/** A row schema with the static types of its columns. Made by `schema()`. */
export class Schema<C extends Columns = Columns> implements RowSchema {
  /** Static only. */
  declare readonly columns: C;
  readonly fields: readonly Field[];
  readonly mistakes: readonly Mistake[];

  constructor(fields: readonly Field[], mistakes: readonly Mistake[]) {
    this.fields = fields;
    this.mistakes = mistakes;
  }
}

/** The rows of a schema: `type AdEventRow = Row<typeof AdEvent>`. */
export type Row<S extends Schema> = RowOf<S['columns']>;

/** What `schema()` takes: column types by name, and objects of them for nested records. */
export type SchemaDefinition = { readonly [name: string]: ColumnType | SchemaDefinition };

/** The columns of a definition; a nested field is called `outer.inner`. */
export type ColumnsOf<D> = ColumnsFrom<Entries<D>>;

type Entries<D, Prefix extends string = ''> = {
  [Name in keyof D & string]: 0 extends 1 & D[Name] // `any` would recurse for ever.
    ? never
    : D[Name] extends ColumnType<infer T>
      ? readonly [`${Prefix}${Name}`, T]
      : Entries<D[Name], `${Prefix}${Name}.`>;
}[keyof D & string];

/** Columns of another library's schema that hold times, and how the times are written. */
export type TimeColumns<Name extends string> = { readonly [N in Name]: TimeEncoding };

type WithTimes<C, Time> = {
  readonly [Name in keyof C]: C[Name] extends infer T extends ValueType
    ? Name extends Time
      ? TimestampType<T['missing']>
      : T
    : never;
};

/**
 * States the columns of a source: by column types, or by any schema that implements Standard
 * Schema with JSON Schema output (zod 4, arktype). Such schemas are read, not run: records are
 * checked for the columns' types only. `timestamps` names their columns that hold times.
 *
 * @example
 * const AdEvent = schema({
 *   ad_id: string(),
 *   event_time: timestamp('ms'),
 *   user: { id: string(), age: int32().nullable() },
 * });
 * type AdEventRow = Row<typeof AdEvent>; // { ad_id: string; …; 'user.age': number | null }
 */
export function schema<Input, Time extends string = never>(
  standard: StandardSchema<Input>,
  options?: { readonly timestamps?: TimeColumns<Time> },
): Schema<WithTimes<StandardColumns<Input>, Time>>;
export function schema<const D extends SchemaDefinition>(definition: D): Schema<ColumnsOf<D>>;
export function schema(
  definition: SchemaDefinition | StandardSchema<unknown>,
  options: { readonly timestamps?: TimeColumns<string> } = {},
): Schema {
  const site = captureCallSite(schema);
  const read = isStandardSchema(definition)
    ? fieldsOfStandardSchema(definition, options.timestamps ?? {})
    : fieldsOfDefinition(definition, [], []);
  const mistakes = [...read.mistakes, ...checkFields(read.fields)];
  return new Schema(read.fields, placed(mistakes, site));
}

export type ReadFields = {
  readonly fields: readonly Field[];
  readonly mistakes: readonly Mistake[];
};

/** What no column can be called: names of the scope's own functions, and what is no name. */
export const reservedNames: readonly string[] = ['$lambda', '$aggregate', '__proto__', ''];

function fieldsOfDefinition(
  definition: SchemaDefinition,
  names: readonly string[],
  path: readonly string[],
): ReadFields {
  const fields: Field[] = [];
  const mistakes: Mistake[] = [];
  for (const [key, column] of Object.entries(definition)) {
    const name = [...names, key];
    if (column instanceof ColumnType) {
      const { type, acceptsNull: nullable } = column;
      const place = [...path, ...(column.path ?? [key])];
      fields.push({ name: name.join('.'), path: place, type, nullable });
    } else if (typeof column === 'object' && column !== null) {
      const nested = fieldsOfDefinition(column, name, [...path, key]);
      fields.push(...nested.fields);
      mistakes.push(...nested.mistakes);
    } else {
      const hint = 'use string(), float64() and the like, or an object of them';
      mistakes.push(mistake(`column "${name.join('.')}" has no column type`, hint));
    }
  }
  return { fields, mistakes };
}

function checkFields(fields: readonly Field[]): readonly Mistake[] {
  const mistakes: Mistake[] = [];
  if (fields.length === 0) mistakes.push(mistake('the schema has no columns'));
  const names = new Set<string>();
  for (const { name } of fields) {
    if (reservedNames.includes(name)) {
      const hint = "choose another name, with string().from('…') to read the old one";
      mistakes.push(mistake(`a column cannot be called "${name}"`, hint));
    }
    if (names.has(name)) mistakes.push(mistake(`two columns are called "${name}"`));
    names.add(name);
  }
  for (const name of names) {
    const parts = name.split('.');
    const outer = parts.map((_, i) => parts.slice(0, i).join('.')).find((some) => names.has(some));
    if (outer !== undefined) {
      mistakes.push(mistake(`column "${outer}" cannot also hold the column "${name}"`));
    }
  }
  return mistakes;
}

/** The same columns in rows that hold each under its own name, as rows in TypeScript do. */
export function flatSchema<C extends Columns>(rows: Schema<C>): Schema<C> {
  const fields = rows.fields.map((field) => ({ ...field, path: [field.name] }));
  return new Schema<C>(fields, rows.mistakes);
}
