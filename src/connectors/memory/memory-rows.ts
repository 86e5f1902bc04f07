// Rows from memory as a source: for tests and small fixed inputs. A partition's offset is the
// index of a row in it.

import type {
  Source,
  SourceContext,
  SourceLag,
  SourceReader,
  SourceReplayer,
} from '../../ports/source.ts';
import type { SourceChunk } from '../../ports/source-chunk.ts';
import type { TypedSource } from '../../ports/typed.ts';
import type { RowObject } from '../../schema/data-type.ts';
import { rowNester } from '../../schema/nested-rows.ts';
import type { Schema } from '../../schema/schema.ts';
import type { Columns, RowOf } from '../../schema/value-type.ts';
import { rangeGone } from '../range-gone.ts';

export type MemoryOptions<C extends Columns> = {
  readonly schema: Schema<C>;
  /** Rows that one micro-batch takes from a partition at most. Default 1000. */
  readonly recordsPerBatch?: number;
};

/**
 * Rows from memory, in one partition or several. The job ends after the last row.
 *
 * @example
 * const Click = schema({ user: string(), at: timestamp() });
 * const clicks = memory([{ user: 'a', at: 0 }], { schema: Click });
 */
export function memory<C extends Columns>(
  rows: readonly RowOf<C>[] | { readonly partitions: readonly (readonly RowOf<C>[])[] },
  options: MemoryOptions<C>,
): TypedSource<C> {
  const { schema, recordsPerBatch = 1000 } = options;
  const given = 'partitions' in rows ? rows.partitions : [rows];
  const partitions = given.length === 0 ? [[]] : given;
  const nest = rowNester(schema);
  const records = partitions.map((part) => part.map((row) => nest(row) as RowObject));
  return { source: new MemoryRowsSource(records, recordsPerBatch), schema };
}

export class MemoryRowsSource implements Source {
  readonly kind = 'memory';
  readonly description: string;
  readonly format = { kind: 'rows' } as const;
  readonly replayable = true;
  readonly #partitions: readonly (readonly RowObject[])[];
  readonly #recordsPerBatch: number;

  constructor(partitions: readonly (readonly RowObject[])[], recordsPerBatch: number) {
    this.#partitions = partitions;
    this.#recordsPerBatch = recordsPerBatch;
    const rowCount = partitions.reduce((sum, rows) => sum + rows.length, 0);
    this.description = `${rowCount} rows`;
  }

  partitions(): Promise<number> {
    return Promise.resolve(this.#partitions.length);
  }

  async open(partition: number, { from = 0 }: SourceContext): Promise<SourceReader> {
    const rows = this.#rowsOf(partition, from);
    return new MemoryRowsReader(rows, { from, recordsPerBatch: this.#recordsPerBatch });
  }

  replayer(partition: number): Promise<SourceReplayer> {
    const read = async (from: number, to: number): Promise<SourceChunk> => {
      const rows = this.#rowsOf(partition, to).slice(from, to);
      if (rows.length === 0) return { from, to, ended: false, data: { kind: 'none' } };
      return { from, to, ended: false, data: { kind: 'rows', rows } };
    };
    return Promise.resolve({ read, close: () => Promise.resolve() });
  }

  /** A pipeline that is built anew may have other rows. */
  #rowsOf(partition: number, upTo: number): readonly RowObject[] {
    const rows = this.#partitions[partition] ?? [];
    if (rows.length < upTo) {
      throw rangeGone(`partition ${partition} of rows in memory`, {
        offset: upTo,
        size: rows.length,
      });
    }
    return rows;
  }
}

class MemoryRowsReader implements SourceReader {
  readonly #rows: readonly RowObject[];
  readonly #recordsPerBatch: number;
  #taken: number;
  #finished = false;

  constructor(
    rows: readonly RowObject[],
    options: { readonly from: number; readonly recordsPerBatch: number },
  ) {
    this.#rows = rows;
    this.#taken = options.from;
    this.#recordsPerBatch = options.recordsPerBatch;
  }

  take(_bytesMax: number): SourceChunk {
    const from = this.#taken;
    const count = this.#finished ? 0 : Math.min(this.#recordsPerBatch, this.#rows.length - from);
    this.#taken = from + count;
    const ended = this.#finished || this.#taken === this.#rows.length;
    if (count === 0) return { from, to: from, ended, data: { kind: 'none' } };
    const rows = this.#rows.slice(from, from + count);
    return { from, to: from + count, ended, data: { kind: 'rows', rows } };
  }

  ready(): boolean {
    return true;
  }

  // It is ready from the start, so it never turns so.
  onReady(_listener: () => void): void {}

  finish(): void {
    this.#finished = true;
  }

  lag(): SourceLag {
    return { records: this.#rows.length - this.#taken, bytes: null, ms: null };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
