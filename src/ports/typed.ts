// Sources and sinks with the static type of their rows: what connector functions give to users.

import type { Schema } from '../schema/schema.ts';
import type { Columns } from '../schema/value-type.ts';
import type { Sink } from './sink.ts';
import type { Source } from './source.ts';

/** A source and the schema of its rows: `files({ path, schema })` returns one. */
export type TypedSource<C extends Columns = Columns> = {
  readonly source: Source;
  readonly schema: Schema<C>;
};

/**
 * A sink that demands rows of a type: `TypedSink<{ readonly total: number }>` takes any stream that
 * has a column `total` of numbers. A plain `Sink` takes all.
 */
export type TypedSink<Row> = Sink & {
  /** Static only: nobody calls it, and connectors need not set it. */
  readonly accepts?: (row: Row) => void;
};
