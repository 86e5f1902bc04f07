// The failures of PostgreSQL as StreamErrors: one code for each thing a user can do about it.

import { StreamError } from '../../base/stream-error.ts';
import { withoutSecrets } from './postgres-url.ts';
import { quoted, quotedName } from './sql-names.ts';
import type { QualifiedName } from './sql-names.ts';

type Failure = { readonly code: string; readonly hint: string };

const unreachableHint = 'check host and port, and that the server runs and lets this machine in';

/** By SQLSTATE, or its first two characters. */
const failures: ReadonlyMap<string, Failure> = new Map([
  ['28', { code: 'postgres-login', hint: 'check user and password, and the server’s pg_hba.conf' }],
  ['3D', { code: 'postgres-database', hint: 'check the database’s name, or create it' }],
  ['3F', { code: 'table-unknown', hint: 'create the schema, or name another one' }],
  ['53', { code: 'postgres-busy', hint: 'the server lacks connections, memory or disk space' }],
  ['42P01', { code: 'table-unknown', hint: 'somebody has removed it: create it again' }],
  [
    '42703',
    { code: 'column-unknown', hint: 'somebody has changed the table: look at its columns' },
  ],
  [
    '21000',
    {
      code: 'row-refused',
      hint: 'the table takes two keys of one micro-batch for equal: spell keys one way',
    },
  ],
  ['23', { code: 'row-refused', hint: 'a constraint of the table refuses a row: see the message' }],
  ['22', { code: 'value-refused', hint: 'a column of the table cannot hold a value of the rows' }],
]);

const lostStates = /^(08...|57P0[123]|25P03)$/;
const lostCodes = [
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'EAI_AGAIN',
];

/** The connection is gone or could not be made: whether the statement was carried out is open. */
export function isLost(error: unknown): boolean {
  const code = codeOf(error);
  if (lostCodes.includes(code) || lostStates.test(code)) return true;
  return code === '' && error instanceof Error && /connection|timeout/i.test(error.message);
}

/** Of two transactions that got into each other's way, this one was undone. */
export function isRepeatable(error: unknown): boolean {
  return ['40001', '40P01'].includes(codeOf(error));
}

export function postgresError(
  cause: unknown,
  where: { readonly url: string; readonly place: string; readonly table: QualifiedName },
): Error {
  if (cause instanceof StreamError || !(cause instanceof Error)) return cause as Error;
  const state = codeOf(cause);
  const { name, schema } = where.table;
  const detail = 'detail' in cause && typeof cause.detail === 'string' ? ` (${cause.detail})` : '';
  const reason = withoutSecrets(`${cause.message}${detail}`, where.url);
  const message = `could not write to table "${name}" at ${where.place}: ${reason}`;
  return new StreamError({
    ...failureOf(cause, where.table),
    message,
    fields: { table: name, schema, place: where.place, sqlState: state },
    cause: new Error(reason),
  });
}

function failureOf(cause: Error, table: QualifiedName): Failure {
  const state = codeOf(cause);
  if (state === '42501') return { code: 'postgres-permission', hint: grantHint(table) };
  const known = failures.get(state) ?? failures.get(state.slice(0, 2));
  if (known !== undefined && /^[0-9A-Z]{5}$/.test(state)) return known;
  if (isLost(cause) || state === 'ENOTFOUND') {
    return { code: 'postgres-unreachable', hint: unreachableHint };
  }
  return { code: 'postgres-failed', hint: `the server says ${state === '' ? 'no code' : state}` };
}

function grantHint(table: QualifiedName): string {
  const ledger = quotedName({ schema: table.schema, name: 'mizzle_ledger' });
  return (
    `an administrator may run: grant insert, select, update on ${quotedName(table)}, ${ledger} ` +
    `to the user; where a table is to be made: grant create on schema ${quoted(table.schema)}`
  );
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
}
