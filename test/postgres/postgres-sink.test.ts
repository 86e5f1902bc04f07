// The sink `postgres` against a real server: the suite that all sinks pass, lost connections,
// types, and what it says when something is missing.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { StreamError } from '../../src/base/stream-error.ts';
import { PostgresSink, postgres } from '../../src/connectors/postgres/postgres.ts';
import type { PostgresOptions } from '../../src/connectors/postgres/postgres.ts';
import { rowsAsBatch, sinkContext } from '../../src/connectors/sink-writing.fixture.ts';
import {
  boolean,
  float64,
  generator,
  int32,
  int64,
  json,
  pipeline,
  schema,
  string,
  timestamp,
} from '../../src/index.ts';
import type { RowObject, RowSchema } from '../../src/schema/data-type.ts';
import type { HaltingProcess } from '../../src/testing/halting-process.ts';
import {
  checkKept,
  checkKills,
  checkReopening,
  checkZombies,
} from '../../src/testing/sink-conformance.ts';
import type { NewWorld } from '../../src/testing/sink-conformance.ts';
import { password, startPostgres } from './postgres-server.fixture.ts';
import type { PostgresServer } from './postgres-server.fixture.ts';

let server: PostgresServer;
let admin: pg.Client;
let missing: string | null = null;

before(async () => {
  const started = await startPostgres();
  if (typeof started === 'string') {
    missing = started;
    process.stderr.write(`SKIPPED: tests of the PostgreSQL sink: ${started}\n`);
    return;
  }
  server = started;
  await connectAdmin();
});

after(async () => {
  await admin?.end();
  await server?.remove();
});

async function connectAdmin(): Promise<void> {
  admin = new pg.Client(server.url);
  admin.on('error', () => {});
  await admin.connect();
}

function withServer(name: string, run: () => Promise<void>): void {
  test(name, async (context) => {
    if (missing !== null) context.skip(missing);
    else await run();
  });
}

function newTable(): string {
  return `t_${randomUUID().slice(0, 8)}`;
}

async function rowsOf(table: string, order: string): Promise<RowObject[]> {
  return (await admin.query<RowObject>(`select * from ${table} order by ${order}`)).rows;
}

function worldOf(options: Partial<PostgresOptions>): NewWorld {
  return async () => {
    const table = newTable();
    await admin.query('drop table if exists mizzle_ledger');
    const sink = (process: HaltingProcess): PostgresSink => {
      // A statement is a step; one that is torn is carried out, and nobody hears the answer.
      const around = <Result>(send: () => Promise<Result>): Promise<Result> =>
        process.step(send, async () => void (await send()));
      const url = server.url;
      return new PostgresSink({ url, table, create: true, ...options, hooks: { around } });
    };
    const visible = async (): Promise<RowObject[]> => {
      const exists = await admin.query('select to_regclass($1) as found', [table]);
      if (exists.rows[0].found === null) return [];
      return rowsOf(table, 'partition, batch, row');
    };
    return { sink, visible, fencesForeignRows: true };
  };
}

for (const [name, options, next] of [
  ['append', {}, { term: 2 }],
  ['upsert', { key: ['partition', 'batch', 'row'] }, { incarnation: 2 }],
] as const) {
  withServer(`postgres, ${name}: killed at any step, it loses and repeats nothing`, async () => {
    assert.ok((await checkKills(worldOf(options))) > 15);
  });

  withServer(`postgres, ${name}: a writer that was replaced at any step is fenced`, async () => {
    assert.ok((await checkZombies(worldOf(options), next)) > 4);
  });

  withServer(`postgres, ${name}: a new history keeps what another has left`, async () => {
    assert.ok((await checkKept(worldOf(options))) > 15);
  });

  withServer(`postgres, ${name}: goes on behind what is visible`, async () => {
    await checkReopening(worldOf(options));
  });
}

const counts: RowSchema = {
  fields: [
    { name: 'batch', path: ['batch'], type: { kind: 'int32' }, nullable: false },
    { name: 'row', path: ['row'], type: { kind: 'int32' }, nullable: false },
  ],
};

withServer('postgres: commits whose answers are lost are resolved by the ledger', async () => {
  const table = newTable();
  const sink = postgres({ url: server.url, table, create: true });
  const context = sinkContext(counts, { history: randomUUID() });
  await sink.prepare(context);
  const writer = await sink.open(0, context);
  let isOver = false;
  const killing = (async () => {
    while (!isOver) {
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where application_name like 'mizzle %' and state = 'active'`,
      );
      await sleep(2);
    }
  })();
  const batches = 40;
  for (let batch = 0; batch < batches; batch++) {
    const rows = rowsAsBatch(counts, [
      { batch, row: 0 },
      { batch, row: 1 },
    ]);
    await writer.commit({ batch, rows, watermarkMs: 0 });
  }
  isOver = true;
  await killing;
  await writer.close();
  const expected = Array.from({ length: batches * 2 }, (_, n) => ({ batch: n >> 1, row: n & 1 }));
  assert.deepEqual(await rowsOf(table, 'batch, row'), expected);
});

withServer('postgres: goes on when the server has crashed and comes back', async () => {
  const table = newTable();
  const sink = postgres({ url: server.url, table, create: true });
  const context = sinkContext(counts, { history: randomUUID() });
  await sink.prepare(context);
  const writer = await sink.open(0, context);
  const commit = (batch: number): Promise<void> =>
    writer.commit({ batch, rows: rowsAsBatch(counts, [{ batch, row: 0 }]), watermarkMs: 0 });
  await commit(1);
  await server.crash();
  const waiting = commit(2);
  await server.start();
  await connectAdmin();
  await waiting;
  await writer.close();
  const expected = [1, 2].map((batch) => ({ batch, row: 0 }));
  assert.deepEqual(await rowsOf(table, 'batch'), expected);
});

withServer('postgres: with a key, the last row of each stays', async () => {
  const table = newTable();
  const fields: RowSchema = {
    fields: [
      { name: 'user', path: ['user'], type: { kind: 'string' }, nullable: false },
      { name: 'n', path: ['n'], type: { kind: 'int64' }, nullable: true },
    ],
  };
  const sink = postgres({ url: server.url, table, create: true, key: ['user'] });
  const context = sinkContext(fields, { history: randomUUID() });
  await sink.prepare(context);
  const writers = [await sink.open(0, context), await sink.open(1, context)];
  // Two partitions change the same keys at once, in opposite orders.
  for (let batch = 0; batch < 30; batch++) {
    const users = Array.from({ length: 40 }, (_, n) => ({ user: `u${n}`, n: BigInt(batch) }));
    const [up, down] = [users, users.toReversed()].map((rows) => rowsAsBatch(fields, rows));
    await Promise.all([
      writers[0]!.commit({ batch, rows: up!, watermarkMs: 0 }),
      writers[1]!.commit({ batch, rows: down!, watermarkMs: 0 }),
    ]);
  }
  const last = [
    { user: 'u1', n: 2n ** 62n },
    { user: 'u1', n: -(2n ** 63n) },
    { user: 'u2', n: null },
  ];
  await writers[0]!.commit({ batch: 30, rows: rowsAsBatch(fields, last), watermarkMs: 0 });
  for (const writer of writers) await writer.close();
  const rows = await rowsOf(table, 'user');
  assert.equal(rows.length, 40);
  const byUser = new Map(rows.map((row) => [row['user'], row['n']]));
  assert.deepEqual(
    [byUser.get('u1'), byUser.get('u2'), byUser.get('u3')],
    [String(-(2n ** 63n)), null, '29'],
  );
});

withServer(
  'postgres: every type arrives as it is, in its own column and in wider ones',
  async () => {
    const Row = schema({
      flag: boolean(),
      small: int32(),
      large: int64(),
      ratio: float64(),
      at: timestamp('ms'),
      text: string().nullable(),
      data: json().nullable(),
    });
    const rows = [
      {
        flag: true,
        small: -(2 ** 31),
        large: 2n ** 63n - 1n,
        ratio: 0.1 + 0.2,
        at: Date.UTC(2026, 0, 31, 12, 0, 0, 5),
        text: 'a"b\\c{},NULL\n\té😀',
        data: { a: [1, 'x"'] },
      },
      {
        flag: false,
        small: 0,
        large: -(2n ** 63n),
        ratio: 2 ** 53 - 1,
        at: -62_167_219_200_001,
        text: null,
        data: null,
      },
      {
        flag: true,
        small: 7,
        large: 0n,
        ratio: Number.NaN,
        at: 253_402_300_800_000,
        text: '',
        data: 5,
      },
    ];
    const own = newTable();
    const wide = newTable();
    await admin.query(
      `create table ${wide} (data json, text varchar(40), at timestamp, ratio numeric,
      large numeric, small int8, flag text, id serial)`,
    );
    for (const [table, create] of [
      [own, true],
      [wide, false],
    ] as const) {
      const context = sinkContext({ fields: Row.fields }, { history: table });
      const sink = postgres({ url: server.url, table, create });
      await sink.prepare(context);
      const writer = await sink.open(0, context);
      const batch = rowsAsBatch({ fields: Row.fields }, rows as readonly RowObject[]);
      await writer.commit({ batch: 0, rows: batch, watermarkMs: 0 });
      await writer.close();
      const shown = `flag::text, small::text, large::text, ratio::text, text, data::text,
      to_char(at at time zone 'UTC' at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS BC') as at`;
      const found = await admin.query(
        `set timezone to 'UTC'; select ${shown} from ${table} order by small`,
      );
      const [first, second, third] = (found as unknown as { rows: RowObject[] }[])[1]!.rows;
      assert.deepEqual(first, {
        flag: 'true',
        small: '-2147483648',
        large: '9223372036854775807',
        ratio: '0.30000000000000004',
        text: rows[0]!.text,
        data: table === own ? '{"a": [1, "x\\""]}' : '{"a":[1,"x\\""]}',
        at: '2026-01-31 12:00:00.005 AD',
      });
      assert.deepEqual(
        [second!['large'], second!['ratio'], second!['text'], second!['at']],
        [
          '-9223372036854775808',
          table === own ? '9.007199254740991e+15' : '9007199254740991',
          null,
          '0002-12-31 23:59:59.999 BC',
        ],
      );
      assert.deepEqual(
        [third!['ratio'], third!['text'], third!['at']],
        ['NaN', '', '10000-01-01 00:00:00.000 AD'],
      );
    }
  },
);

/** The error of preparing. */
async function refusal(options: Partial<PostgresOptions>, fields = counts): Promise<StreamError> {
  const sink = postgres({ url: server.url, table: 'nowhere', reconnectMs: 300, ...options });
  const context = sinkContext(fields, { history: randomUUID() });
  const error = await sink.prepare(context).then(
    () => assert.fail('it was refused'),
    (reason: unknown) => reason as StreamError,
  );
  const shown = JSON.stringify([error.message, error.hint, error.fields, String(error.cause)]);
  assert.ok(!shown.includes(password), 'no secret is shown');
  assert.ok(!shown.includes(encodeURIComponent(password)), 'no secret is shown');
  return error;
}

withServer('postgres: says what is missing and what to do', async () => {
  const table = newTable();
  const unknown = await refusal({ table });
  assert.equal(unknown.code, 'table-unknown');
  assert.match(unknown.hint!, /create table if not exists "public"\."t_/);
  await admin.query(`create table ${table} (bach int, row text[], must int not null)`);
  const several = await refusal({ table, key: ['batch'] });
  assert.equal(several.code, 'column-unknown');
  assert.match(several.message, /did you mean "bach"/);
  assert.match(several.message, /column "row".*int32 into text\[\]/);
  assert.match(several.message, /"must" takes no null/);
  assert.match(several.message, /create unique index on/);
  assert.equal((await refusal({ key: ['n'] })).code, 'option-invalid');
  const url = `postgres://guarded:wrong@127.0.0.1:${server.port}/postgres`;
  assert.equal((await refusal({ url })).code, 'postgres-login');
  assert.equal(
    (await refusal({ url: server.url.replace(/postgres$/, 'none') })).code,
    'postgres-database',
  );
  const closed = 'postgres://admin:x@127.0.0.1:1/postgres';
  assert.equal((await refusal({ url: closed })).code, 'postgres-unreachable');
  assert.equal((await refusal({ url: { env: 'NO_SUCH_URL' } })).code, 'environment-missing');
});

withServer('postgres: names the right that is missing', async () => {
  const table = newTable();
  await admin.query(`create table ${table} (batch int, row int)`);
  await admin.query('create table if not exists mizzle_ledger ()');
  const user = newTable();
  await admin.query(`create role ${user} login password 'x'`);
  const url = `postgres://${user}:x@127.0.0.1:${server.port}/postgres`;
  const error = await refusal({ url, table });
  assert.equal(error.code, 'postgres-permission');
  assert.match(error.hint!, /grant insert, select, update on "public"/);
});

withServer('postgres: a row that the table refuses is an error that says why', async () => {
  const table = newTable();
  await admin.query('drop table if exists mizzle_ledger');
  await admin.query(`create table ${table} (batch int check (batch < 5), row int)`);
  const sink = postgres({ url: server.url, table });
  const context = sinkContext(counts, { history: randomUUID() });
  await sink.prepare(context);
  const writer = await sink.open(0, context);
  const rows = rowsAsBatch(counts, [{ batch: 9, row: 0 }]);
  const refused = { code: 'row-refused', message: /violates check constraint/ };
  await assert.rejects(writer.commit({ batch: 9, rows, watermarkMs: 0 }), refused);
  await writer.close();
  assert.equal((await sink.open(0, context)).committedThrough, -1);
});

withServer('postgres: a pipeline writes by all its workers', async () => {
  const table = newTable();
  process.env['MIZZLE_TEST_URL'] = server.url;
  const job = await pipeline('numbers')
    .from(
      generator({
        schema: schema({ n: int32(), at: timestamp('ms') }),
        eventsPerSecond: 1e6,
        events: 1000,
        partitions: 3,
        rows: (index, dueMs) => ({ n: index, at: dueMs }),
      }),
    )
    .to(postgres({ url: { env: 'MIZZLE_TEST_URL' }, table, create: true }))
    .run({ workers: 0 });
  await job.done;
  const { rows } = await admin.query(`select count(*)::int as n, sum(n)::int as sum from ${table}`);
  assert.deepEqual(rows, [{ n: 1000, sum: 499_500 }]);
});
