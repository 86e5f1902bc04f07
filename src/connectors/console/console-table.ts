// A table of results in the terminal: the latest row of each key, redrawn in place. Where the
// output is no terminal, every row is a plain line, without escape codes.

import { StreamError } from '../../base/stream-error.ts';
import type { Batch } from '../../data/columnar/batch.ts';
import { batchToRows } from '../../data/columnar/rows.ts';
import type { Sink, SinkContext, SinkOutput, SinkWriter } from '../../ports/sink.ts';
import { ProcessLedger } from '../process-ledger.ts';
import type { DataType, RowObject, RowSchema, RowValue } from '../../schema/data-type.ts';

/** What the table needs of an output: `process.stdout` has it. */
export type ConsoleOutput = {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

export type ConsoleTableOptions = {
  /** Columns to show, in order. Default: all. */
  readonly columns?: readonly string[];
  /** Rows to show on a terminal at most: those that changed last. Default 20. */
  readonly rows?: number;
  /** A row replaces the one with the same values in these columns. Default: no row does. */
  readonly key?: readonly string[];
  /** Default: standard output. */
  readonly output?: ConsoleOutput;
  /** Default: the process's own; `NO_COLOR` there, if not empty, turns colours off. */
  readonly environment?: { readonly [name: string]: string | undefined };
};

/**
 * Shows rows in the terminal of the process that called `run`. On a terminal the table is drawn
 * anew after each micro-batch; elsewhere each row is printed as `column=value …`. The run rejects
 * with code `column-unknown` when the rows lack a column.
 *
 * @example
 * consoleTable({ columns: ['campaign_id', 'count'], key: ['campaign_id'] });
 */
export function consoleTable(options: ConsoleTableOptions = {}): Sink {
  return new ConsoleTableSink(options);
}

const rowsDefault = 20;
const widthDefault = 80;
const bold = '\u001b[1m';
const plain = '\u001b[0m';
const clearLine = '\u001b[K';
const clearBelow = '\u001b[J';

class ConsoleTableSink implements Sink {
  readonly kind = 'console';
  readonly description = 'a table';
  readonly location = 'client';
  readonly partitions: 1 | null = null;
  readonly #options: ConsoleTableOptions;
  readonly #output: ConsoleOutput;
  /** By key, the one that changed last at the end. */
  readonly #rows = new Map<string, RowObject>();
  readonly #ledger = new ProcessLedger();
  #rowCount = 0;
  #linesDrawn = 0;

  constructor(options: ConsoleTableOptions) {
    this.#options = options;
    this.#output = options.output ?? process.stdout;
  }

  async prepare(context: SinkContext): Promise<void> {
    const { columns = [], key = [] } = this.#options;
    for (const name of [...columns, ...key]) checkColumn(name, context);
    if (this.#ledger.keeps(context)) return;
    this.#rows.clear();
    this.#rowCount = 0;
    this.#linesDrawn = 0;
  }

  async open(partition: number, context: SinkContext): Promise<SinkWriter> {
    const ledger = this.#ledger.open(partition, context);
    const commit = async (output: SinkOutput): Promise<void> => {
      ledger.advance(output.batch);
      if (this.#output.isTTY === true) this.#redraw(output.rows, context.schema);
      else this.#print(output.rows, context.schema);
    };
    const { committedThrough } = ledger;
    return { committedThrough, commit, close: () => Promise.resolve() };
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  #print(batch: Batch, schema: RowSchema): void {
    const columns = this.#columns(schema);
    const lines = batchToRows(batch).map((row) =>
      columns.map(({ name, type }) => `${name}=${cellText(row[name], type)}`).join(' '),
    );
    if (lines.length > 0) this.#output.write(`${lines.join('\n')}\n`);
  }

  #redraw(batch: Batch, schema: RowSchema): void {
    for (const row of batchToRows(batch)) this.#keep(row);
    const columns = this.#columns(schema);
    const cells = this.#shown().map((row) =>
      columns.map(({ name, type }) => cellText(row[name], type)),
    );
    const lines = tableLines(
      columns.map(({ name, type }, index) => ({
        name,
        isNumber: isNumeric(type),
        cells: cells.map((row) => row[index]),
      })),
      cells.length,
    );
    const width = this.#output.columns || widthDefault;
    const drawn = lines.map((line, index) =>
      this.#styled(line.slice(0, width - 1).trimEnd(), index),
    );
    const up = this.#linesDrawn > 0 ? `\u001b[${this.#linesDrawn}A` : '';
    const text = drawn.map((line) => `${line}${clearLine}\n`).join('');
    this.#output.write(`\r${up}${text}${clearBelow}`);
    this.#linesDrawn = drawn.length;
  }

  #keep(row: RowObject): void {
    const { key } = this.#options;
    const values = key?.map((name) => cellText(row[name], null));
    const id = values === undefined ? String(this.#rowCount) : JSON.stringify(values);
    this.#rowCount++;
    this.#rows.delete(id);
    this.#rows.set(id, row);
    const oldest = this.#rows.keys().next().value;
    // Keys that were not seen for long are shown no more, so they need not be kept.
    if (oldest !== undefined && this.#rows.size > this.#rowsMax()) this.#rows.delete(oldest);
  }

  #rowsMax(): number {
    // What has scrolled off the screen could not be drawn over: the head and the cursor fit too.
    // A pseudo terminal may say that it has no rows.
    const fitting = Math.max(1, (this.#output.rows || Infinity) - 2);
    return Math.min(this.#options.rows ?? rowsDefault, fitting);
  }

  /** By key, so that rows keep their places while values change; without one, by arrival. */
  #shown(): readonly RowObject[] {
    const entries = [...this.#rows];
    if (this.#options.key !== undefined) entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return entries.map(([, row]) => row);
  }

  #columns(schema: RowSchema): readonly { readonly name: string; readonly type: DataType }[] {
    const { columns } = this.#options;
    if (columns === undefined) return schema.fields;
    return columns.flatMap((name) => schema.fields.filter((field) => field.name === name));
  }

  #styled(line: string, index: number): string {
    const environment = this.#options.environment ?? process.env;
    const isColoured = (environment['NO_COLOR'] ?? '') === '';
    return index === 0 && isColoured ? `${bold}${line}${plain}` : line;
  }
}

function checkColumn(name: string, context: SinkContext): void {
  const names = context.schema.fields.map((field) => field.name);
  if (names.includes(name)) return;
  throw new StreamError({
    code: 'column-unknown',
    message: `could not show column "${name}" in table "${context.name}": there is none`,
    hint: `the columns are ${names.join(', ')}`,
    fields: { column: name, sink: context.name },
  });
}

type TableColumn = {
  readonly name: string;
  readonly isNumber: boolean;
  readonly cells: readonly string[];
};

function tableLines(columns: readonly TableColumn[], rowCount: number): string[] {
  const padded = columns.map(({ name, isNumber, cells }) => {
    const width = Math.max(name.length, ...cells.map((cell) => cell.length));
    return [name, ...cells].map((cell) => (isNumber ? cell.padStart(width) : cell.padEnd(width)));
  });
  return Array.from({ length: rowCount + 1 }, (_, line) =>
    padded
      .map((cells) => cells[line])
      .join('  ')
      .trimEnd(),
  );
}

function isNumeric(type: DataType): boolean {
  return type.kind === 'int32' || type.kind === 'int64' || type.kind === 'float64';
}

/** `type` null: as in a key. What could move the cursor is shown as `?`. */
function cellText(value: RowValue, type: DataType | null): string {
  if (value === null) return '';
  if (typeof value === 'string') return printable(value);
  if (type?.kind === 'timestamp' && typeof value === 'number') return timeText(value);
  if (typeof value === 'object') return printable(JSON.stringify(value));
  // Sums of decimal fractions are a rounding away from what a person expects.
  if (typeof value === 'number') return String(Number(value.toPrecision(15)));
  return String(value);
}

function timeText(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : String(timeMs);
}

function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}
