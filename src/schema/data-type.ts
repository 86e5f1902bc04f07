// The column types of a row and what each one is in memory, in JSON and in TypeScript.
// Closed on purpose: every switch over `kind` ends in `unreachable`.

/**
 * The physical kinds a column can have.
 *
 * | kind      | in a vector                     | in a row (TypeScript) |
 * | --------- | ------------------------------- | --------------------- |
 * | boolean   | Uint8Array, 0 or 1              | boolean               |
 * | int32     | Int32Array                      | number                |
 * | int64     | BigInt64Array                   | bigint                |
 * | float64   | Float64Array                    | number                |
 * | timestamp | Float64Array, whole epoch ms    | number (epoch ms)     |
 * | string    | UTF-8 bytes and Int32 offsets   | string                |
 * | json      | as string: the value's JSON text| any JSON value        |
 */
export type DataType =
  | { readonly kind: 'boolean' }
  | { readonly kind: 'int32' }
  | { readonly kind: 'int64' }
  | { readonly kind: 'float64' }
  | { readonly kind: 'timestamp'; readonly encoding: TimeEncoding }
  | { readonly kind: 'string' }
  | { readonly kind: 'json' };

export type DataKind = DataType['kind'];

/**
 * How a timestamp is written in JSON and CSV. Numbers are accepted as JSON numbers and as strings
 * of digits (the Yahoo Streaming Benchmark writes them so). In memory a timestamp is always whole
 * milliseconds since the epoch: `us` is floored.
 * `auto` takes ISO 8601 strings and epoch milliseconds.
 */
export type TimeEncoding = 'iso' | 's' | 'ms' | 'us' | 'auto';

/** One column. `path` is where a record holds it: `['user', 'id']` for a nested field. */
export type Field = {
  readonly name: string;
  readonly path: readonly string[];
  readonly type: DataType;
  /** A missing or null value is accepted and read as null. */
  readonly nullable: boolean;
};

/** The columns of a row, in order. Names are unique. */
export type RowSchema = { readonly fields: readonly Field[] };

/** A JSON value, as `json` columns hold it. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** One row as a plain object: what lambdas get and sinks give. */
export type RowObject = { readonly [name: string]: RowValue };
export type RowValue = null | boolean | number | bigint | string | JsonValue;
