// Rows into a table of PostgreSQL, exactly once: the rows of a micro-batch and its ledger entry are
// one statement, which happens or does not. Entry `mizzle/postgres`.

import { randomUUID } from 'node:crypto';
import { assert } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { Sink, SinkContext, SinkOutput, SinkWriter } from '../../ports/sink.ts';
import type { RowSchema } from '../../schema/data-type.ts';
import { fenced } from '../fenced.ts';
import { columnParameters } from './column-parameters.ts';
import { ledgerStatements } from './ledger.ts';
import type { LedgerStatements } from './ledger.ts';
import { PostgresSession } from './postgres-session.ts';
import type { SessionHooks } from './postgres-session.ts';
import { describePlace, resolveUrl } from './postgres-url.ts';
import type { PostgresUrl } from './postgres-url.ts';
import { qualifiedName } from './sql-names.ts';
import type { QualifiedName } from './sql-names.ts';
import { createStatement, insertStatement } from './table-statements.ts';
import { describeTable, targetColumns } from './target-table.ts';
import type { TargetColumn } from './target-table.ts';

export type PostgresOptions = {
  /**
   * `postgres://user:password@host:5432/database`, or the environment variable that holds it:
   * `{ env: 'DATABASE_URL' }`. On a cluster every host reads its own environment.
   */
  readonly url: PostgresUrl;
  /** `orders`, or with its schema `shop.orders`. Default schema: `public`. */
  readonly table: string;
  /**
   * Columns by which a row replaces the one that is there. They need a unique index, and no nulls.
   * Default: every row is added.
   */
  readonly key?: readonly string[];
  /** Makes the table if there is none. Default false. */
  readonly create?: boolean;
  /** For how long a lost connection is sought again, ms. Default 30,000. */
  readonly reconnectMs?: number;
};

/**
 * Writes rows into a table, by name of column. Adds them, or with `key` replaces rows of the same
 * key: of those of one sink partition, the last stays. Rows and a row of the table `mizzle_ledger`,
 * in the same schema, are committed together once per micro-batch, so each row counts once, also
 * over restarts; don't change that table. Opens a connection for each sink partition. Needs the
 * package `pg`, on all hosts.
 *
 * boolean, int32, int64, float64, timestamp, string and json become boolean, integer, bigint,
 * double precision, timestamptz, text and jsonb; a table of your own may have wider types: numeric
 * for all numbers, and for strings whatever reads them. The run rejects with
 * `postgres-unreachable`, `postgres-login`, `postgres-permission`, `table-unknown`,
 * `column-unknown`, `column-type`, `key-index`, `row-refused` and the like.
 *
 * @example
 * postgres({ url: { env: 'DATABASE_URL' }, table: 'totals', key: ['user'], create: true });
 */
export function postgres(options: PostgresOptions): Sink {
  return new PostgresSink(options);
}

const reconnectMsDefault = 30_000;

export class PostgresSink implements Sink {
  readonly kind = 'postgres';
  readonly description: string;
  readonly location = 'worker';
  readonly partitions: 1 | null = null;
  readonly #options: PostgresOptions & { readonly hooks?: SessionHooks };
  readonly #table: QualifiedName;

  constructor(options: PostgresOptions & { readonly hooks?: SessionHooks }) {
    const { url, table, key } = options;
    if (key !== undefined && key.length === 0) refuse('the key has no columns', 'leave it out');
    if (/^\.|\.$|^$/.test(table)) refuse(`the table is called "${table}"`, 'give its name');
    this.#options = options;
    this.#table = qualifiedName(table);
    const how = key === undefined ? '' : `, by ${key.join(', ')}`;
    this.description = `${table} at ${describePlace(url)}${how}`;
  }

  async prepare(context: SinkContext): Promise<void> {
    const { create = false, key = null } = this.#options;
    const ledger = ledgerStatements(this.#table.schema);
    const session = this.#session(`prepare ${context.name}`);
    try {
      checkKey(key, context.schema);
      if (create) await session.makeOnce(createStatement(this.#table, context.schema, key));
      await this.#columns(session, context.schema);
      await session.makeOnce(ledger.create);
      await session.query(ledger.probe);
      const { pipeline, keeps, term, incarnation } = context.run;
      for (const history of keeps ?? []) {
        const former = [pipeline, history, context.name, term, incarnation, randomUUID()];
        await session.query(ledger.fence, former);
      }
    } finally {
      await session.close();
    }
  }

  async open(partition: number, context: SinkContext): Promise<SinkWriter> {
    const session = this.#session(`${context.name} ${partition}`);
    try {
      const columns = await this.#columns(session, context.schema);
      const { key = null } = this.#options;
      const ledger = ledgerStatements(this.#table.schema);
      const insert = insertStatement({ table: this.#table, columns, key, ledger: ledger.advance });
      const writer = new PostgresWriter({
        session,
        ledger,
        insert,
        columns,
        key,
        partition,
        context,
        target: this.#options.table,
      });
      await writer.take();
      return writer;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  async #columns(session: PostgresSession, schema: RowSchema): Promise<readonly TargetColumn[]> {
    const { key = null, table } = this.#options;
    const found = await describeTable(session, this.#table);
    const create = createStatement(this.#table, schema, key);
    return targetColumns(found, { schema, key, table, create });
  }

  #session(what: string): PostgresSession {
    const { hooks, reconnectMs = reconnectMsDefault } = this.#options;
    return new PostgresSession({
      url: resolveUrl(this.#options.url),
      place: describePlace(this.#options.url),
      table: this.#table,
      application: `mizzle ${what}`,
      reconnectMs,
      hooks: hooks ?? null,
    });
  }
}

type WriterParts = {
  readonly session: PostgresSession;
  readonly ledger: LedgerStatements;
  readonly insert: string;
  readonly columns: readonly TargetColumn[];
  readonly key: readonly string[] | null;
  readonly partition: number;
  readonly context: SinkContext;
  readonly target: string;
};

class PostgresWriter implements SinkWriter {
  readonly #parts: WriterParts;
  /** Whoever writes another one into the ledger has taken over. */
  readonly #token = randomUUID();
  #committedThrough = -1;
  #through = -1;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  /** Fences older writers and reads the ledger: a statement that waits for commits under way. */
  async take(): Promise<void> {
    const { session, ledger, context } = this.#parts;
    const { term, incarnation } = context.run;
    const values = [...this.#key(), term, incarnation, this.#token];
    const [row] = await session.query(ledger.take, values);
    if (row === undefined) throw this.#fenced();
    this.#committedThrough = Number(row['batch']);
    this.#through = this.#committedThrough;
  }

  get committedThrough(): number {
    return this.#committedThrough;
  }

  /**
   * The statement may be sent twice, when the connection was lost before the answer: only one of
   * the two is carried out, for each asks for an older entry.
   */
  async commit({ batch, rows }: SinkOutput): Promise<void> {
    const { session, ledger, insert, columns, key } = this.#parts;
    assert(batch > this.#through, 'micro-batches are committed in order, each once');
    if (rows.rowCount > 0) {
      const cells = columnParameters(rows, columns, key);
      const values = [...this.#key(), batch, this.#token, ...cells];
      const [row] = await session.query(insert, values);
      if (Number(row?.['advanced']) === 1) return this.#advance(batch);
    }
    const [found] = await session.query(ledger.read, this.#key());
    if (found === undefined || found['writer'] !== this.#token) throw this.#fenced();
    // Without rows there is nothing to remember.
    if (rows.rowCount === 0 || Number(found['batch']) === batch) return this.#advance(batch);
    const through = Number(found['batch']);
    const { target } = this.#parts;
    throw new StreamError({
      code: 'ledger-changed',
      message: `could not write micro-batch ${batch} to "${target}": the ledger is at ${through}`,
      hint: 'only the engine may change the table mizzle_ledger',
      fields: { target, batch, through },
    });
  }

  close(): Promise<void> {
    return this.#parts.session.close();
  }

  #advance(batch: number): void {
    this.#through = batch;
  }

  #key(): (string | number)[] {
    const { context, partition } = this.#parts;
    const { name, run } = context;
    return [run.pipeline, run.history, name, partition];
  }

  #fenced(): StreamError {
    return fenced(this.#parts.target, this.#parts.partition);
  }
}

function checkKey(key: readonly string[] | null, schema: RowSchema): void {
  for (const name of key ?? []) {
    const field = schema.fields.find((other) => other.name === name);
    if (field !== undefined && !field.nullable) continue;
    const names = schema.fields.map((other) => other.name).join(', ');
    refuse(
      field === undefined
        ? `the key's column "${name}" is none`
        : `the key's "${name}" may be null`,
      field === undefined
        ? `the columns are ${names}`
        : 'replace nulls first, or choose another key',
    );
  }
}

function refuse(what: string, hint: string): never {
  const message = `could not set up "postgres": ${what}`;
  throw new StreamError({ code: 'option-invalid', message, hint, fields: { sink: 'postgres' } });
}
