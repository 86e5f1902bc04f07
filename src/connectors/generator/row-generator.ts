// A paced source of rows that a user's function makes. A partition's offset is the ordinal of a row
// in it; partition p has the rows i ≡ p (mod partitions).

import type {
  Source,
  SourceContext,
  SourceLag,
  SourceReader,
  SourceReplayer,
} from '../../ports/source.ts';
import type { SourceChunk } from '../../ports/source-chunk.ts';
import type { TypedSource } from '../../ports/typed.ts';
import type { JsonValue, RowObject } from '../../schema/data-type.ts';
import { rowNester } from '../../schema/nested-rows.ts';
import type { Schema } from '../../schema/schema.ts';
import type { Columns, RowOf } from '../../schema/value-type.ts';
import { checkRate, pacedLayout, pacerOf } from './generator-options.ts';
import type { PacedOptions } from './generator-options.ts';
import type { Pacer } from './pacer.ts';

/** Rows are handed over in no larger portions, since their bytes are not known. */
const rowsPerTakeMax = 16_384;

export type RowGeneratorOptions<Row> = PacedOptions & {
  /** Must be a pure function, so that a range can be made again. */
  readonly rows: (index: number, dueMs: number) => Row;
};

/**
 * Rows made by a function at a steady rate. `rows(index, dueMs)` gets the row's number, from 0, and
 * when it was due (whole epoch ms), and must be pure. Throws a StreamError with code
 * `option-invalid` for a rate or a bound that is none.
 *
 * @example
 * const ticks = generator({
 *   schema: schema({ n: int32(), at: timestamp('ms') }),
 *   eventsPerSecond: 10,
 *   seconds: 60,
 *   rows: (index, dueMs) => ({ n: index, at: dueMs }),
 * });
 */
export function generator<C extends Columns>(
  options: RowGeneratorOptions<RowOf<C>> & { readonly schema: Schema<C> },
): TypedSource<C> {
  const { schema, rows } = options;
  const nest = rowNester(schema);
  const source = new RowGeneratorSource({
    ...options,
    rows: (index, dueMs) => nest(rows(index, dueMs)) as RowObject,
  });
  return { source, schema };
}

export class RowGeneratorSource<Row extends RowObject> implements Source {
  readonly kind = 'generator';
  readonly description: string;
  readonly format = { kind: 'rows' } as const;
  readonly replayable = true;
  readonly #options: RowGeneratorOptions<Row>;

  constructor(options: RowGeneratorOptions<Row>) {
    checkRate('generator', options);
    this.#options = options;
    this.description = `rows, ${options.eventsPerSecond} a second`;
  }

  layout(context: SourceContext): Promise<JsonValue> {
    return Promise.resolve(pacedLayout(this.#options, context));
  }

  partitions(context: SourceContext): Promise<number> {
    return Promise.resolve(pacedLayout(this.#options, context).partitions);
  }

  async open(partition: number, context: SourceContext): Promise<SourceReader> {
    return new RowGeneratorReader(pacerOf(partition, this.#options, context), this.#options.rows);
  }

  async replayer(partition: number, context: SourceContext): Promise<SourceReplayer> {
    const pacer = pacerOf(partition, this.#options, context);
    const read = async (from: number, to: number): Promise<SourceChunk> => {
      pacer.check(to);
      if (from === to) return { from, to, ended: false, data: { kind: 'none' } };
      const rows = rowsOf(pacer, this.#options.rows, { from, to });
      return { from, to, ended: false, data: { kind: 'rows', rows } };
    };
    return { read, close: () => Promise.resolve() };
  }
}

type MakeRow = (index: number, dueMs: number) => RowObject;

function rowsOf(
  pacer: Pacer,
  make: MakeRow,
  { from, to }: { readonly from: number; readonly to: number },
): RowObject[] {
  return Array.from({ length: to - from }, (_, i) => {
    return make(pacer.indexOf(from + i), Math.floor(pacer.dueMs(from + i)));
  });
}

class RowGeneratorReader implements SourceReader {
  readonly #pacer: Pacer;
  readonly #rows: MakeRow;

  constructor(pacer: Pacer, rows: MakeRow) {
    this.#pacer = pacer;
    this.#rows = rows;
  }

  take(_bytesMax: number): SourceChunk {
    const from = this.#pacer.taken;
    const count = Math.min(this.#pacer.backlog(), rowsPerTakeMax);
    if (count === 0) return { from, to: from, ended: this.#pacer.ended, data: { kind: 'none' } };
    const rows = rowsOf(this.#pacer, this.#rows, { from, to: from + count });
    this.#pacer.advance(count);
    return { from, to: from + count, ended: this.#pacer.ended, data: { kind: 'rows', rows } };
  }

  ready(): boolean {
    return this.#pacer.ready();
  }

  onReady(listener: () => void): void {
    this.#pacer.onReady(listener);
  }

  finish(): void {
    this.#pacer.finish();
  }

  lag(): SourceLag {
    return this.#pacer.lag();
  }

  close(): Promise<void> {
    this.#pacer.close();
    return Promise.resolve();
  }
}
