// What a dead-letter sink gets: one row for each record that could not be read, with all that is
// known of it.

import type { RowSchema } from './data-type.ts';

export type DeadLetterRow = {
  /** The source's name in the plan. */
  readonly source: string;
  /** Where the record came from: a file's path. */
  readonly origin: string;
  /** Its place there, in the source's own units: bytes in a file. */
  readonly offset: number;
  /** The column that could not be read; null when the record as a whole is broken. */
  readonly column: string | null;
  readonly reason: string;
  /** The record as it was; bytes that are no UTF-8 are replaced. */
  readonly record: string;
};

export const deadLetterSchema: RowSchema = {
  fields: [
    { name: 'source', path: ['source'], type: { kind: 'string' }, nullable: false },
    { name: 'origin', path: ['origin'], type: { kind: 'string' }, nullable: false },
    { name: 'offset', path: ['offset'], type: { kind: 'float64' }, nullable: false },
    { name: 'column', path: ['column'], type: { kind: 'string' }, nullable: true },
    { name: 'reason', path: ['reason'], type: { kind: 'string' }, nullable: false },
    { name: 'record', path: ['record'], type: { kind: 'string' }, nullable: false },
  ],
};
