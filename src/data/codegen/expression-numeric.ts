// Arithmetic, conversions and calendar functions as generated code.

import { unreachable } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { Expr } from '../../expr/expr.ts';
import { evaluate } from '../../expr/interpret.ts';
import { truncateTime } from '../../expr/iso-time.ts';
import type { DataType, RowValue } from '../../schema/data-type.ts';
import { named, scalar, shared, toRowValue } from './code-values.ts';
import type { CodeValue, CodeWriter } from './code.ts';

export type NumericStep = {
  readonly fn:
    | 'add'
    | 'sub'
    | 'mul'
    | 'div'
    | 'mod'
    | 'neg'
    | 'abs'
    | 'floor'
    | 'ceil'
    | 'round'
    | 'to-float64'
    | 'to-int64'
    | 'to-timestamp'
    | 'date-trunc';
  readonly type: DataType;
  /** By the call's type: whether it can be null although no operand is. */
  readonly nullable: boolean;
  readonly args: readonly CodeValue[];
  readonly exprs: readonly Expr[];
  readonly isNull: string | null;
  readonly writer: CodeWriter;
};

export function compileNumeric(step: NumericStep): CodeValue {
  const { fn } = step;
  switch (fn) {
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
    case 'mod':
      return step.type.kind === 'int64' ? int64Operation(step, fn) : numberOperation(step, fn);
    case 'neg':
    case 'abs':
    case 'floor':
    case 'ceil':
    case 'round':
      return isInt64(step.args[0]!) ? int64Function(step, fn) : numberFunction(step, fn);
    case 'to-float64':
      return toFloat64(step);
    case 'to-int64':
      return toInt64(step);
    case 'to-timestamp':
      return toTimestamp(step);
    case 'date-trunc':
      return dateTrunc(step);
    default:
      return unreachable(fn);
  }
}

type Operation = 'add' | 'sub' | 'mul' | 'div' | 'mod';

const operators: { readonly [fn in Operation]: string } = {
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  mod: '%',
};

function isInt64(value: CodeValue): boolean {
  return value.type.kind === 'int64';
}

function numberCode(value: CodeValue): string {
  const { code } = scalar(value);
  return isInt64(value) ? `Number(${code})` : code;
}

function result(step: NumericStep, code: string, isNull = step.isNull): CodeValue {
  return { kind: 'scalar', type: step.type, code, isNull };
}

/** Adds a reason to be null, unless the types rule it out. */
function orNull(step: NumericStep, reason: string): string | null {
  if (!step.nullable) return step.isNull;
  const code = step.isNull === null ? reason : `${step.isNull} || ${reason}`;
  return named(step.writer, 'none', code);
}

function numberOperation(step: NumericStep, fn: Operation): CodeValue {
  const [a, b] = step.args;
  const code = `${numberCode(a!)} ${operators[fn]} ${numberCode(b!)}`;
  const value = named(step.writer, fn, code);
  return step.type.kind === 'timestamp' ? wholeMs(step, value) : result(step, value);
}

/** A time is floored to whole milliseconds; what is not finite is null. */
function wholeMs(step: NumericStep, value: string): CodeValue {
  const isNull = orNull(step, `${value} - ${value} !== 0`);
  return result(step, named(step.writer, 'time', `Math.floor(${value})`), isNull);
}

function int64Operation(step: NumericStep, fn: Operation): CodeValue {
  const [a, b] = step.args.map((arg) => scalar(arg).code);
  const divides = fn === 'div' || fn === 'mod';
  const isNull = divides ? orNull(step, `${b} === 0n`) : step.isNull;
  return result(step, checkedInt64(step, `${a} ${operators[fn]} ${b}`, isNull), isNull);
}

function checkedInt64(step: NumericStep, code: string, isNull: string | null): string {
  const { fn, writer } = step;
  const check = shared(writer, 'checkInt64', checkInt64);
  const checked = `${check}(${code}, '${fn}')`;
  return named(writer, fn, isNull === null ? checked : `${isNull} ? 0n : ${checked}`);
}

function checkInt64(value: bigint, fn: string): bigint {
  if (BigInt.asIntN(64, value) === value) return value;
  throw new StreamError({
    code: 'int64-overflow',
    message: `could not ${fn} int64 values: the result does not fit into 64 bits`,
    hint: 'convert to float64 first, or filter such rows out',
  });
}

type NumberFunction = 'neg' | 'abs' | 'floor' | 'ceil' | 'round';

function int64Function(step: NumericStep, fn: NumberFunction): CodeValue {
  const { code } = scalar(step.args[0]!);
  switch (fn) {
    case 'neg':
      return result(step, checkedInt64(step, `-${code}`, step.isNull));
    case 'abs':
      return result(step, checkedInt64(step, `(${code} < 0n ? -${code} : ${code})`, step.isNull));
    case 'floor':
    case 'ceil':
    case 'round':
      return result(step, code);
    default:
      return unreachable(fn);
  }
}

function numberFunction(step: NumericStep, fn: NumberFunction): CodeValue {
  const { code } = scalar(step.args[0]!);
  const { writer } = step;
  switch (fn) {
    case 'neg':
      return result(step, named(writer, fn, `-${code}`));
    case 'abs':
    case 'floor':
    case 'ceil':
      return result(step, named(writer, fn, `Math.${fn}(${code})`));
    case 'round': {
      const rounded = `${code} < 0 ? -Math.round(-${code}) : Math.round(${code})`;
      return result(step, named(writer, fn, rounded));
    }
    default:
      return unreachable(fn);
  }
}

function toFloat64(step: NumericStep): CodeValue {
  const arg = step.args[0]!;
  if (arg.kind === 'span') return parsed(step, 'number');
  if (arg.type.kind !== 'boolean')
    return result(step, named(step.writer, 'float', numberCode(arg)));
  return result(step, named(step.writer, 'float', `${arg.code} ? 1 : 0`));
}

function toInt64(step: NumericStep): CodeValue {
  const arg = step.args[0]!;
  const { writer } = step;
  if (arg.kind === 'span') return parsed(step, 'bigint');
  if (isInt64(arg)) return result(step, arg.code);
  if (arg.type.kind === 'boolean') {
    return result(step, named(writer, 'int', `${arg.code} ? 1n : 0n`));
  }
  // The bounds are exact as doubles, and NaN is within none.
  const fits = `${arg.code} >= -9223372036854775808 && ${arg.code} < 9223372036854775808`;
  const isNull = orNull(step, `!(${fits})`);
  const whole = `BigInt(Math.trunc(${arg.code}))`;
  const code = isNull === null ? whole : `${isNull} ? 0n : ${whole}`;
  return result(step, named(writer, 'int', code), isNull);
}

function toTimestamp(step: NumericStep): CodeValue {
  const arg = step.args[0]!;
  if (arg.kind === 'span') return parsed(step, 'number');
  return wholeMs(step, named(step.writer, 'time', numberCode(arg)));
}

/**
 * Reads a string by asking the interpreter: these allocate anyway, and so there is one grammar.
 */
function parsed(step: NumericStep, kind: 'number' | 'bigint'): CodeValue {
  const { fn, type, writer } = step;
  const operand: DataType = step.args[0]!.type;
  const read = (value: RowValue): RowValue => {
    const literal: Expr = { kind: 'literal', value, type: operand, nullable: false };
    const call: Expr = { kind: 'call', fn, args: [literal], type, nullable: true };
    return evaluate(call, {}, () => null);
  };
  const text = toRowValue(writer, { ...step.args[0]!, isNull: null });
  const value = `${writer.constant('read', read)}(${text})`;
  const guarded = step.isNull === null ? value : `${step.isNull} ? null : ${value}`;
  const given = named(writer, 'read', guarded);
  const isNull = named(writer, 'none', `${given} === null`);
  const zero = kind === 'bigint' ? '0n' : '0';
  return result(step, named(writer, 'value', `${isNull} ? ${zero} : ${given}`), isNull);
}

const fixedUnitsMs: ReadonlyMap<RowValue, number> = new Map([
  ['second', 1000],
  ['minute', 60_000],
  ['hour', 3_600_000],
  ['day', 86_400_000],
]);

function dateTrunc(step: NumericStep): CodeValue {
  const [unit, time] = step.args as readonly [CodeValue, CodeValue];
  const [unitExpr] = step.exprs;
  const { writer } = step;
  const code = numberCode(time);
  const fixed = unitExpr?.kind === 'literal' ? fixedUnitsMs.get(unitExpr.value) : undefined;
  if (fixed !== undefined) {
    return result(step, named(writer, 'time', `Math.floor(${code} / ${fixed}) * ${fixed}`));
  }
  const truncate = shared(writer, 'truncateTime', truncateTime);
  const called = `${truncate}(${toRowValue(writer, { ...unit, isNull: null })}, ${code})`;
  const guarded = step.isNull === null ? called : `${step.isNull} ? 0 : ${called}`;
  return result(step, named(writer, 'time', guarded));
}
