// Compares rows as multisets. Doubles may differ in the last digits, since another order of adding
// is as right.

import { canonicalJson } from '../base/canonical-json.ts';
import type { RowObject, RowValue } from '../schema/data-type.ts';

/** What is wrong with `actual`, in words; null when the rows are the same in some order. */
export function rowsDifference(
  expected: readonly RowObject[],
  actual: readonly RowObject[],
): string | null {
  const unmatched = new Map<string, RowObject[]>();
  for (const row of actual) {
    const list = unmatched.get(textBesideNumbers(row));
    if (list === undefined) unmatched.set(textBesideNumbers(row), [row]);
    else list.push(row);
  }
  for (const row of expected) {
    const candidates = unmatched.get(textBesideNumbers(row)) ?? [];
    const index = candidates.findIndex((candidate) => isClose(row, candidate));
    if (index < 0) return `missing row ${canonicalJson(row)}${gotInstead(candidates)}`;
    candidates.splice(index, 1);
  }
  const [extra] = [...unmatched.values()].flat();
  return extra === undefined ? null : `unexpected row ${canonicalJson(extra)}`;
}

const relativeTolerance = 1e-9;

function gotInstead(candidates: readonly RowObject[]): string {
  return candidates.length === 0 ? '' : `; the likest left is ${canonicalJson(candidates[0])}`;
}

function textBesideNumbers(row: RowObject): string {
  const entries = Object.entries(row).map(([name, value]) => [name, isDouble(value) ? '~' : value]);
  return canonicalJson(Object.fromEntries(entries));
}

/** Rows that are equal beside their numbers. */
function isClose(expected: RowObject, actual: RowObject): boolean {
  return Object.entries(expected).every(([name, value]) => {
    const other = actual[name];
    if (!isDouble(value) || !isDouble(other)) return true;
    const size = Math.max(Math.abs(value), Math.abs(other));
    return Math.abs(value - other) <= size * relativeTolerance;
  });
}

function isDouble(value: RowValue): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
