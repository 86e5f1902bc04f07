// What TypeScript knows of a column: its family, its value and whether null may occur. Phantoms:
// nothing here exists at run time. `Columns` is the static side of a `RowSchema`.

/**
 * A column's family: what may be compared with it and which methods it has. `number` stands for
 * int32 and float64, which are one type to TypeScript.
 */
export type ValueTag = 'boolean' | 'number' | 'int64' | 'timestamp' | 'string' | 'json';

export type ValueType<Tag extends ValueTag = ValueTag, Value = unknown, Null = unknown> = {
  readonly tag: Tag;
  readonly value: Value;
  /** `null` where null may occur, else `never`. */
  readonly missing: Null;
};

export type BooleanType<Null = never> = ValueType<'boolean', boolean, Null>;
export type NumberType<Null = never> = ValueType<'number', number, Null>;
export type Int64Type<Null = never> = ValueType<'int64', bigint, Null>;
export type TimestampType<Null = never> = ValueType<'timestamp', number, Null>;
export type StringType<Value extends string = string, Null = never> = ValueType<
  'string',
  Value,
  Null
>;
export type JsonType<Value = unknown, Null = never> = ValueType<'json', Value, Null>;

/** The static types of a row's columns, by name: `'user.id'` for a nested field. */
export type Columns = { readonly [name: string]: ValueType };

/** What a row holds for a column. */
export type ValueOf<T extends ValueType> = T['value'] | T['missing'];

/** A row as user functions get it and sinks give it. */
export type RowOf<C extends Columns> = { readonly [Name in keyof C]: ValueOf<C[Name]> };

/** The same column where null may occur as well. */
export type Nullable<T extends ValueType> = ValueType<T['tag'], T['value'], null>;

/** Names of the columns of one family. */
export type NamesOf<C extends Columns, Tag extends ValueTag> = {
  [Name in keyof C]: C[Name]['tag'] extends Tag ? Name : never;
}[keyof C] &
  string;

/** Columns from a union of `readonly [name, type]`. */
export type ColumnsFrom<Entry> = { readonly [E in Entry as EntryName<E>]: EntryType<E> };
type EntryName<E> = E extends readonly [infer Name extends string, unknown] ? Name : never;
type EntryType<E> = E extends readonly [string, infer T extends ValueType] ? T : never;
