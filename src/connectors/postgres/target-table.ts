// What the table looks like, and whether the rows fit into it.

import { closestName } from '../../base/closest-name.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { DataKind, Field, RowSchema } from '../../schema/data-type.ts';
import type { PostgresSession } from './postgres-session.ts';
import type { QualifiedName } from './sql-names.ts';

/** A column that rows are written to. */
export type TargetColumn = {
  readonly name: string;
  /** As in a cast: `numeric(10,2)`. */
  readonly sqlType: string;
  readonly kind: DataKind;
};

export type FoundTable = {
  readonly columns: readonly FoundColumn[];
  /** The columns of each unique index over whole rows of the table. */
  readonly uniqueKeys: readonly (readonly string[])[];
};

export type FoundColumn = {
  readonly name: string;
  readonly sqlType: string;
  /** Without modifiers: `numeric`. */
  readonly baseType: string;
  /** A row must give a value. */
  readonly required: boolean;
};

const columnsQuery = `
  select a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
    coalesce(domain.typname, t.typname) as base, t.typcategory = 'A' as is_array,
    a.attnotnull and not a.atthasdef and a.attidentity = '' as required
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid
  join pg_type t on t.oid = a.atttypid
  left join pg_type domain on domain.oid = nullif(t.typbasetype, 0)
  where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'f')
    and a.attnum > 0 and not a.attisdropped
  order by a.attnum`;

const uniqueKeysQuery = `
  select array_to_json(array_agg(a.attname)) as names
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_index i on i.indrelid = c.oid
  join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey::int2[])
  where n.nspname = $1 and c.relname = $2 and i.indisunique and i.indisvalid
    and i.indpred is null and i.indexprs is null
  group by i.indexrelid`;

export async function describeTable(
  session: PostgresSession,
  { schema, name }: QualifiedName,
): Promise<FoundTable> {
  const columns = await session.query(columnsQuery, [schema, name]);
  const keys = await session.query(uniqueKeysQuery, [schema, name]);
  return {
    columns: columns.map((row) => ({
      name: String(row['name']),
      sqlType: String(row['type']),
      baseType: row['is_array'] === true ? 'array' : String(row['base']),
      required: row['required'] === true,
    })),
    uniqueKeys: keys.map(({ names }) => names as readonly string[]),
  };
}

/** Into which types a kind goes without loss; null: whatever reads its text. */
const accepted: Readonly<Record<DataKind, readonly string[] | null>> = {
  boolean: ['bool', 'text', 'varchar'],
  int32: ['int4', 'int8', 'numeric', 'float8', 'text', 'varchar'],
  int64: ['int8', 'numeric', 'text', 'varchar'],
  float64: ['float8', 'numeric', 'text', 'varchar'],
  timestamp: ['timestamptz', 'timestamp', 'text', 'varchar'],
  string: null,
  json: ['jsonb', 'json', 'text', 'varchar'],
};

type Wanted = {
  readonly schema: RowSchema;
  readonly key: readonly string[] | null;
  /** As the user calls it. */
  readonly table: string;
  /** What would make it. */
  readonly create: string;
};

/** The table's columns in order of the rows'; throws one error that names all that does not fit. */
export function targetColumns(found: FoundTable, wanted: Wanted): readonly TargetColumn[] {
  const { schema, table } = wanted;
  if (found.columns.length === 0) throw unknownTable(wanted);
  const mistakes: StreamError[] = [];
  const columns: TargetColumn[] = [];
  for (const field of schema.fields) {
    const column = found.columns.find(({ name }) => name === field.name);
    const types = accepted[field.type.kind];
    if (column === undefined) mistakes.push(unknownColumn(field, found, wanted));
    else if (column.baseType === 'array' || types?.includes(column.baseType) === false) {
      mistakes.push(wrongType(field, column, table));
    } else columns.push({ name: field.name, sqlType: column.sqlType, kind: field.type.kind });
  }
  for (const { name, required } of found.columns) {
    if (!required || schema.fields.some((field) => field.name === name)) continue;
    mistakes.push(missing(name, table));
  }
  const { key } = wanted;
  if (key !== null && !found.uniqueKeys.some((names) => sameNames(names, key))) {
    mistakes.push(noIndex(key, table));
  }
  if (mistakes.length > 0) throw together(mistakes);
  return columns;
}

function sameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && right.every((name) => left.includes(name));
}

function unknownTable({ table, create }: Wanted): StreamError {
  return new StreamError({
    code: 'table-unknown',
    message: `could not write to table "${table}": there is none, or this user may not see it`,
    hint: `set create: true, or run: ${create}`,
    fields: { table },
  });
}

function unknownColumn({ name }: Field, found: FoundTable, { table }: Wanted): StreamError {
  const names = found.columns.map((column) => column.name);
  const close = closestName(name, names);
  return new StreamError({
    code: 'column-unknown',
    message: `could not write column "${name}" to table "${table}": the table has none`,
    hint:
      close === null
        ? `it has ${names.join(', ')}: add the column, or leave it out by select`
        : `did you mean "${close}"? Rename it by select, or add the column to the table`,
    fields: { table, column: name },
  });
}

function wrongType({ name, type }: Field, column: FoundColumn, table: string): StreamError {
  const types = (accepted[type.kind] ?? []).join(', ');
  const what = `${type.kind} into ${column.sqlType}`;
  return new StreamError({
    code: 'column-type',
    message: `could not write column "${name}" to table "${table}": ${what}`,
    hint: types === '' ? 'give the column a type that is no array' : `it may be ${types}`,
    fields: { table, column: name, type: column.sqlType },
  });
}

function missing(name: string, table: string): StreamError {
  return new StreamError({
    code: 'column-required',
    message: `could not write to table "${table}": its column "${name}" takes no null`,
    hint: 'give the rows such a column, or the table a default for it',
    fields: { table, column: name },
  });
}

function noIndex(key: readonly string[], table: string): StreamError {
  return new StreamError({
    code: 'key-index',
    message: `could not write to table "${table}" by ${key.join(', ')}: no unique index is on them`,
    hint: `run: create unique index on ${table} (${key.join(', ')})`,
    fields: { table, key: key.join(', ') },
  });
}

function together(mistakes: readonly StreamError[]): StreamError {
  const [first] = mistakes;
  if (mistakes.length === 1) return first!;
  const text = mistakes.map(({ message, hint }) => `${message} (${hint})`).join('; ');
  return new StreamError({ code: first!.code, message: text, fields: first!.fields });
}
