// Sinks whose rows arrive in the thread that called `run`: kept in memory, given to an async
// iteration while the job runs, or handed to a function.

import { batchToRows } from '../../data/columnar/rows.ts';
import type { RowObject } from '../../schema/data-type.ts';
import type { Sink, SinkContext, SinkOutput, SinkWriter } from '../../ports/sink.ts';
import { ProcessLedger } from '../process-ledger.ts';

/**
 * A sink that keeps all rows in the thread that called `run`.
 *
 * @example
 * const totals = collect<{ user: string; count: number }>();
 * // after `.to(totals)` and `await job.done`: totals.rows
 * // or while it runs: for await (const row of totals) …
 */
export function collect<Row = RowObject>(): CollectSink<Row> {
  return new CollectSink<Row>();
}

/**
 * A sink that calls `fn` with every row, in the thread that called `run`. What `fn` throws, or a
 * promise of it that is rejected, fails the run.
 *
 * @example
 * forEach<{ user: string }>(async (row, { batch }) => console.log(batch, row.user));
 */
export function forEach<Row = RowObject>(
  fn: (row: Row, arrival: RowArrival) => unknown,
): ForEachSink<Row> {
  return new ForEachSink(fn);
}

export type CollectedBatch<Row> = {
  /** The micro-batch's number. */
  readonly batch: number;
  readonly partition: number;
  readonly rows: readonly Row[];
  /** The sink partition's watermark after the micro-batch, epoch ms. */
  readonly watermarkMs: number;
  /** When its rows could be seen, epoch ms. */
  readonly visibleAtMs: number;
};

/**
 * Keeps every row, in the order they became visible. A new run starts empty; one that resumes goes
 * on behind what is there. Iterating waits for rows until the run has ended or failed; each
 * iteration starts at the first row.
 */
export class CollectSink<Row> implements Sink, AsyncIterable<Row> {
  declare readonly accepts?: (row: Row) => void;
  readonly kind = 'memory';
  readonly description = 'collected in memory';
  readonly location = 'client';
  readonly partitions: 1 | null = null;
  readonly #batches: CollectedBatch<Row>[] = [];
  readonly #rows: Row[] = [];
  readonly #ledger = new ProcessLedger();
  #waiting: (() => void)[] = [];
  #ended = false;

  get rows(): readonly Row[] {
    return this.#rows;
  }

  get batches(): readonly CollectedBatch<Row>[] {
    return this.#batches;
  }

  prepare(context: SinkContext): Promise<void> {
    if (!this.#ledger.keeps(context)) {
      this.#batches.length = 0;
      this.#rows.length = 0;
    }
    this.#ended = false;
    return Promise.resolve();
  }

  async open(partition: number, context: SinkContext): Promise<SinkWriter> {
    const ledger = this.#ledger.open(partition, context);
    const commit = async (output: SinkOutput): Promise<void> => {
      const { batch, watermarkMs } = output;
      const rows = rowsOf<Row>(output);
      ledger.advance(batch);
      for (const row of rows) this.#rows.push(row);
      this.#batches.push({ batch, partition, rows, watermarkMs, visibleAtMs: context.nowMs() });
      this.#wake();
    };
    const { committedThrough } = ledger;
    return { committedThrough, commit, close: () => Promise.resolve() };
  }

  finish(): Promise<void> {
    this.#ended = true;
    this.#wake();
    return Promise.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Row> {
    for (let at = 0; ; at++) {
      while (at === this.#rows.length && !this.#ended) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
      if (at >= this.#rows.length) return;
      yield this.#rows[at];
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** What a function that gets rows may know beside them. */
export type RowArrival = {
  readonly batch: number;
  readonly partition: number;
  readonly watermarkMs: number;
};

/**
 * Calls a function with every row; a micro-batch is committed when its last promise is kept. What
 * the function does outside the process cannot be part of that: a run that resumes in another
 * process may call it again with rows that it has seen.
 */
export class ForEachSink<Row> implements Sink {
  declare readonly accepts?: (row: Row) => void;
  readonly kind = 'callback';
  readonly description = 'a function';
  readonly location = 'client';
  readonly partitions: 1 | null = null;
  readonly #fn: (row: Row, arrival: RowArrival) => unknown;
  readonly #ledger = new ProcessLedger();

  constructor(fn: (row: Row, arrival: RowArrival) => unknown) {
    this.#fn = fn;
  }

  prepare(context: SinkContext): Promise<void> {
    this.#ledger.keeps(context);
    return Promise.resolve();
  }

  async open(partition: number, context: SinkContext): Promise<SinkWriter> {
    const ledger = this.#ledger.open(partition, context);
    const commit = async (output: SinkOutput): Promise<void> => {
      const { batch, watermarkMs } = output;
      ledger.check();
      for (const row of rowsOf<Row>(output)) {
        const result = this.#fn(row, { batch, partition, watermarkMs });
        // Awaiting a plain value would cost every row a microtask.
        if (result instanceof Promise) await result;
      }
      ledger.advance(batch);
    };
    const { committedThrough } = ledger;
    return { committedThrough, commit, close: () => Promise.resolve() };
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }
}

/** The builder has tied `Row` to the schema of the batch. */
function rowsOf<Row>(output: SinkOutput): readonly Row[] {
  return batchToRows(output.rows) as readonly unknown[] as readonly Row[];
}
