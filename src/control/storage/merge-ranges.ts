// The range log as one: what all writers have logged, in order, each record once. Two writers may
// have logged the same record, when one took over from the other; it must be the same to the byte.

import { storageError } from './storage-errors.ts';

type Named = { readonly source: string; readonly partition: number; readonly batch: number };

/** Throws `range-log-conflict`. */
export function mergeRanges<Range extends Named>(
  ranges: Iterable<Range>,
  afterBatch: number,
  isSame: (a: Range, b: Range) => boolean,
): readonly Range[] {
  const found = new Map<string, Range>();
  for (const range of ranges) {
    if (range.batch <= afterBatch) continue;
    const name = `${range.batch} ${range.partition} ${range.source}`;
    const before = found.get(name);
    if (before !== undefined && !isSame(before, range)) throw conflict(range);
    if (before === undefined) found.set(name, range);
  }
  return [...found.values()].sort(
    (a, b) =>
      a.batch - b.batch ||
      (a.source < b.source ? -1 : a.source > b.source ? 1 : a.partition - b.partition),
  );
}

function conflict({ source, partition, batch }: Named): Error {
  return storageError({
    code: 'range-log-conflict',
    message:
      `could not use the range log: partition ${partition} of the source "${source}" has two ` +
      `ranges for micro-batch ${batch}`,
    hint: 'do two jobs write to the same store under one name? otherwise this is a bug: report it',
    fields: { source, partition, batch },
  });
}
