// The statements that make the table and add rows to it.

import { unreachable } from '../../base/assert.ts';
import type { DataType, RowSchema } from '../../schema/data-type.ts';
import { quoted, quotedName } from './sql-names.ts';
import type { QualifiedName } from './sql-names.ts';
import type { TargetColumn } from './target-table.ts';

export function createStatement(
  table: QualifiedName,
  { fields }: RowSchema,
  key: readonly string[] | null,
): string {
  const columns = fields.map(({ name, type, nullable }) => {
    return `${quoted(name)} ${typeFor(type)}${nullable ? '' : ' not null'}`;
  });
  const primary = key === null ? [] : [`primary key (${key.map(quoted).join(', ')})`];
  return `create table if not exists ${quotedName(table)} (${[...columns, ...primary].join(', ')})`;
}

function typeFor(type: DataType): string {
  switch (type.kind) {
    case 'boolean':
      return 'boolean';
    case 'int32':
      return 'integer';
    case 'int64':
      return 'bigint';
    case 'float64':
      return 'double precision';
    case 'timestamp':
      return 'timestamptz';
    case 'string':
      return 'text';
    case 'json':
      return 'jsonb';
    default:
      return unreachable(type);
  }
}

/** The parameters of the ledger's part come first. */
const firstColumnParameter = 7;

/**
 * The ledger's entry and the rows of a micro-batch, a parameter for each column: the same statement
 * however many rows there are. Rows are added only where the entry could be made.
 */
export function insertStatement(parts: {
  readonly table: QualifiedName;
  readonly columns: readonly TargetColumn[];
  readonly key: readonly string[] | null;
  /** See `LedgerStatements.advance`. */
  readonly ledger: string;
}): string {
  const { table, columns, key, ledger } = parts;
  const names = columns.map(({ name }) => quoted(name)).join(', ');
  const arrays = columns.map(({ sqlType }, index) => {
    return `$${firstColumnParameter + index}::${sqlType}[]`;
  });
  return `with ledger as (${ledger}),
    added as (
      insert into ${quotedName(table)} (${names})
      select * from unnest(${arrays.join(', ')}) where exists (select from ledger)
      ${key === null ? '' : onConflict(columns, key)})
    select count(*) as advanced from ledger`;
}

function onConflict(columns: readonly TargetColumn[], key: readonly string[]): string {
  const others = columns.filter(({ name }) => !key.includes(name));
  const target = `on conflict (${key.map(quoted).join(', ')})`;
  if (others.length === 0) return `${target} do nothing`;
  const changes = others.map(({ name }) => `${quoted(name)} = excluded.${quoted(name)}`);
  return `${target} do update set ${changes.join(', ')}`;
}
