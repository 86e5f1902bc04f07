// One connection to the database, made when it is needed and again when it was lost. A statement
// whose answer was lost is sent once more: all statements here can be.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { StreamError } from '../../base/stream-error.ts';
import { isLost, isRepeatable, postgresError } from './postgres-errors.ts';
import type { QualifiedName } from './sql-names.ts';

export type SessionOptions = {
  readonly url: string;
  /** What to call it in errors. */
  readonly place: string;
  readonly table: QualifiedName;
  /** How the server's own lists call the connection. */
  readonly application: string;
  readonly reconnectMs: number;
  readonly hooks: SessionHooks | null;
};

/** For tests: what happens around each statement that is sent. */
export type SessionHooks = { around<Result>(send: () => Promise<Result>): Promise<Result> };

export type ResultRow = { readonly [column: string]: unknown };

const connectMsMax = 10_000;
const waitMsFirst = 20;
const waitMsMax = 1_000;
/** Deadlocks between writers of the same keys end by one of them trying again. */
const conflictsMax = 20;

export class PostgresSession {
  readonly #options: SessionOptions;
  #client: Client | null = null;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  async query(text: string, values: readonly unknown[] = []): Promise<readonly ResultRow[]> {
    const { reconnectMs, hooks } = this.#options;
    const deadlineMs = Date.now() + reconnectMs;
    let waitMs = waitMsFirst;
    for (let conflicts = 0; ;) {
      try {
        const send = async (): Promise<readonly ResultRow[]> => {
          const client = await this.#connected();
          return (await client.query<ResultRow>(text, [...values])).rows;
        };
        return await (hooks === null ? send() : hooks.around(send));
      } catch (error) {
        const lost = isLost(error);
        if (lost) this.#drop();
        const again = lost ? Date.now() + waitMs < deadlineMs : conflicts++ < conflictsMax;
        if (this.#closed || !again || !(lost || isRepeatable(error))) throw this.#error(error);
        await sleep(waitMs);
        waitMs = Math.min(waitMs * 2, waitMsMax);
      }
    }
  }

  /** `create … if not exists` of two at once may fail for one of them: then it is there. */
  async makeOnce(statement: string): Promise<void> {
    try {
      await this.query(statement);
    } catch (error) {
      if (!(error instanceof StreamError) || error.fields['sqlState'] !== '23505') throw error;
      await this.query(statement);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const client = this.#client;
    this.#client = null;
    // It may be broken already; there is nothing left to lose on it.
    await client?.end().catch(() => {});
  }

  async #connected(): Promise<Client> {
    if (this.#client !== null) return this.#client;
    const { Client: PgClient } = await driver();
    const client = new PgClient({
      connectionString: this.#options.url,
      application_name: this.#options.application.slice(0, 63),
      connectionTimeoutMillis: connectMsMax,
      keepAlive: true,
    });
    // Without a listener, a connection that breaks while nothing is asked would end the process.
    client.on('error', () => {
      if (this.#client === client) this.#client = null;
    });
    await client.connect();
    // What is committed must outlive the server's crash, as the checkpoints do that rely on it.
    await client.query(
      `select set_config('synchronous_commit', 'on', false)
       where current_setting('synchronous_commit') = 'off'`,
    );
    this.#client = client;
    return client;
  }

  #drop(): void {
    const client = this.#client;
    this.#client = null;
    void client?.end().catch(() => {});
  }

  #error(error: unknown): Error {
    const { url, place, table } = this.#options;
    return postgresError(error, { url, place, table });
  }
}

async function driver(): Promise<{ readonly Client: typeof Client }> {
  try {
    const { default: pg } = await import('pg');
    return pg;
  } catch (cause) {
    throw new StreamError({
      code: 'package-missing',
      message: 'could not load the package "pg", which talks to PostgreSQL',
      hint: 'install it beside mizzle, on all hosts: npm install pg',
      fields: { package: 'pg' },
      cause,
    });
  }
}
