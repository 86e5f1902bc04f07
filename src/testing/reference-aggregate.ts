// Results of the reference: one aggregate over all rows of a window, in order of arrival.
//
// - Rows whose argument is null are skipped; without any other the result is null (count: 0).
// - `min`, `max`, and `by` of top-k order NaN above all numbers; strings go by code points.
// - Counts and sums of int64 are exact; a sum that does not fit into 64 bits is `int64-overflow`.
// - `count-distinct` takes -0 and 0 for one value, and NaN for one. The approximate one is exact
//   here: judge it with a tolerance.
// - `first` takes the least event time, then the earliest arrival; `last` the greatest, then the
//   latest. Without event time (a global window) arrival alone decides.
// - `top-k` skips rows where the value or `by` is null. Bigints in its list become numbers.

import { assert, unreachable } from '../base/assert.ts';
import { canonicalJson } from '../base/canonical-json.ts';
import { StreamError } from '../base/stream-error.ts';
import type { Expr, FunctionId } from '../expr/expr.ts';
import { compareText } from '../expr/interpret.ts';
import type { CustomAggregate } from '../plan/bindings.ts';
import type { AggregateCall } from '../plan/logical-plan.ts';
import type { JsonValue, RowObject, RowValue } from '../schema/data-type.ts';

export type WindowRow = {
  readonly row: RowObject;
  readonly timeMs: number;
  readonly arrival: number;
};

type Scope = {
  readonly value: (expr: Expr, row: RowObject) => RowValue;
  readonly custom: (id: FunctionId) => CustomAggregate;
};

/** A row's argument values, none of them null. */
type Entry = { readonly values: readonly RowValue[]; readonly timeMs: number };

export function aggregateRows(
  call: AggregateCall,
  rows: readonly WindowRow[],
  scope: Scope,
): RowValue {
  if (call.fn === 'custom') return customResult(call, rows, scope);
  const entries: Entry[] = rows
    .map(({ row, timeMs }) => ({ values: call.args.map((arg) => scope.value(arg, row)), timeMs }))
    .filter(({ values }) => !values.includes(null));
  const firsts = entries.map(({ values }) => values[0]);
  switch (call.fn) {
    case 'count':
      return countOf(entries.length, call);
    case 'count-distinct':
    case 'approx-count-distinct': {
      const texts = firsts.map((value) => canonicalJson(value === 0 ? 0 : value));
      return countOf(new Set(texts).size, call);
    }
    case 'sum':
      return firsts.length === 0 ? null : sumOf(firsts);
    case 'avg':
      return firsts.length === 0 ? null : Number(sumOf(firsts)) / firsts.length;
    case 'min':
      return firsts.toSorted(compareValues).at(0) ?? null;
    case 'max':
      return firsts.toSorted(compareValues).at(-1) ?? null;
    case 'first':
      return entries.toSorted((a, b) => a.timeMs - b.timeMs).at(0)?.values[0] ?? null;
    case 'last':
      return entries.toSorted((a, b) => a.timeMs - b.timeMs).at(-1)?.values[0] ?? null;
    case 'top-k':
      return topOf(entries, call.k);
    default:
      return unreachable(call.fn);
  }
}

function countOf(count: number, call: AggregateCall): RowValue {
  return call.type.kind === 'int64' ? BigInt(count) : count;
}

function sumOf(values: readonly RowValue[]): number | bigint {
  if (typeof values[0] !== 'bigint') {
    return values.reduce<number>((sum, value) => sum + Number(value), 0);
  }
  const sum = values.reduce<bigint>((total, value) => {
    assert(typeof value === 'bigint', 'a sum of int64 got something else');
    return total + value;
  }, 0n);
  if (BigInt.asIntN(64, sum) === sum) return sum;
  throw new StreamError({ code: 'int64-overflow', message: 'could not sum int64 values' });
}

function topOf(entries: readonly Entry[], k: number | null): RowValue {
  assert(k !== null, 'top-k lacks its k');
  if (entries.length === 0) return null;
  const best = entries.toSorted((a, b) => compareValues(b.values[1], a.values[1])).slice(0, k);
  return best.map(({ values }) => jsonOf(values[0]));
}

function customResult(call: AggregateCall, rows: readonly WindowRow[], scope: Scope): RowValue {
  assert(call.custom !== null, `the aggregate ${call.name} lacks its functions`);
  const custom = scope.custom(call.custom);
  let accumulator = custom.init();
  for (const { row } of rows) accumulator = custom.add(accumulator, row);
  return custom.result(accumulator) ?? null;
}

function jsonOf(value: RowValue): JsonValue {
  return typeof value === 'bigint' ? Number(value) : value;
}

/** A total order: NaN is above all numbers. */
function compareValues(a: RowValue, b: RowValue): number {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  if (typeof a === 'bigint' && typeof b === 'bigint') return a < b ? -1 : a > b ? 1 : 0;
  const [left, right] = [Number(a), Number(b)];
  if (Number.isNaN(left) || Number.isNaN(right)) {
    return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
  }
  return left - right;
}
