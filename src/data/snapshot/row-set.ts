// Rows of a table that are written to a snapshot or read from one, and their values in columns.

/** The first `count` rows, or those listed. */
export type RowSet = { readonly count: number; readonly list: Int32Array | null };

export function firstRows(count: number): RowSet {
  return { count, list: null };
}

export function listedRows(list: Int32Array): RowSet {
  return { count: list.length, list };
}

/** 0, 1, … count - 1. */
export function rowNumbers(count: number): Int32Array {
  const rows = new Int32Array(count);
  for (let row = 0; row < count; row++) rows[row] = row;
  return rows;
}

/** `changed`, and behind them the `added` rows from `from` on. */
export function withNewRows(changed: Int32Array, from: number, added: number): Int32Array {
  const rows = new Int32Array(changed.length + added);
  rows.set(changed);
  for (let index = 0; index < added; index++) rows[changed.length + index] = from + index;
  return rows;
}

/** The rows' numbers. */
export function numbersOf({ count, list }: RowSet): Int32Array {
  return list ?? rowNumbers(count);
}

/** Values of the rows; a view where they are the first ones. */
export function pickFloats(values: Float64Array, { count, list }: RowSet): Float64Array {
  if (list === null) return values.subarray(0, count);
  const picked = new Float64Array(count);
  for (let index = 0; index < count; index++) picked[index] = values[list[index]!]!;
  return picked;
}

export function pickInts(values: Int32Array, { count, list }: RowSet): Int32Array {
  if (list === null) return values.subarray(0, count);
  const picked = new Int32Array(count);
  for (let index = 0; index < count; index++) picked[index] = values[list[index]!]!;
  return picked;
}

export function pickBigints(values: BigInt64Array, { count, list }: RowSet): BigInt64Array {
  if (list === null) return values.subarray(0, count);
  const picked = new BigInt64Array(count);
  for (let index = 0; index < count; index++) picked[index] = values[list[index]!]!;
  return picked;
}

export function pickBytes(values: Uint8Array, { count, list }: RowSet): Uint8Array {
  if (list === null) return values.subarray(0, count);
  const picked = new Uint8Array(count);
  for (let index = 0; index < count; index++) picked[index] = values[list[index]!]!;
  return picked;
}

type Values = Float64Array | Int32Array | BigInt64Array | Uint8Array;

/** Puts one value for each of the rows into their places; both arrays are of one type. */
export function putValues<V extends Values>(values: V, { list }: RowSet, given: V): void {
  if (list === null) return values.set(given as never);
  for (let index = 0; index < list.length; index++) values[list[index]!] = given[index]!;
}
