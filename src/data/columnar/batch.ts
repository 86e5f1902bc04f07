// Column batches in Arrow's layout: what blocks, sinks and tables hold. Immutable once built.

import type { RowSchema } from '../../schema/data-type.ts';

/** Rows as columns; `vectors[i]` belongs to `schema.fields[i]` and has `rowCount` values. */
export type Batch = {
  readonly schema: RowSchema;
  readonly rowCount: number;
  readonly vectors: readonly Vector[];
};

/**
 * One column. `valid` has 1 or 0 a row and is null when no value is null; values under a 0 are
 * zero, so that equal columns have equal bytes. `number` serves float64 and timestamp, `string`
 * serves string and json: value i is the UTF-8 `bytes[offsets[i], offsets[i + 1])`.
 */
export type Vector =
  | { readonly kind: 'number'; readonly values: Float64Array; readonly valid: Uint8Array | null }
  | { readonly kind: 'int32'; readonly values: Int32Array; readonly valid: Uint8Array | null }
  | { readonly kind: 'int64'; readonly values: BigInt64Array; readonly valid: Uint8Array | null }
  | { readonly kind: 'boolean'; readonly values: Uint8Array; readonly valid: Uint8Array | null }
  | {
      readonly kind: 'string';
      readonly offsets: Int32Array;
      readonly bytes: Uint8Array;
      readonly valid: Uint8Array | null;
    };
