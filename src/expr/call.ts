// Types and nullability of a call, from its arguments: one rule a function. The fluent classes keep
// TypeScript users right; this is what holds for everybody else, and what `expr.ts` documents.

import { unreachable } from '../base/assert.ts';
import type { DataType, RowValue } from '../schema/data-type.ts';
import type { Mistake } from '../schema/mistake.ts';
import { mistake } from '../schema/mistake.ts';
import type { ValueTag } from '../schema/value-type.ts';
import type { Expr, FunctionName } from './expr.ts';

/** The call, or why there is no such call. */
export type CallResult =
  | { readonly expr: Expr; readonly mistake: null }
  | { readonly expr: null; readonly mistake: Mistake };

/** Units of `date-trunc`, all in UTC; weeks start on Monday. */
export const dateUnits = ['second', 'minute', 'hour', 'day', 'week', 'month', 'year'] as const;
export type DateUnit = (typeof dateUnits)[number];

export function buildCall(fn: FunctionName, args: readonly Expr[]): CallResult {
  const type = resultType(fn, args);
  if (type === null) {
    const given = args.map((arg) => arg.type.kind).join(', ');
    return { expr: null, mistake: mistake(`${fn} does not take (${given})`, hintFor(fn, args)) };
  }
  const nullable = resultNullable(fn, args);
  return { expr: { kind: 'call', fn, args, type, nullable }, mistake: null };
}

/** The family of a type: what it may be compared with. */
export function tagOf(type: DataType): ValueTag {
  return type.kind === 'int32' || type.kind === 'float64' ? 'number' : type.kind;
}

/** One type for values of both, or null when there is none. */
export function commonType(a: DataType, b: DataType): DataType | null {
  if (tagOf(a) !== tagOf(b)) return null;
  return a.kind === b.kind ? a : float64;
}

/** A literal of the wanted type where the value fits it, else of its own natural type. */
export function literalExpr(value: RowValue, wanted: DataType | null): Expr {
  const type = literalType(value, wanted);
  const fitting = type.kind === 'int64' && typeof value === 'number' ? BigInt(value) : value;
  return { kind: 'literal', value: fitting, type, nullable: value === null };
}

const float64: DataType = { kind: 'float64' };
const boolean: DataType = { kind: 'boolean' };
const string: DataType = { kind: 'string' };
const int64: DataType = { kind: 'int64' };
const int32: DataType = { kind: 'int32' };
const json: DataType = { kind: 'json' };

function literalType(value: RowValue, wanted: DataType | null): DataType {
  switch (typeof value) {
    case 'boolean':
      return boolean;
    case 'bigint':
      return int64;
    case 'string':
      return string;
    case 'number':
      return numberType(value, wanted);
    default:
      return wanted ?? json;
  }
}

function numberType(value: number, wanted: DataType | null): DataType {
  if (wanted?.kind === 'int32' && value === value >> 0) return int32;
  if (wanted?.kind === 'int64' && Number.isSafeInteger(value)) return int64;
  return wanted?.kind === 'timestamp' ? wanted : float64;
}

function resultType(fn: FunctionName, args: readonly Expr[]): DataType | null {
  const types = args.map((arg) => arg.type);
  const [first, second] = types;
  const tags = types.map(tagOf);
  switch (fn) {
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
    case 'mod':
      return first && second && types.length === 2 ? arithmeticType(fn, first, second) : null;
    case 'neg':
    case 'abs':
    case 'floor':
    case 'ceil':
    case 'round':
      return tags[0] === 'number' ? float64 : tags[0] === 'int64' ? int64 : null;
    case 'eq':
    case 'ne':
      return sameFamily(tags) && tags[0] !== 'json' ? boolean : null;
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
      return sameFamily(tags) && tags[0] !== 'json' && tags[0] !== 'boolean' ? boolean : null;
    case 'in':
      return args.length > 1 && sameFamily(tags) && tags[0] !== 'json' ? boolean : null;
    case 'and':
    case 'or':
    case 'not':
      return tags.every((tag) => tag === 'boolean') ? boolean : null;
    case 'is-null':
      return boolean;
    case 'coalesce':
      return commonTypeOf(types);
    case 'if':
      return tags[0] === 'boolean' ? commonTypeOf(types.slice(1)) : null;
    case 'concat':
    case 'lower':
    case 'upper':
    case 'trim':
      return tags.every((tag) => tag === 'string') ? string : null;
    case 'length':
      return tags[0] === 'string' ? int32 : null;
    case 'substring':
      return tags[0] === 'string' && tags.slice(1).every((tag) => tag === 'number') ? string : null;
    case 'starts-with':
    case 'ends-with':
    case 'contains':
      return tags.every((tag) => tag === 'string') ? boolean : null;
    case 'to-float64':
      return tags[0] === 'json' ? null : float64;
    case 'to-int64':
      return tags[0] === 'json' ? null : int64;
    case 'to-string':
      return string;
    case 'to-timestamp':
      return tags[0] === 'json' || tags[0] === 'boolean'
        ? null
        : { kind: 'timestamp', encoding: 'ms' };
    case 'date-trunc':
      return second?.kind === 'timestamp' && isDateUnit(args[0]) ? second : null;
    default:
      return unreachable(fn);
  }
}

function arithmeticType(fn: FunctionName, a: DataType, b: DataType): DataType | null {
  const left = tagOf(a);
  const right = tagOf(b);
  if (left === 'number' && right === 'number') return float64;
  if (left === 'int64' && right === 'int64') return int64;
  if (left === 'timestamp' && right === 'number') return fn === 'add' || fn === 'sub' ? a : null;
  return left === 'timestamp' && right === 'timestamp' && fn === 'sub' ? float64 : null;
}

function sameFamily(tags: readonly ValueTag[]): boolean {
  return tags.every((tag) => tag === tags[0]);
}

function commonTypeOf(types: readonly DataType[]): DataType | null {
  const [first, ...rest] = types;
  return rest.reduce<DataType | null>(
    (common, type) => (common === null ? null : commonType(common, type)),
    first ?? null,
  );
}

function isDateUnit(arg: Expr | undefined): boolean {
  return arg?.kind === 'literal' && dateUnits.some((unit) => unit === arg.value);
}

function resultNullable(fn: FunctionName, args: readonly Expr[]): boolean {
  const some = args.some((arg) => arg.nullable);
  const [first, second] = args;
  switch (fn) {
    case 'is-null':
      return false;
    case 'coalesce':
      return args.every((arg) => arg.nullable);
    case 'if':
      return args.slice(1).some((arg) => arg.nullable);
    case 'div':
    case 'mod':
      return some || (first?.type.kind === 'int64' && !isNonZero(second));
    case 'add':
    case 'sub':
      // Moved by what is not finite, a time is null.
      return some || (isTime(first) && !isTime(second) && !isFinite(second));
    case 'to-float64':
      return some || first?.type.kind === 'string';
    case 'to-timestamp':
      return some || first?.type.kind === 'string' || first?.type.kind === 'float64';
    case 'to-int64':
      // A time that an int64 was made into may be rounded up past the greatest int64.
      return some || first === undefined || canMissInt64(first);
    default:
      return some;
  }
}

function canMissInt64({ type: { kind } }: Expr): boolean {
  return kind === 'string' || kind === 'float64' || kind === 'timestamp';
}

function isTime(expr: Expr | undefined): boolean {
  return expr?.type.kind === 'timestamp';
}

function isFinite(expr: Expr | undefined): boolean {
  return expr?.type.kind === 'int32' || (expr?.kind === 'literal' && Number.isFinite(expr.value));
}

function isNonZero(divisor: Expr | undefined): boolean {
  return divisor?.kind === 'literal' && divisor.value !== 0n;
}

function hintFor(fn: FunctionName, args: readonly Expr[]): string | null {
  const tags = args.map((arg) => tagOf(arg.type));
  if (fn === 'date-trunc') return `the units are ${dateUnits.join(', ')}`;
  if (fn === 'in' && args.length < 2) return 'give it at least one value';
  if (tags.includes('int64') && tags.includes('number')) {
    return 'int64 and other numbers do not mix: convert one side by toFloat64() or toInt64()';
  }
  if (tags.includes('json'))
    return 'read a json column by a lambda: e.$lambda(string(), (row) => …)';
  return sameFamily(tags)
    ? null
    : 'convert one side: toFloat64(), toInt64(), asString(), toTimestamp()';
}
