// Aggregates as users write them inside `aggregate((e) => ({ … }))`. Null values are skipped.

import { tagOf } from '../expr/call.ts';
import type { Operand } from '../expr/expression.ts';
import { Expression } from '../expr/expression.ts';
import type { CustomAggregate, UserFunction } from '../plan/bindings.ts';
import type { AggregateFunction } from '../plan/logical-plan.ts';
import type { ColumnType } from '../schema/column-type.ts';
import type { DataType, RowObject } from '../schema/data-type.ts';
import type { Mistake } from '../schema/mistake.ts';
import { mistake } from '../schema/mistake.ts';
import type {
  Int64Type,
  JsonType,
  NumberType,
  ValueOf,
  ValueTag,
  ValueType,
} from '../schema/value-type.ts';

/** An aggregate over the rows of a group. `Row`: what its own function demands of the rows. */
export class Aggregate<T extends ValueType = ValueType, Row = unknown> {
  /** Static only. */
  declare readonly valueType: T;
  /** Static only. */
  declare readonly accepts: (row: Row) => void;
  readonly spec: AggregateShape;
  readonly mistakes: readonly Mistake[];

  constructor(spec: AggregateShape, mistakes: readonly Mistake[]) {
    this.spec = spec;
    this.mistakes = mistakes;
  }
}

export type AggregateShape = {
  readonly fn: AggregateFunction;
  readonly args: readonly Expression[];
  readonly k: number | null;
  readonly custom: UserFunction | null;
  readonly type: DataType;
  readonly nullable: boolean;
};

const float64: DataType = { kind: 'float64' };
const json: DataType = { kind: 'json' };

/**
 * The number of rows or, with an argument, of values that are not null.
 *
 * @example
 * stream.groupBy('campaign_id').aggregate((e) => ({ views: count(), known: count(e.user_id) }));
 */
export function count(value?: Operand<ValueTag, unknown>): Aggregate<NumberType> {
  const args = value === undefined ? [] : [value];
  return aggregateOf('count', args, { type: float64, nullable: false });
}

/**
 * The sum: float64 of int32 and float64, int64 of int64. Fails rather than wrap.
 *
 * @example
 * stream.groupBy('shop').aggregate((e) => ({ revenue: sum(e.price.mul(e.quantity)) }));
 */
export function sum<N = never>(value: Operand<'number', N>): Aggregate<NumberType<N>>;
export function sum<N = never>(value: Operand<'int64', N>): Aggregate<Int64Type<N>>;
export function sum(value: Operand<'number' | 'int64', unknown>): Aggregate<never> {
  return aggregateOf('sum', [value], { takes: ['number', 'int64'], type: numericType(value) });
}

/**
 * The mean, as float64.
 *
 * @example
 * stream.groupBy('host').aggregate((e) => ({ load: avg(e.load) }));
 */
export function avg<N = never>(value: Operand<'number' | 'int64', N>): Aggregate<NumberType<N>> {
  return aggregateOf('avg', [value], { takes: ['number', 'int64'], type: float64 });
}

/**
 * The least value.
 *
 * @example
 * stream.groupBy('host').aggregate((e) => ({ coldest: min(e.temperature) }));
 */
export function min<T extends ValueType<OrderedTag>>(value: {
  readonly valueType: T;
}): Aggregate<T> {
  return aggregateOf('min', [value], { takes: orderedTags });
}

/**
 * The greatest value.
 *
 * @example
 * stream.groupBy('host').aggregate((e) => ({ hottest: max(e.temperature) }));
 */
export function max<T extends ValueType<OrderedTag>>(value: {
  readonly valueType: T;
}): Aggregate<T> {
  return aggregateOf('max', [value], { takes: orderedTags });
}

/**
 * The first value by event time, ties by arrival; by arrival alone where rows have no time.
 *
 * @example
 * stream.groupBy('user').window(session('30m')).aggregate((e) => ({ entry: first(e.url) }));
 */
export function first<T extends ValueType>(value: { readonly valueType: T }): Aggregate<T> {
  return aggregateOf('first', [value], {});
}

/**
 * The last value by event time, ties by arrival; by arrival alone where rows have no time.
 *
 * @example
 * stream.groupBy('user').window(session('30m')).aggregate((e) => ({ exit: last(e.url) }));
 */
export function last<T extends ValueType>(value: { readonly valueType: T }): Aggregate<T> {
  return aggregateOf('last', [value], {});
}

/**
 * The exact number of different values. Keeps all of them: see `approxCountDistinct` for many.
 *
 * @example
 * stream.groupBy('url').window(tumbling('1m')).aggregate((e) => ({
 *   users: countDistinct(e.user),
 * }));
 */
export function countDistinct(value: Operand<ValueTag, unknown>): Aggregate<NumberType> {
  return aggregateOf('count-distinct', [value], { type: float64, nullable: false });
}

/**
 * About the number of different values, in small and constant space.
 *
 * @example
 * stream.groupBy('url').window(tumbling('1h')).aggregate((e) => ({
 *   users: approxCountDistinct(e.user),
 * }));
 */
export function approxCountDistinct(value: Operand<ValueTag, unknown>): Aggregate<NumberType> {
  return aggregateOf('approx-count-distinct', [value], { type: float64, nullable: false });
}

/** What a list in a json column can hold. */
type ListedTag = Exclude<ValueTag, 'int64'>;

/**
 * The `k` values with the greatest `by`, greatest first, ties by arrival.
 *
 * @example
 * stream.groupBy('shop').window(tumbling('1h')).aggregate((e) => ({
 *   dearest: topK(e.item, { by: e.price, k: 3 }),
 * }));
 */
export function topK<Value, N = never>(
  value: Operand<ListedTag, N, Value>,
  options: { readonly by: Operand<'number' | 'int64' | 'timestamp', unknown>; readonly k: number },
): Aggregate<JsonType<readonly Value[], N>> {
  const { by, k } = options;
  const valid = Number.isSafeInteger(k) && k > 0;
  const nullable = [value, by].some((operand) => isNullable(operand));
  const shape = { type: json, nullable, k: valid ? k : 1 };
  const top = aggregateOf<JsonType<readonly Value[], N>>('top-k', [value, by], shape);
  if (valid) return top;
  return new Aggregate(top.spec, [
    ...top.mistakes,
    mistake(`topK takes a whole k from 1, not ${k}`),
  ]);
}

/**
 * An aggregate of one's own. It gets whole rows; accumulators must be JSON values, any numbers or
 * bigints, `merge` must be associative. Inside `aggregate((e) => …)`, `e.$aggregate` is the same
 * with typed rows.
 *
 * @example
 * const range = customAggregate(float64(), {
 *   init: () => ({ least: Infinity, most: -Infinity }),
 *   add: (acc, row: { readonly price: number }) => ({
 *     least: Math.min(acc.least, row.price),
 *     most: Math.max(acc.most, row.price),
 *   }),
 *   merge: (left, right) => ({
 *     least: Math.min(left.least, right.least),
 *     most: Math.max(left.most, right.most),
 *   }),
 *   result: (acc) => acc.most - acc.least,
 * });
 */
export function customAggregate<T extends ValueType, Acc, Row = RowObject>(
  type: ColumnType<T>,
  aggregate: CustomAggregate<Row, Acc, ValueOf<T>>,
): Aggregate<T, Row> {
  const erased = aggregate as unknown as CustomAggregate;
  const custom: UserFunction = { kind: 'aggregate', aggregate: erased };
  return new Aggregate(
    { fn: 'custom', args: [], k: null, custom, type: type.type, nullable: type.acceptsNull },
    missingParts(erased),
  );
}

function missingParts(aggregate: CustomAggregate): readonly Mistake[] {
  return (['init', 'add', 'merge', 'result'] as const)
    .filter((part) => typeof aggregate[part] !== 'function')
    .map((part) => mistake(`customAggregate lacks the function "${part}"`));
}

type OrderedTag = 'number' | 'int64' | 'timestamp' | 'string';
const orderedTags: readonly ValueTag[] = ['number', 'int64', 'timestamp', 'string'];

type ShapeOptions = {
  readonly takes?: readonly ValueTag[];
  /** Absent: the argument's. */
  readonly type?: DataType;
  readonly nullable?: boolean;
  readonly k?: number;
};

function aggregateOf<T extends ValueType>(
  fn: AggregateFunction,
  operands: readonly unknown[],
  options: ShapeOptions,
): Aggregate<T> {
  const args = operands.filter((operand) => operand instanceof Expression);
  const mistakes = args.flatMap((arg) => arg.mistakes);
  if (args.length < operands.length) mistakes.push(mistake(`${fn} takes columns and expressions`));
  const [value] = args;
  const tag = value === undefined ? null : tagOf(value.expr.type);
  if (options.takes && tag !== null && mistakes.length === 0 && !options.takes.includes(tag)) {
    mistakes.push(
      mistake(`${fn} does not take ${tag} values`, `it takes ${options.takes.join(', ')}`),
    );
  }
  const type = options.type ?? value?.expr.type ?? json;
  const nullable = options.nullable ?? value?.expr.nullable ?? false;
  return new Aggregate({ fn, args, k: options.k ?? null, custom: null, type, nullable }, mistakes);
}

function numericType(value: unknown): DataType {
  const int64 = value instanceof Expression && value.expr.type.kind === 'int64';
  return int64 ? { kind: 'int64' } : float64;
}

function isNullable(operand: unknown): boolean {
  return operand instanceof Expression && operand.expr.nullable;
}
