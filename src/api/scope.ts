// The `e` of `filter((e) => …)`: the columns of a row as expressions, by name (`e['user.id']`) and
// by path where nested (`e.user.id`), beside the ways to escape into plain functions.

import { closestName } from '../base/closest-name.ts';
import type { Expr, FunctionId } from '../expr/expr.ts';
import { columnsReadBy } from '../expr/lambda-columns.ts';
import type { Expression, ExpressionOf } from '../expr/expression.ts';
import { broken, wrap } from '../expr/expression.ts';
import type { CustomAggregate, OperatorContext, UserFunction } from '../plan/bindings.ts';
import type { ColumnType } from '../schema/column-type.ts';
import type { Field, RowObject, RowValue } from '../schema/data-type.ts';
import type { Mistake } from '../schema/mistake.ts';
import { mistake } from '../schema/mistake.ts';
import type { Columns, RowOf, ValueOf, ValueType } from '../schema/value-type.ts';
import type { Aggregate } from './aggregates.ts';
import { customAggregate } from './aggregates.ts';

/** The columns of a row as expressions. */
export type Scope<C extends Columns> = ScopeColumns<C> & ScopeFunctions<C>;

type ScopeColumns<C extends Columns> = {
  readonly [Name in keyof C]: ExpressionOf<C[Name]>;
} & { readonly [Outer in OuterNames<keyof C>]: ScopeColumns<Inner<C, Outer>> };

type OuterNames<Name> = Name extends `${infer Outer}.${string}` ? Outer : never;

type Inner<C extends Columns, Outer extends string> = {
  readonly [Name in keyof C as Name extends `${Outer}.${infer Rest}` ? Rest : never]: C[Name];
};

/** What a scope has beside columns. No column can be called so. */
export type ScopeFunctions<C extends Columns> = {
  /**
   * Computes a value by a plain function of the row. Opaque to the planner. Name the columns that
   * it reads, and only those are read for it.
   *
   * @example
   * stream.filter((e) => e.$lambda(boolean(), ['url'], (row) => new URL(row.url).port === ''));
   */
  $lambda<T extends ValueType>(
    type: ColumnType<T>,
    fn: (row: RowOf<C>, context: OperatorContext) => ValueOf<T>,
  ): ExpressionOf<T>;
  $lambda<T extends ValueType, Name extends keyof C & string>(
    type: ColumnType<T>,
    columns: readonly Name[],
    fn: (row: Pick<RowOf<C>, Name>, context: OperatorContext) => ValueOf<T>,
  ): ExpressionOf<T>;
  /**
   * An aggregate of one's own over typed rows; see `customAggregate`.
   *
   * @example
   * stream.groupBy('user').aggregate((e) => ({
   *   longest: e.$aggregate(float64(), {
   *     init: () => 0,
   *     add: (longest, row) => Math.max(longest, row.url.length),
   *     merge: (left, right) => Math.max(left, right),
   *     result: (longest) => longest,
   *   }),
   * }));
   */
  $aggregate<T extends ValueType, Acc>(
    type: ColumnType<T>,
    aggregate: CustomAggregate<RowOf<C>, Acc, ValueOf<T>>,
  ): Aggregate<T, RowOf<C>>;
};

type ScalarFunction = Extract<UserFunction, { readonly kind: 'scalar' }>['fn'];

/** The functions behind lambda nodes, which have no ids before the plan is made. */
const lambdaFunctions = new WeakMap<Expr, UserFunction>();

export function lambdaFunctionOf(expr: Expr): UserFunction | null {
  return lambdaFunctions.get(expr) ?? null;
}

const pendingId = 'pending' as FunctionId;

/** A scope over the fields; `mistakes` gets the names that were asked for and do not exist. */
export function createScope<C extends Columns>(
  fields: readonly Field[],
  mistakes: Mistake[],
): Scope<C> {
  const functions = {
    $lambda: (type: ColumnType, ...rest: readonly unknown[]): unknown => {
      const fn = rest.at(-1) as ScalarFunction;
      const all = fields.map((field) => field.name);
      const columns = rest.length > 1 ? (rest[0] as readonly string[]) : columnsReadBy(fn, 0, all);
      const unknown = columns.filter((name) => !all.includes(name));
      if (unknown.length > 0) return broken(unknown.map((name) => unknownColumn(name, all)));
      return lambdaExpression({ type, columns, fn });
    },
    $aggregate: customAggregate,
  };
  return scopeObject('', fields, { mistakes, functions }) as Scope<C>;
}

/** The whole row through a plain function. */
export function lambdaExpression(options: {
  readonly type: ColumnType;
  readonly columns: readonly string[];
  readonly fn: ScalarFunction;
}): Expression {
  const { columns, fn } = options;
  const { type, acceptsNull: nullable } = options.type;
  const expr: Expr = { kind: 'lambda', id: pendingId, columns, type, nullable };
  lambdaFunctions.set(expr, { kind: 'scalar', fn: fn as (row: RowObject) => RowValue });
  return wrap(expr, []);
}

export function columnExpression(field: Field): Expression {
  const { name, type, nullable } = field;
  return wrap({ kind: 'column', name, type, nullable }, []);
}

export function unknownColumn(name: string, known: readonly string[]): Mistake {
  const closest = closestName(name, known);
  const hint = closest === null ? `there are ${known.join(', ')}` : `did you mean "${closest}"?`;
  return mistake(`there is no column "${name}"`, hint);
}

function scopeObject(
  prefix: string,
  fields: readonly Field[],
  parts: { readonly mistakes: Mistake[]; readonly functions: object },
): unknown {
  const known = new Map<string, unknown>(Object.entries(prefix === '' ? parts.functions : {}));
  const inside = fields.filter((field) => field.name.startsWith(prefix));
  for (const field of inside) {
    const name = field.name.slice(prefix.length);
    known.set(name, columnExpression(field));
    const [outer = '', ...rest] = name.split('.');
    const nested = rest.length > 0 && !known.has(outer);
    if (nested) known.set(outer, scopeObject(`${prefix}${outer}.`, inside, parts));
  }
  return new Proxy(Object.create(null) as object, {
    get: (_target, name): unknown => {
      if (typeof name === 'symbol') return undefined;
      if (known.has(name)) return known.get(name);
      const names = fields.map((field) => field.name);
      const unknown = unknownColumn(`${prefix}${name}`, names);
      parts.mistakes.push(unknown);
      return broken([unknown]);
    },
    has: (_target, name) => typeof name === 'string' && known.has(name),
  });
}

/** Runs a user's callback; what it throws is a mistake. */
export function callUser<T>(callback: () => T): {
  readonly value: T | null;
  readonly thrown: Mistake | null;
} {
  try {
    return { value: callback(), thrown: null };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return { value: null, thrown: { ...mistake(`the callback threw: ${reason}`), cause } };
  }
}
