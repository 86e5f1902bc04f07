// Static tables for joins: small reference data that every worker holds whole.

import { assert } from '../base/assert.ts';
import { canonicalJson } from '../base/canonical-json.ts';
import type { CallSite } from '../base/call-site.ts';
import { captureCallSite } from '../base/call-site.ts';
import { hashText } from '../base/hash.ts';
import type { DataType, Field, RowObject, RowValue } from '../schema/data-type.ts';
import type { Mistake } from '../schema/mistake.ts';
import { mistake, placed } from '../schema/mistake.ts';
import type { ColumnsOf, SchemaDefinition } from '../schema/schema.ts';
import { Schema, flatSchema, schema } from '../schema/schema.ts';
import type { Columns, RowOf } from '../schema/value-type.ts';

/** A table to join with. Made by `table()`. */
export class Table<C extends Columns = Columns> {
  readonly name: string;
  readonly schema: Schema<C>;
  /** Copies, with every column set. */
  readonly rows: readonly RowObject[];
  readonly contentHash: string;
  readonly mistakes: readonly Mistake[];

  constructor(name: string, rowSchema: Schema<C>, options: TableContent) {
    this.name = name;
    this.schema = flatSchema(rowSchema);
    const checked = checkRows(rowSchema.fields, options.rows);
    const named = name === '' ? [mistake('a table needs a name')] : [];
    this.rows = checked.rows;
    this.contentHash = hashText(canonicalJson(checked.rows));
    const mistakes = [...rowSchema.mistakes, ...named, ...checked.mistakes];
    this.mistakes = placed(mistakes, options.site);
  }
}

type TableContent = {
  readonly rows: readonly { readonly [column: string]: unknown }[];
  readonly site: CallSite;
};

/**
 * A static table: rows are checked and copied at once; later changes to them have no effect.
 *
 * @example
 * const ads = table('ads', { ad_id: string(), campaign_id: string() }, [
 *   { ad_id: 'a1', campaign_id: 'c1' },
 * ]);
 */
export function table<C extends Columns>(
  name: string,
  columns: Schema<C>,
  rows: readonly RowOf<C>[],
): Table<C>;
export function table<const D extends SchemaDefinition>(
  name: string,
  columns: D,
  rows: readonly RowOf<ColumnsOf<D>>[],
): Table<ColumnsOf<D>>;
export function table(
  name: string,
  columns: Schema | SchemaDefinition,
  rows: readonly RowObject[],
): Table {
  const site = captureCallSite(table);
  if (columns instanceof Schema) return new Table(name, columns, { rows, site });
  const own = schema(columns);
  const mistakes = own.mistakes.map((one) => ({ ...one, site }));
  return new Table(name, new Schema(own.fields, mistakes), { rows, site });
}

/** More than this many bad rows are counted, not listed. */
const listedRowsMax = 5;

function checkRows(
  fields: readonly Field[],
  rows: TableContent['rows'],
): { readonly rows: readonly RowObject[]; readonly mistakes: readonly Mistake[] } {
  const mistakes: Mistake[] = [];
  const copies: RowObject[] = [];
  let badCount = 0;
  rows.forEach((row, index) => {
    const copy: Record<string, RowValue> = {};
    for (const field of fields) {
      const value = row[field.name] ?? null;
      if (!holds(field, value)) {
        badCount++;
        const expected = `${field.type.kind}${field.nullable ? ' or null' : ''}`;
        const message = `row ${index}: "${field.name}" is ${describe(value)}, not ${expected}`;
        if (badCount <= listedRowsMax) mistakes.push(mistake(message));
      } else {
        copy[field.name] = value;
      }
    }
    copies.push(copy);
  });
  if (badCount > listedRowsMax) {
    mistakes.push(
      mistake(`${badCount - listedRowsMax} more values of the rows are of a wrong type`),
    );
  }
  return { rows: copies, mistakes };
}

function holds(field: Field, value: unknown): value is RowValue {
  return value === null ? field.nullable : fits(field.type, value);
}

function fits(type: DataType, value: unknown): boolean {
  switch (type.kind) {
    case 'boolean':
    case 'string':
      return typeof value === type.kind;
    case 'int32':
      return typeof value === 'number' && value === value >> 0;
    case 'int64':
      return typeof value === 'bigint' && BigInt.asIntN(64, value) === value;
    case 'float64':
      return typeof value === 'number';
    case 'timestamp':
      return Number.isSafeInteger(value);
    case 'json':
      return typeof value !== 'bigint' && typeof value !== 'function' && value !== undefined;
    default:
      assert(false, 'a column type is not known');
  }
}

function describe(value: unknown): string {
  if (value === null) return 'missing or null';
  const text = typeof value === 'bigint' ? `${value}n` : (JSON.stringify(value) ?? typeof value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
