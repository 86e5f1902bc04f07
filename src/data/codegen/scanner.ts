// What a record scanner is: bytes of records in, columns of one chunk out. Scanners are generated
// for the fields a plan reads; `json-scanner.ts` and `csv-scanner.ts` make them. A scanner reads a
// hostile record exactly as `JSON.parse` would, or refuses it; it never guesses.

import type { Field } from '../../schema/data-type.ts';

/** Rows that a scanner puts into its columns before the kernel must take them. */
export const scanChunkRows = 1024;

export type ScanSpec = {
  /** The fields that the plan reads, and no others. */
  readonly fields: readonly Field[];
  /** Index in `fields` of the event-time column, or -1. */
  readonly timeField: number;
  /**
   * Conjuncts `fields[field] = value` pushed down by the planner. A record that fails one is not
   * put into the columns, but is checked, counted and timed like any other.
   */
  readonly equals: readonly { readonly field: number; readonly value: string }[];
  /** An event time further than this beyond `nowMs`, or below 0, makes a bad record. */
  readonly timeAheadMsMax: number;
};

/**
 * One scanned column, in the order of `ScanSpec.fields`; `valid` (1 or 0 a row) only where the
 * field is nullable. A timestamp is a `number` column of whole epoch milliseconds. A string (and
 * the text of a json value) is the span [starts[row], ends[row]) of the input; a negative start
 * says that the string had escapes and is the span [~start, ~end) of `scratch`, unescaped. The
 * arrays are the scanner's own and hold until its next `scan`.
 */
export type ScanColumn =
  | { readonly kind: 'number'; readonly values: Float64Array; readonly valid: Uint8Array | null }
  | { readonly kind: 'int32'; readonly values: Int32Array; readonly valid: Uint8Array | null }
  | { readonly kind: 'int64'; readonly values: BigInt64Array; readonly valid: Uint8Array | null }
  | { readonly kind: 'boolean'; readonly values: Uint8Array; readonly valid: Uint8Array | null }
  | {
      readonly kind: 'string';
      readonly starts: Int32Array;
      readonly ends: Int32Array;
      readonly valid: Uint8Array | null;
    };

/** Why a record was refused. Offsets are indices of the scanned input. */
export type ScanError = {
  /** Stable: `json-syntax`, `json-type`, `json-missing`, `number-range`, `time-range`, `utf8`, … */
  readonly code: string;
  readonly message: string;
  /** The record's bytes, [start, end), without its line end. */
  readonly start: number;
  readonly end: number;
  /** Where in the input it went wrong. */
  readonly offset: number;
  /** The field's name, or null when the record as such is malformed. */
  readonly field: string | null;
};

export type Scanner = {
  readonly columns: readonly ScanColumn[];
  /** Holds the unescaped strings of the chunk; may be replaced when it grows. */
  scratch: Uint8Array;
  /** Where the next scan starts: the end of the last record read, behind its line end. */
  position: number;
  /** Good records of the last scan, also those that `equals` kept out of the columns. */
  records: number;
  /** Greatest event time of the last scan's good records; -Infinity when there was none. */
  timeMax: number;
  /** The bad records of the last scan. */
  readonly errors: ScanError[];
  /**
   * Reads records of input[from, to) until the chunk is full or the input ends, and gives the
   * number of rows in the columns. `scanChunkRows` bad records also fill a chunk, so only
   * `position` tells whether the input has ended. The input holds whole records; only the last may
   * lack its line end. Never reads beyond `to`.
   */
  scan(input: Uint8Array, from: number, to: number, nowMs: number): number;
};
