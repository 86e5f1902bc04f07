// The table that remembers, for each sink partition, the last micro-batch that is visible and who
// may write the next. One row of it is what writers meet at: PostgreSQL lets one after the other
// change it, and who waited sees what the other one did.

import { quotedName } from './sql-names.ts';

export type LedgerStatements = {
  readonly create: string;
  /** Fails where rows may not be read and changed. */
  readonly probe: string;
  /** Key, term, incarnation, writer → the last micro-batch; no row: a newer writer was there. */
  readonly take: string;
  /**
   * Pipeline, history, sink, term, incarnation, writer: ends all writers of a history; a row of
   * partition -1 keeps out those that have not opened yet.
   */
  readonly fence: string;
  /** Key → the last micro-batch and the writer. */
  readonly read: string;
  /** Key, micro-batch, writer: part of the statement that adds rows, a row when it may. */
  readonly advance: string;
};

const key = 'pipeline = $1 and history = $2 and sink = $3 and partition = $4::int4';

export function ledgerStatements(schema: string): LedgerStatements {
  const table = quotedName({ schema, name: 'mizzle_ledger' });
  return {
    create: `create table if not exists ${table} (
      pipeline text, history text, sink text, partition int4,
      batch int8 not null, term int8 not null, incarnation int8 not null, writer text not null,
      changed timestamptz not null default now(),
      primary key (pipeline, history, sink, partition))`,
    probe: `with changed as (update ${table} set batch = batch where false returning 1),
      added as (insert into ${table} (pipeline, batch, term, incarnation, writer)
        select '', 0, 0, 0, '' where false returning 1)
      select count(*) from changed, added`,
    take: `insert into ${table} as ledger
      (pipeline, history, sink, partition, batch, term, incarnation, writer)
      select $1::text, $2::text, $3::text, $4::int4, -1, $5::int8, $6::int8, $7::text
      where not exists (select 1 from ${table} as fence
        where fence.pipeline = $1::text and fence.history = $2::text and fence.sink = $3::text
          and fence.partition = -1 and (fence.term, fence.incarnation) > ($5::int8, $6::int8))
      on conflict (pipeline, history, sink, partition) do update
      set term = excluded.term, incarnation = excluded.incarnation, writer = excluded.writer,
        changed = now()
      where (ledger.term, ledger.incarnation) <= (excluded.term, excluded.incarnation)
      returning batch`,
    fence: `with mark as (insert into ${table} as ledger
        (pipeline, history, sink, partition, batch, term, incarnation, writer)
        values ($1::text, $2::text, $3::text, -1, -1, $4::int8, $5::int8, $6::text)
        on conflict (pipeline, history, sink, partition) do update
        set term = excluded.term, incarnation = excluded.incarnation, changed = now()
        where (ledger.term, ledger.incarnation) <= (excluded.term, excluded.incarnation)
        returning 1)
      update ${table}
      set term = $4::int8, incarnation = $5::int8, writer = $6::text, changed = now()
      where pipeline = $1::text and history = $2::text and sink = $3::text and partition >= 0
        and (term, incarnation) <= ($4::int8, $5::int8)`,
    read: `select batch, writer from ${table} where ${key} for update`,
    advance: `update ${table} set batch = $5::int8, changed = now()
      where ${key} and writer = $6 and batch < $5::int8 returning 1`,
  };
}
