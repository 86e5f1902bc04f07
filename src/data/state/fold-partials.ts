// Folding the accumulator columns of partials, and whole accumulators, into accumulators.

import type { Vector } from '../columnar/batch.ts';
import type { Accumulator } from './accumulator.ts';

/** `columns` are those of `accumulatorTypes`, call by call; row rows[i] goes to groups[i]. */
export function foldPartials(
  accumulators: readonly Accumulator[],
  columns: readonly Vector[],
  rows: { readonly rows: Int32Array; readonly groups: Int32Array },
): void {
  let column = 0;
  for (const accumulator of accumulators) {
    const width = partialWidth(accumulator);
    accumulator.fold(columns.slice(column, column + width), rows.rows, rows.groups);
    column += width;
  }
}

/** Group from[i] of `others` goes to groups[i]; both were made for the same calls. */
export function mergeAccumulators(
  accumulators: readonly Accumulator[],
  others: readonly Accumulator[],
  map: { readonly from: Int32Array; readonly groups: Int32Array },
): void {
  for (let index = 0; index < accumulators.length; index++) {
    accumulators[index]!.merge(others[index]! as never, map.from, map.groups);
  }
}

/** Columns of a partial, as in `accumulatorTypes`. */
function partialWidth({ kind }: Accumulator): number {
  return kind === 'avg' || kind === 'first-or-last' || kind === 'first-or-last-span' ? 2 : 1;
}
