// Expressions as users build them: `e.price.mul(e.quantity).gt(100)`. Immutable wrappers of `Expr`
// nodes, one class a family of types, so that only what exists can be called. A wrong argument
// becomes a mistake that the pipeline reports; nothing here throws.

import type { DataType, RowValue } from '../schema/data-type.ts';
import type { Mistake } from '../schema/mistake.ts';
import type { ValueTag, ValueType } from '../schema/value-type.ts';
import type { DateUnit } from './call.ts';
import { buildCall, literalExpr, tagOf } from './call.ts';
import type { Expr, FunctionName } from './expr.ts';

/** An expression of a family of types, for parameters. */
export type Operand<Tag extends ValueTag, Null = never, Value = unknown> = {
  readonly valueType: ValueType<Tag, Value, Null>;
};

/** `null` where the operand may be null; a plain value never is. */
export type NullOf<O> = O extends { readonly valueType: { readonly missing: infer Null } }
  ? Null
  : never;

/** The class for a static type. */
export type ExpressionOf<T extends ValueType> = T['tag'] extends 'number'
  ? NumberExpression<T['missing']>
  : T['tag'] extends 'string'
    ? StringExpression<T['value'] & string, T['missing']>
    : T['tag'] extends 'timestamp'
      ? TimestampExpression<T['missing']>
      : T['tag'] extends 'boolean'
        ? BooleanExpression<T['missing']>
        : T['tag'] extends 'int64'
          ? Int64Expression<T['missing']>
          : JsonExpression<T['value'], T['missing']>;

/** Something computed from the columns of a row. */
export class Expression<T extends ValueType = ValueType> {
  /** Static only. */
  declare readonly valueType: T;
  readonly expr: Expr;
  readonly mistakes: readonly Mistake[];

  constructor(expr: Expr, mistakes: readonly Mistake[]) {
    this.expr = expr;
    this.mistakes = mistakes;
  }

  /** Never null itself. */
  isNull(): BooleanExpression {
    return call('is-null', [this]);
  }

  /** Never null itself. */
  isNotNull(): BooleanExpression {
    return this.isNull().not();
  }
}

/** What all expressions but json ones can do. `Literal`: plain values that stand for operands. */
abstract class Comparable<
  Tag extends ValueTag,
  Value,
  Null,
  Literal extends RowValue,
> extends Expression<ValueType<Tag, Value, Null>> {
  /** Null when either side is. */
  eq<O extends Literal | Operand<Tag, unknown>>(other: O): BooleanExpression<Null | NullOf<O>> {
    return call('eq', [this, other]);
  }

  ne<O extends Literal | Operand<Tag, unknown>>(other: O): BooleanExpression<Null | NullOf<O>> {
    return call('ne', [this, other]);
  }

  /** Equals one of the values. */
  in(values: readonly Literal[]): BooleanExpression<Null> {
    return call('in', [this, ...values]);
  }

  /** The first of both that is not null. */
  coalesce<O extends Literal | Operand<Tag, unknown, Value>>(
    other: O,
  ): ExpressionOf<ValueType<Tag, Value, NullOf<O>>> {
    return call('coalesce', [this, other]);
  }

  /** As JSON writes it; times as ISO 8601. */
  asString(): StringExpression<string, Null> {
    return call('to-string', [this]);
  }
}

abstract class Ordered<
  Tag extends ValueTag,
  Value,
  Null,
  Literal extends RowValue,
> extends Comparable<Tag, Value, Null, Literal> {
  lt<O extends Literal | Operand<Tag, unknown>>(other: O): BooleanExpression<Null | NullOf<O>> {
    return call('lt', [this, other]);
  }

  le<O extends Literal | Operand<Tag, unknown>>(other: O): BooleanExpression<Null | NullOf<O>> {
    return call('le', [this, other]);
  }

  gt<O extends Literal | Operand<Tag, unknown>>(other: O): BooleanExpression<Null | NullOf<O>> {
    return call('gt', [this, other]);
  }

  ge<O extends Literal | Operand<Tag, unknown>>(other: O): BooleanExpression<Null | NullOf<O>> {
    return call('ge', [this, other]);
  }
}

/** True, false or, where `Null` says so, null: logic has three values as in SQL. */
export class BooleanExpression<Null = never> extends Comparable<'boolean', boolean, Null, boolean> {
  /** False when one side is false, even if the other is null. */
  and<O extends boolean | Operand<'boolean', unknown>>(
    other: O,
  ): BooleanExpression<Null | NullOf<O>> {
    return call('and', [this, other]);
  }

  /** True when one side is true, even if the other is null. */
  or<O extends boolean | Operand<'boolean', unknown>>(
    other: O,
  ): BooleanExpression<Null | NullOf<O>> {
    return call('or', [this, other]);
  }

  not(): BooleanExpression<Null> {
    return call('not', [this]);
  }

  /** 1 or 0. */
  toFloat64(): NumberExpression<Null> {
    return call('to-float64', [this]);
  }
}

/** int32 or float64. Arithmetic gives float64. */
export class NumberExpression<Null = never> extends Ordered<'number', number, Null, number> {
  add<O extends number | Operand<'number', unknown>>(other: O): NumberExpression<Null | NullOf<O>> {
    return call('add', [this, other]);
  }

  sub<O extends number | Operand<'number', unknown>>(other: O): NumberExpression<Null | NullOf<O>> {
    return call('sub', [this, other]);
  }

  mul<O extends number | Operand<'number', unknown>>(other: O): NumberExpression<Null | NullOf<O>> {
    return call('mul', [this, other]);
  }

  /** By zero as in JavaScript: infinite or NaN. */
  div<O extends number | Operand<'number', unknown>>(other: O): NumberExpression<Null | NullOf<O>> {
    return call('div', [this, other]);
  }

  mod<O extends number | Operand<'number', unknown>>(other: O): NumberExpression<Null | NullOf<O>> {
    return call('mod', [this, other]);
  }

  neg(): NumberExpression<Null> {
    return call('neg', [this]);
  }

  abs(): NumberExpression<Null> {
    return call('abs', [this]);
  }

  floor(): NumberExpression<Null> {
    return call('floor', [this]);
  }

  ceil(): NumberExpression<Null> {
    return call('ceil', [this]);
  }

  round(): NumberExpression<Null> {
    return call('round', [this]);
  }

  toFloat64(): NumberExpression<Null> {
    return call('to-float64', [this]);
  }

  /** Null where there is no such int64. */
  toInt64(): Int64Expression<Null | null> {
    return call('to-int64', [this]);
  }

  /** From epoch milliseconds; null where not finite. */
  toTimestamp(): TimestampExpression<null> {
    return call('to-timestamp', [this]);
  }
}

/** A 64-bit integer. Arithmetic fails rather than wrap. */
export class Int64Expression<Null = never> extends Ordered<'int64', bigint, Null, bigint | number> {
  add<O extends bigint | number | Operand<'int64', unknown>>(
    other: O,
  ): Int64Expression<Null | NullOf<O>> {
    return call('add', [this, other]);
  }

  sub<O extends bigint | number | Operand<'int64', unknown>>(
    other: O,
  ): Int64Expression<Null | NullOf<O>> {
    return call('sub', [this, other]);
  }

  mul<O extends bigint | number | Operand<'int64', unknown>>(
    other: O,
  ): Int64Expression<Null | NullOf<O>> {
    return call('mul', [this, other]);
  }

  /** Truncates; null by zero. */
  div(other: bigint | number | Operand<'int64', unknown>): Int64Expression<null> {
    return call('div', [this, other]);
  }

  /** Null by zero. */
  mod(other: bigint | number | Operand<'int64', unknown>): Int64Expression<null> {
    return call('mod', [this, other]);
  }

  neg(): Int64Expression<Null> {
    return call('neg', [this]);
  }

  abs(): Int64Expression<Null> {
    return call('abs', [this]);
  }

  /** The nearest float64: exact up to 2⁵³. */
  toFloat64(): NumberExpression<Null> {
    return call('to-float64', [this]);
  }

  /** From epoch milliseconds. */
  toTimestamp(): TimestampExpression<Null> {
    return call('to-timestamp', [this]);
  }
}

/** A point in time; literals are epoch milliseconds. */
export class TimestampExpression<Null = never> extends Ordered<'timestamp', number, Null, number> {
  /** Later by so many milliseconds; null where a computed number of them is not finite. */
  add(ms: number): TimestampExpression<Null>;
  add(ms: Operand<'number', unknown>): TimestampExpression<null>;
  add(ms: number | Operand<'number', unknown>): never {
    return call('add', [this, asNumber(ms)]);
  }

  /** Milliseconds between two times, or the time so many milliseconds earlier. */
  sub<O extends Operand<'timestamp', unknown>>(time: O): NumberExpression<Null | NullOf<O>>;
  sub(ms: number): TimestampExpression<Null>;
  sub(ms: Operand<'number', unknown>): TimestampExpression<null>;
  sub(other: number | Operand<'number' | 'timestamp', unknown>): never {
    return call('sub', [this, asNumber(other)]);
  }

  /**
   * The start of the second, minute, hour, day, week (Monday), month or year, in UTC.
   *
   * @example
   * stream.groupBy((e) => ({ day: e.at.dateTrunc('day') }));
   */
  dateTrunc(unit: DateUnit): TimestampExpression<Null> {
    return call('date-trunc', [unit, this]);
  }

  /** Epoch milliseconds. */
  toFloat64(): NumberExpression<Null> {
    return call('to-float64', [this]);
  }

  /** Epoch milliseconds; null for times that no int64 can hold. */
  toInt64(): Int64Expression<null> {
    return call('to-int64', [this]);
  }
}

/** Text. Order is that of its UTF-8 bytes, positions and lengths count code points. */
export class StringExpression<Value extends string = string, Null = never> extends Ordered<
  'string',
  Value,
  Null,
  Value
> {
  concat<O extends string | Operand<'string', unknown>>(
    other: O,
  ): StringExpression<string, Null | NullOf<O>> {
    return call('concat', [this, other]);
  }

  lower(): StringExpression<string, Null> {
    return call('lower', [this]);
  }

  upper(): StringExpression<string, Null> {
    return call('upper', [this]);
  }

  trim(): StringExpression<string, Null> {
    return call('trim', [this]);
  }

  length(): NumberExpression<Null> {
    return call('length', [this]);
  }

  /** From position `start`, counted from 0; `length` code points or all that follow. */
  substring(start: number, length?: number): StringExpression<string, Null> {
    return call('substring', length === undefined ? [this, start] : [this, start, length]);
  }

  startsWith<O extends string | Operand<'string', unknown>>(
    prefix: O,
  ): BooleanExpression<Null | NullOf<O>> {
    return call('starts-with', [this, prefix]);
  }

  endsWith<O extends string | Operand<'string', unknown>>(
    suffix: O,
  ): BooleanExpression<Null | NullOf<O>> {
    return call('ends-with', [this, suffix]);
  }

  contains<O extends string | Operand<'string', unknown>>(
    part: O,
  ): BooleanExpression<Null | NullOf<O>> {
    return call('contains', [this, part]);
  }

  /** Null where the text is no number. */
  toFloat64(): NumberExpression<null> {
    return call('to-float64', [this]);
  }

  /** Null where the text is no 64-bit integer. */
  toInt64(): Int64Expression<null> {
    return call('to-int64', [this]);
  }

  /** From ISO 8601; null where the text is none. */
  toTimestamp(): TimestampExpression<null> {
    return call('to-timestamp', [this]);
  }
}

/** Any JSON value. Opaque to expressions: look into it by a lambda. */
export class JsonExpression<Value = unknown, Null = never> extends Expression<
  ValueType<'json', Value, Null>
> {
  /** The first of both that is not null. */
  coalesce<O extends Operand<'json', unknown, Value>>(other: O): JsonExpression<Value, NullOf<O>> {
    return call('coalesce', [this, other]);
  }

  /** The value's JSON text. */
  asString(): StringExpression<string, Null> {
    return call('to-string', [this]);
  }
}

/** The static type of an operand: an expression's own, or that of a plain value. */
export type TypeOf<Value> = Value extends { readonly valueType: infer T extends ValueType }
  ? T
  : Value extends boolean
    ? ValueType<'boolean', boolean, never>
    : Value extends number
      ? ValueType<'number', number, never>
      : Value extends bigint
        ? ValueType<'int64', bigint, never>
        : Value extends string
          ? ValueType<'string', Value, never>
          : never;

export type Literal = boolean | number | bigint | string;

/**
 * A constant.
 *
 * @example
 * stream.select((e) => ({ ad_id: e.ad_id, kind: literal('view') }));
 */
export function literal<const Value extends Literal>(value: Value): ExpressionOf<TypeOf<Value>> {
  return wrap(literalExpr(value, null), []);
}

/** An operand of `iff`: an expression, a plain value or null. */
export type Choice = Literal | null | { readonly valueType: ValueType };

/** The type of a choice. Both sides must be of one family. */
export type Chosen<A, B> = ValueType<
  TypeOf<A | B>['tag'],
  TypeOf<A | B>['value'],
  TypeOf<A | B>['missing'] | Extract<A | B, null>
>;

/**
 * A choice: `then` where the condition is true, `otherwise` where it is false or null.
 *
 * @example
 * stream.groupBy('user').aggregate((e) => ({ clicks: sum(iff(e.kind.eq('click'), 1, 0)) }));
 */
export function iff<const A extends Choice, const B extends SameFamily<A>>(
  condition: Operand<'boolean', unknown>,
  then: A,
  otherwise: B,
): ExpressionOf<Chosen<A, B>> {
  const model = [then, otherwise].find((choice) => choice instanceof Expression)?.expr.type;
  const [first, second] = [then, otherwise].map((choice) => asExpression(choice, model ?? null));
  return call('if', [condition, first, second]);
}

type SameFamily<A> = A extends null
  ? Choice
  : | null
    | { readonly valueType: ValueType<TypeOf<A>['tag']> }
    | {
        boolean: boolean;
        number: number;
        int64: bigint;
        timestamp: number;
        string: string;
        json: never;
      }[TypeOf<A>['tag']];

/** The class for the node's type, with the static type that the caller knows. */
export function wrap<E>(expr: Expr, mistakes: readonly Mistake[]): E {
  // The static type mirrors `expr.type`; the compiler cannot see that it does.
  return new classes[tagOf(expr.type)](expr, mistakes) as E;
}

/** What stands for an expression that cannot be: answers every method with itself. */
export function broken(mistakes: readonly Mistake[]): Expression {
  const nothing = new Expression(literalExpr(null, { kind: 'json' }), mistakes);
  return new Proxy(nothing, {
    get: (target, name, receiver): unknown => {
      const known = name === 'expr' || name === 'mistakes' || name === 'constructor';
      const missing = typeof name === 'symbol' || name === 'then';
      return known ? Reflect.get(target, name) : missing ? undefined : () => receiver;
    },
  });
}

type ExpressionClass = new (expr: Expr, mistakes: readonly Mistake[]) => object;

const classes: Readonly<Record<ValueTag, ExpressionClass>> = {
  boolean: BooleanExpression,
  number: NumberExpression,
  int64: Int64Expression,
  timestamp: TimestampExpression,
  string: StringExpression,
  json: JsonExpression,
};

function asNumber<T>(operand: T): T | Expression {
  return typeof operand === 'number'
    ? new NumberExpression(literalExpr(operand, null), [])
    : operand;
}

function asExpression(choice: Choice, model: DataType | null): unknown {
  const plain = typeof choice !== 'object' || choice === null;
  return plain ? new Expression(literalExpr(choice, model), []) : choice;
}

/** Literals take the type of the first expression among the operands. */
function call<E>(fn: FunctionName, operands: readonly unknown[]): E {
  const model = operands.find((operand) => operand instanceof Expression)?.expr.type;
  const args = operands.map((operand) =>
    operand instanceof Expression ? operand.expr : literalExpr(operand as RowValue, model ?? null),
  );
  const before = operands.flatMap((operand) =>
    operand instanceof Expression ? operand.mistakes : [],
  );
  // One mistake is enough: what follows from it would only hide it.
  if (before.length > 0) return broken(before) as E;
  const result = buildCall(fn, args);
  return result.mistake === null ? wrap(result.expr, []) : (broken([result.mistake]) as E);
}
