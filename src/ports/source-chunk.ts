// What a source reader hands to a source task: one partition's share of a micro-batch.

import type { RowObject } from '../schema/data-type.ts';

/** What a source partition contributes to a micro-batch, as its reader hands it over. */
export type SourceChunk = {
  /** Source offsets [from, to), in units of the connector (bytes, rows, log offsets). */
  readonly from: number;
  readonly to: number;
  /** Nothing follows, ever. */
  readonly ended: boolean;
  readonly data: SourceData;
};

export type SourceData =
  | { readonly kind: 'none' }
  | {
      /** Whole records in `pieces`, in order; none straddles two pieces. */
      readonly kind: 'bytes';
      readonly pieces: readonly SourcePiece[];
    }
  | {
      readonly kind: 'rows';
      readonly rows: readonly RowObject[];
      /** Absent: row i is at offset `from + i`. */
      readonly places?: RowPlaces;
    };

/** Where rows come from that a connector has made of records in an encoding of its own. */
export type RowPlaces = {
  /** For errors: what `offsets` are offsets of. */
  readonly origin: string;
  /** By row: the offset of its record. */
  readonly offsets: readonly number[];
  /** Records that gave no row because they could not be read. */
  readonly bad: readonly BadSourceRecord[];
};

export type BadSourceRecord = {
  readonly code: string;
  readonly message: string;
  readonly offset: number;
  /** What was there, as text. */
  readonly record: string;
};

export type SourcePiece = {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Where `bytes[start]` comes from, for errors: a file and the byte offset in it. */
  readonly origin: string;
  readonly originOffset: number;
  /** Column names in this piece's order, for CSV read by header; null otherwise. */
  readonly columns: readonly string[] | null;
  /**
   * The offset of the record that the byte at a position in `bytes` is of, where offsets are no
   * byte offsets. Absent: `originOffset` and on, byte by byte.
   */
  readonly locate?: (position: number) => number;
};

/** The offset that an error at a position in `bytes` names. */
export function offsetAt(piece: SourcePiece, position: number): number {
  const { locate, originOffset, start } = piece;
  return locate === undefined ? originOffset + position - start : locate(position);
}
