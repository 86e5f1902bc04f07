// Column types as users write them in a schema: `int32().nullable()`, `string().from('eventType')`.
// Immutable; the static type rides along as a phantom.

import type { DataType, JsonValue, TimeEncoding } from './data-type.ts';
import type {
  BooleanType,
  Int64Type,
  JsonType,
  Nullable,
  NumberType,
  StringType,
  TimestampType,
  ValueType,
} from './value-type.ts';

/** The type of one column of a schema. Made by `string()`, `float64()` and the like. */
export class ColumnType<T extends ValueType = ValueType> {
  /** Static only. */
  declare readonly valueType: T;
  readonly type: DataType;
  readonly acceptsNull: boolean;
  /** Where the record holds the value, from the enclosing object on; null: under its own name. */
  readonly path: readonly string[] | null;

  constructor(type: DataType, acceptsNull: boolean, path: readonly string[] | null) {
    this.type = type;
    this.acceptsNull = acceptsNull;
    this.path = path;
  }

  /**
   * Accepts records in which the value is missing or null.
   *
   * @example
   * schema({ age: int32().nullable() });
   */
  nullable(): ColumnType<Nullable<T>> {
    return new ColumnType(this.type, true, this.path);
  }

  /**
   * Reads the column from another place of the record.
   *
   * @example
   * schema({ kind: string().from('eventType'), city: string().from('address', 'city') });
   */
  from(...path: readonly [string, ...string[]]): ColumnType<T> {
    return new ColumnType(this.type, this.acceptsNull, path);
  }
}

/** Text. Give the values for a closer type: `string<'view' | 'click'>()`. */
export function string<Value extends string = string>(): ColumnType<StringType<Value>> {
  return new ColumnType({ kind: 'string' }, false, null);
}

/** True or false. */
export function boolean(): ColumnType<BooleanType> {
  return new ColumnType({ kind: 'boolean' }, false, null);
}

/** A whole number of 32 bits; others are bad records. */
export function int32(): ColumnType<NumberType> {
  return new ColumnType({ kind: 'int32' }, false, null);
}

/** A whole number of 64 bits, a bigint in rows; never rounded. */
export function int64(): ColumnType<Int64Type> {
  return new ColumnType({ kind: 'int64' }, false, null);
}

/** Any number. */
export function float64(): ColumnType<NumberType> {
  return new ColumnType({ kind: 'float64' }, false, null);
}

/**
 * A point in time: epoch milliseconds in rows, whatever the encoding in the records is.
 *
 * @example
 * schema({ at: timestamp('iso'), seen: timestamp('ms') });
 */
export function timestamp(encoding: TimeEncoding = 'auto'): ColumnType<TimestampType> {
  return new ColumnType({ kind: 'timestamp', encoding }, false, null);
}

/**
 * Any JSON value, kept as it is. State its type, which is trusted.
 *
 * @example
 * schema({ tags: json<string[]>() });
 */
export function json<Value = JsonValue>(): ColumnType<JsonType<Value>> {
  return new ColumnType({ kind: 'json' }, false, null);
}
