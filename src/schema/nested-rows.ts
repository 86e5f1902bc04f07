// Rows by column name (`user.id`) as records hold them (`{ user: { id } }`), which is how the
// engine looks up the fields of plain objects.

import type { RowSchema } from './data-type.ts';

export type NestedRow = { readonly [name: string]: unknown };

/** A function from a row to its record: the row itself where no column lies elsewhere. */
export function rowNester(schema: RowSchema): (row: object) => NestedRow {
  const { fields } = schema;
  if (fields.every(({ name, path }) => path.length === 1 && path[0] === name)) {
    return (row) => row as NestedRow;
  }
  return (row) => {
    const values = row as NestedRow;
    const record: { [name: string]: unknown } = {};
    for (const { name, path } of fields) {
      if (Object.hasOwn(values, name)) setAt(record, path, values[name]);
    }
    return record;
  };
}

function setAt(record: { [name: string]: unknown }, path: readonly string[], value: unknown): void {
  let object = record;
  for (const name of path.slice(0, -1)) {
    if (!Object.hasOwn(object, name)) object[name] = {};
    object = object[name] as { [name: string]: unknown };
  }
  object[path[path.length - 1]] = value;
}
