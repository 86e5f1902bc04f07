// What an aggregate keeps for each group of a table. Generated code adds rows one at a time; all
// else goes column at a time: folding partials in, giving partials out, giving results. A new group
// needs no call: cleared storage is the initial state.

import { assert, unreachable } from '../../base/assert.ts';
import type { FunctionId } from '../../expr/expr.ts';
import type { UserFunction } from '../../plan/bindings.ts';
import type { AggregateCall } from '../../plan/logical-plan.ts';
import type { Vector } from '../columnar/batch.ts';
import type { ColumnReader } from '../snapshot/column-reader.ts';
import type { ColumnWriter } from '../snapshot/column-writer.ts';
import type { RowSet } from '../snapshot/row-set.ts';
import { ApproxDistinct } from './approx-distinct.ts';
import { Average, Count, Extreme, FirstOrLast, Sum, SumInt64 } from './number-accumulators.ts';
import { Custom, Distinct, TopK } from './object-accumulators.ts';
import { ExtremeSpan, FirstOrLastSpan } from './span-accumulators.ts';

export type Accumulator =
  | Count
  | Sum
  | SumInt64
  | Average
  | Extreme
  | FirstOrLast
  | ExtremeSpan
  | FirstOrLastSpan
  | Distinct
  | ApproxDistinct
  | TopK
  | Custom;

/** What every accumulator does; the union above is what generated code tells apart by `kind`. */
export type AccumulatorMethods = {
  grow(capacity: number): void;
  /** Back to the initial state for groups [0, count). */
  clear(count: number): void;
  /** Back to the initial state for one group. */
  clearGroup(group: number): void;
  /** Folds in encoded partials: vector row rows[i] goes to groups[i]; rows came later. */
  fold(partials: readonly Vector[], rows: Int32Array, groups: Int32Array): void;
  /** Folds in another accumulator of the same call: its group from[i] goes to groups[i]. */
  merge(other: Accumulator, from: Int32Array, groups: Int32Array): void;
  /** The partial columns of `accumulatorTypes`, one row for each of `groups`. */
  partials(groups: Int32Array): Vector[];
  result(groups: Int32Array): Vector;
  byteSize(capacity: number): number;
  /** Writes the groups as columns; `load` takes them back, exactly. */
  save(to: ColumnWriter, groups: RowSet): void;
  load(from: ColumnReader, groups: RowSet): void;
};

export function createAccumulator(
  call: AggregateCall,
  functions: ReadonlyMap<FunctionId, UserFunction>,
): Accumulator {
  const argument = call.args[0]?.type;
  const isText = call.type.kind === 'string' || call.type.kind === 'json';
  switch (call.fn) {
    case 'count':
      return new Count(call.type);
    case 'sum':
      return call.type.kind === 'int64' ? new SumInt64(call.name) : new Sum();
    case 'avg':
      return new Average(call.name, argument!);
    case 'min':
    case 'max':
      return isText ? new ExtremeSpan(call.fn) : new Extreme(call.fn, call.type);
    case 'first':
    case 'last':
      return isText ? new FirstOrLastSpan(call.fn) : new FirstOrLast(call.fn, call.type);
    case 'count-distinct':
      return new Distinct(argument!, call.type);
    case 'approx-count-distinct':
      return new ApproxDistinct(call.type);
    case 'top-k':
      return new TopK(call);
    case 'custom': {
      const bound = functions.get(call.custom!);
      assert(bound?.kind === 'aggregate', `custom aggregate "${call.name}" is bound`);
      return new Custom(call, bound.aggregate);
    }
    default:
      return unreachable(call.fn);
  }
}
