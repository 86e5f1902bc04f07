// Plain evaluation of an expression over one row object: slow, and the judge of the compiled
// kernels, which must give the same answers. Constant folding and the reference interpreter use it.
//
// Decisions beyond those stated in `expr.ts`:
// - Operands are evaluated left to right. `and`, `or`, `if`, `coalesce` and `in` stop as soon as
//   the answer is known, so what comes later cannot fail: `and` stops at false, not at null.
// - Arithmetic of int64 with another number follows the call's own type: bigints are converted when
//   it is float64; numbers are never silently made bigints. Comparisons of int64 with other numbers
//   are by mathematical value. NaN is unordered and unequal to itself; false < true.
// - `mod` takes the dividend's sign; int64 by zero gives null, float64 NaN. -2^63 / -1, -(-2^63)
//   and abs(-2^63) overflow.
// - `round` rounds halves away from zero. `floor`, `ceil` and `round` leave int64 as it is.
// - A timestamp that arithmetic makes is floored to whole ms; not finite: null.
// - `if` is false for null. `in` with no equal element is null when an element is null.
// - `substring(text, start, length?)` counts code points from 0; start and length are truncated,
//   and what is negative or NaN counts as 0.
// - `lower`, `upper`, `trim` are JavaScript's toLowerCase, toUpperCase, trim (all of Unicode).
// - `to-float64`: booleans are 0 and 1, timestamps epoch ms; a string must be a decimal number
//   (`[+-]digits[.digits][e[+-]digits]`, spaces around it allowed) of finite size, else null.
// - `to-int64`: truncates; NaN and what does not fit give null. A string must be `[+-]digits`.
// - `to-string`: numbers as JavaScript's String(), -0 as 0, timestamps as ISO 8601 in UTC with
//   three digits of milliseconds (as digits of epoch ms outside the years 0000 to 9999), json as
//   JSON.stringify writes it.
// - `to-timestamp`: numbers are epoch ms, floored; strings are ISO 8601 (see `iso-time.ts`), else
//   null.
// - `date-trunc(unit, time)` is in UTC; weeks start on Monday.

import { assert, unreachable } from '../base/assert.ts';
import { StreamError } from '../base/stream-error.ts';
import type { DataType, JsonValue, RowObject, RowValue } from '../schema/data-type.ts';
import type { Expr, FunctionId, FunctionName } from './expr.ts';
import { isoText, parseIso, truncateTime } from './iso-time.ts';

/** Calls the user's scalar function with a row of the columns it may read. */
export type CallLambda = (id: FunctionId, row: RowObject) => RowValue;

export function evaluate(expr: Expr, row: RowObject, callLambda: CallLambda): RowValue {
  switch (expr.kind) {
    case 'column':
      return row[expr.name] ?? null;
    case 'literal':
      return expr.value;
    case 'lambda': {
      const seen = Object.fromEntries(expr.columns.map((name) => [name, row[name] ?? null]));
      return callLambda(expr.id, seen) ?? null;
    }
    case 'call': {
      const arg = (index: number): RowValue => {
        const operand = expr.args[index];
        assert(operand !== undefined, `${expr.fn} lacks an operand`);
        return evaluate(operand, row, callLambda);
      };
      return evaluateCall(expr, arg);
    }
  }
}

type Call = Extract<Expr, { kind: 'call' }>;
type Operand = (index: number) => RowValue;

function evaluateCall(call: Call, arg: Operand): RowValue {
  switch (call.fn) {
    case 'and':
      return decide(call.args.length, arg, false);
    case 'or':
      return decide(call.args.length, arg, true);
    case 'is-null':
      return arg(0) === null;
    case 'if':
      if (arg(0) === true) return arg(1);
      return call.args.length > 2 ? arg(2) : null;
    case 'coalesce':
      for (let index = 0; index < call.args.length; index++) {
        const value = arg(index);
        if (value !== null) return value;
      }
      return null;
    case 'in':
      return isIn(call.args.length, arg);
    default: {
      const values = call.args.map((_, index) => arg(index));
      if (values.includes(null)) return null;
      return strict(call.fn, values, call);
    }
  }
}

/** Three-valued `and` (decided by false) and `or` (decided by true). */
function decide(count: number, arg: Operand, decisive: boolean): RowValue {
  let unknown = false;
  for (let index = 0; index < count; index++) {
    const value = arg(index);
    if (value === decisive) return decisive;
    unknown ||= value === null;
  }
  return unknown ? null : !decisive;
}

function isIn(count: number, arg: Operand): RowValue {
  const value = arg(0);
  if (value === null) return null;
  let unknown = false;
  for (let index = 1; index < count; index++) {
    const element = arg(index);
    if (element === null) unknown = true;
    else if (isEqual(value, element)) return true;
  }
  return unknown ? null : false;
}

type StrictName = Exclude<FunctionName, 'and' | 'or' | 'is-null' | 'if' | 'coalesce' | 'in'>;

/** The functions that are null when an operand is; here none is. */
function strict(fn: StrictName, values: readonly RowValue[], call: Call): RowValue {
  const [a = null, b = null] = values;
  switch (fn) {
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
    case 'mod':
      return arithmetic(fn, a, b, call.type);
    case 'neg':
      return typeof a === 'bigint' ? int64(-a, fn) : -toNumber(a);
    case 'abs':
      return typeof a === 'bigint' ? int64(a < 0n ? -a : a, fn) : Math.abs(toNumber(a));
    case 'floor':
      return typeof a === 'bigint' ? a : Math.floor(toNumber(a));
    case 'ceil':
      return typeof a === 'bigint' ? a : Math.ceil(toNumber(a));
    case 'round':
      return typeof a === 'bigint' ? a : roundHalfAway(toNumber(a));
    case 'eq':
      return isEqual(a, b);
    case 'ne':
      return !isEqual(a, b);
    case 'lt':
      return isLess(a, b);
    case 'gt':
      return isLess(b, a);
    case 'le':
      return isLess(a, b) || isEqual(a, b);
    case 'ge':
      return isLess(b, a) || isEqual(a, b);
    case 'not':
      return a !== true;
    case 'concat':
      return values.map(toText).join('');
    case 'lower':
      return toText(a).toLowerCase();
    case 'upper':
      return toText(a).toUpperCase();
    case 'trim':
      return toText(a).trim();
    case 'length':
      return count(Array.from(toText(a)).length, call.type);
    case 'substring':
      return substring(toText(a), toNumber(b), values[2]);
    case 'starts-with':
      return toText(a).startsWith(toText(b));
    case 'ends-with':
      return toText(a).endsWith(toText(b));
    case 'contains':
      return toText(a).includes(toText(b));
    case 'to-float64':
      return toFloat64(a);
    case 'to-int64':
      return toInt64(a);
    case 'to-string':
      return toStringValue(a, call.args[0]?.type.kind);
    case 'to-timestamp':
      return typeof a === 'string' ? parseIso(a) : wholeMs(toNumber(a));
    case 'date-trunc':
      return truncateTime(toText(a), toNumber(b));
    default:
      return unreachable(fn);
  }
}

type Arithmetic = 'add' | 'sub' | 'mul' | 'div' | 'mod';

function arithmetic(fn: Arithmetic, a: RowValue, b: RowValue, type: DataType): RowValue {
  if (type.kind === 'int64') {
    assert(typeof a === 'bigint' && typeof b === 'bigint', `${fn} of int64 wants two int64`);
    if ((fn === 'div' || fn === 'mod') && b === 0n) return null;
    return int64(bigintArithmetic(fn, a, b), fn);
  }
  const result = numberArithmetic(fn, toNumber(a), toNumber(b));
  return type.kind === 'timestamp' ? wholeMs(result) : result;
}

function bigintArithmetic(fn: Arithmetic, a: bigint, b: bigint): bigint {
  switch (fn) {
    case 'add':
      return a + b;
    case 'sub':
      return a - b;
    case 'mul':
      return a * b;
    case 'div':
      return a / b;
    case 'mod':
      return a % b;
    default:
      return unreachable(fn);
  }
}

function numberArithmetic(fn: Arithmetic, a: number, b: number): number {
  switch (fn) {
    case 'add':
      return a + b;
    case 'sub':
      return a - b;
    case 'mul':
      return a * b;
    case 'div':
      return a / b;
    case 'mod':
      return a % b;
    default:
      return unreachable(fn);
  }
}

function int64(value: bigint, fn: FunctionName): bigint {
  if (BigInt.asIntN(64, value) === value) return value;
  throw new StreamError({
    code: 'int64-overflow',
    message: `could not ${fn} int64 values: the result does not fit into 64 bits`,
    hint: 'convert to float64 first, or filter such rows out',
  });
}

function roundHalfAway(value: number): number {
  return value < 0 ? -Math.round(-value) : Math.round(value);
}

function wholeMs(value: number): number | null {
  return Number.isFinite(value) ? Math.floor(value) : null;
}

function count(value: number, type: DataType): RowValue {
  return type.kind === 'int64' ? BigInt(value) : value;
}

function isEqual(a: RowValue, b: RowValue): boolean {
  if (typeof a === 'bigint' || typeof b === 'bigint') {
    // Mixed kinds compare by mathematical value.
    return isNumeric(a) && isNumeric(b) && a <= b && a >= b;
  }
  return a === b;
}

/** Strings by code points, which is the order of their UTF-8 bytes. */
function isLess(a: RowValue, b: RowValue): boolean {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b) < 0;
  if (isNumeric(a) && isNumeric(b)) return a < b;
  return Number(a) < Number(b);
}

function isNumeric(value: RowValue): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

/** Negative, zero or positive: the order of the texts' UTF-8 bytes. */
export function compareText(a: string, b: string): number {
  const left = Array.from(a);
  const right = Array.from(b);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function substring(text: string, start: number, length: RowValue | undefined): string {
  const points = Array.from(text);
  const from = Math.max(0, Math.trunc(start) || 0);
  if (length === undefined) return points.slice(from).join('');
  return points.slice(from, from + Math.max(0, Math.trunc(toNumber(length)) || 0)).join('');
}

function toNumber(value: RowValue): number {
  assert(isNumeric(value), 'an operand that should be a number is not');
  return Number(value);
}

function toText(value: RowValue): string {
  assert(typeof value === 'string', 'an operand that should be a string is not');
  return value;
}

const decimal = /^[ \t\r\n]*([+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?)[ \t\r\n]*$/;
const integer = /^[ \t\r\n]*([+-]?)(\d+)[ \t\r\n]*$/;

function toFloat64(value: RowValue): RowValue {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value !== 'string') return toNumber(value);
  const digits = decimal.exec(value)?.[1];
  if (digits === undefined || !Number.isFinite(Number(digits))) return null;
  return Number(digits);
}

function toInt64(value: RowValue): RowValue {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'string') {
    const parts = integer.exec(value);
    if (parts === null) return null;
    const size = BigInt(parts[2] ?? '');
    return fitting(parts[1] === '-' ? -size : size);
  }
  const number = toNumber(value);
  return Number.isFinite(number) ? fitting(BigInt(Math.trunc(number))) : null;
}

function fitting(value: bigint): bigint | null {
  return BigInt.asIntN(64, value) === value ? value : null;
}

function toStringValue(value: RowValue, kind: DataType['kind'] | undefined): string {
  if (kind === 'json') return JSON.stringify(value as JsonValue);
  if (kind === 'timestamp') return isoText(toNumber(value));
  return String(value);
}
