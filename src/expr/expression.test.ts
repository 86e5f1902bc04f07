import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataKind, RowValue } from '../schema/data-type.ts';
import type {
  BooleanType,
  Int64Type,
  JsonType,
  NumberType,
  StringType,
  TimestampType,
  ValueType,
} from '../schema/value-type.ts';
import type { Expression, ExpressionOf } from './expression.ts';
import { iff, literal, wrap } from './expression.ts';
import { printExpr } from './print.ts';

/** A column; a type with `?` may be null. */
function column<T extends ValueType>(
  name: string,
  type: `${DataKind}${'?' | ''}`,
): ExpressionOf<T> {
  const kind = type.replace('?', '') as DataKind;
  const dataType = kind === 'timestamp' ? ({ kind, encoding: 'iso' } as const) : { kind };
  return wrap({ kind: 'column', name, type: dataType, nullable: type.endsWith('?') }, []);
}

const s = column<StringType>('s', 'string');
const s0 = column<StringType<string, null>>('s0', 'string?');
const i = column<NumberType>('i', 'int32');
const f = column<NumberType>('f', 'float64');
const f0 = column<NumberType<null>>('f0', 'float64?');
const n = column<Int64Type>('n', 'int64');
const t = column<TimestampType>('t', 'timestamp');
const b = column<BooleanType>('b', 'boolean');
const b0 = column<BooleanType<null>>('b0', 'boolean?');
const j = column<JsonType>('j', 'json');

function textOf({ expr, mistakes }: Expression): string {
  assert.deepEqual(mistakes, []);
  return `${printExpr(expr)}: ${expr.type.kind}${expr.nullable ? '?' : ''}`;
}

test('an expression carries the type and nullability of its call', () => {
  const cases: readonly (readonly [Expression, string])[] = [
    [i.add(1), '(i + 1): float64'],
    [f.mul(f0), '(f * f0): float64?'],
    [n.add(1), '(n + 1n): int64'],
    [n.div(2), '(n / 2n): int64'],
    [n.div(n), '(n / n): int64?'],
    [n.mod(0), '(n % 0n): int64?'],
    [f.neg().abs().floor().ceil().round(), 'round(ceil(floor(abs((-f))))): float64'],
    [t.add(1000), '(t + 1000): timestamp'],
    [t.sub(f), '(t - f): timestamp?'],
    [t.sub(i), '(t - i): timestamp'],
    [t.sub(t), '(t - t): float64'],
    [t.dateTrunc('day'), "date-trunc('day', t): timestamp"],
    [t.gt(5), '(t > 5): boolean'],
    [s.eq('x').and(f0.gt(1)).or(b0).not(), "(not (((s = 'x') and (f0 > 1)) or b0)): boolean?"],
    [s0.isNull(), '(s0 is null): boolean'],
    [s0.isNotNull(), '(not (s0 is null)): boolean'],
    [s0.coalesce('none'), "coalesce(s0, 'none'): string"],
    [i.coalesce(f0), 'coalesce(i, f0): float64'],
    [i.in([1, 2.5]), '(i in (1, 2.5)): boolean'],
    [s.concat(s0).lower().upper().trim(), 'trim(upper(lower(concat(s, s0)))): string?'],
    [s.length().le(3), '(length(s) <= 3): boolean'],
    [s.substring(1, 2), 'substring(s, 1, 2): string'],
    [
      s.startsWith('a').and(s.endsWith('b')),
      "(starts-with(s, 'a') and ends-with(s, 'b')): boolean",
    ],
    [s.contains(s0), 'contains(s, s0): boolean?'],
    [s.toFloat64(), 'to-float64(s): float64?'],
    [s.toTimestamp(), 'to-timestamp(s): timestamp?'],
    [i.toInt64(), 'to-int64(i): int64'],
    [f.toInt64(), 'to-int64(f): int64?'],
    [n.toFloat64(), 'to-float64(n): float64'],
    [n.toTimestamp(), 'to-timestamp(n): timestamp'],
    [t.toInt64(), 'to-int64(t): int64?'],
    [b.toFloat64(), 'to-float64(b): float64'],
    [j.asString(), 'to-string(j): string'],
    [t.asString(), 'to-string(t): string'],
    [iff(b0, 1, f), 'if(b0, 1, f): float64'],
    [iff(b, s, null), 'if(b, s, null): string?'],
    [iff(b, n, 1n), 'if(b, n, 1n): int64'],
    [literal('x'), "'x': string"],
    [literal(5n), '5n: int64'],
  ];
  for (const [expression, text] of cases) assert.equal(textOf(expression), text);
});

test('a literal takes the type of what it stands beside, where it fits', () => {
  const kindBeside = (expression: Expression): string => {
    const { expr } = expression;
    assert(expr.kind === 'call');
    return expr.args[1]?.type.kind ?? '';
  };
  assert.equal(kindBeside(i.gt(1)), 'int32');
  assert.equal(kindBeside(i.gt(1.5)), 'float64');
  assert.equal(kindBeside(i.gt(2 ** 31)), 'float64');
  assert.equal(kindBeside(n.gt(1)), 'int64');
  assert.equal(kindBeside(t.gt(1)), 'timestamp');
  assert.equal(kindBeside(t.add(1)), 'float64');
});

test('a call that there is not becomes one mistake with a hint', () => {
  const cases: readonly (readonly [Expression, string, RegExp])[] = [
    [f.eq('x' as unknown as number), 'eq does not take (float64, string)', /toFloat64/],
    [n.add(1.5), 'add does not take (int64, float64)', /do not mix/],
    [f.lt(n as never), 'lt does not take (float64, int64)', /do not mix/],
    [i.in([]), 'in does not take (int32)', /at least one/],
    [t.dateTrunc('eon' as 'day'), 'date-trunc does not take (string, timestamp)', /second, minute/],
    [b.and(f as never), 'and does not take (boolean, float64)', /convert/],
    [t.eq(j as never), 'eq does not take (timestamp, json)', /lambda/],
  ];
  for (const [{ mistakes }, message, hint] of cases) {
    assert.deepEqual(
      mistakes.map((one) => one.message),
      [message],
    );
    assert.match(mistakes[0]?.hint ?? '', hint);
  }
});

test('what follows from a mistake adds none', () => {
  const wrong = f.eq('x' as unknown as number);
  const chain = wrong.and(s.eq('y')).not().or(b);
  assert.equal(chain.mistakes.length, 1);
  assert.equal(b.and(wrong).mistakes.length, 1);
});

test('literals hold their values', () => {
  const valueOf = ({ expr }: Expression): RowValue => (expr.kind === 'literal' ? expr.value : null);
  assert.equal(valueOf(literal(true)), true);
  assert.equal(valueOf(literal(1.5)), 1.5);
  assert.equal(valueOf(literal(7n)), 7n);
});
