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
  | { readonly kind: 'rows'; readonly rows: readonly RowObject[] };

export type SourcePiece = {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Where `bytes[start]` comes from, for errors: a file and the byte offset in it. */
  readonly origin: string;
  readonly originOffset: number;
  /** Column names in this piece's order, for CSV read by header; null otherwise. */
  readonly columns: readonly string[] | null;
};
