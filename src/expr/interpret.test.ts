// What every built-in function gives at its edges. The compiled kernels are held to the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, column, lambda, literal, typeOf } from '../testing/plan-builder.ts';
import type { TypeName } from '../testing/plan-builder.ts';
import type { RowValue } from '../schema/data-type.ts';
import type { Expr, FunctionName } from './expr.ts';
import { compareText, evaluate } from './interpret.ts';

type Case = readonly [FunctionName, TypeName, readonly Expr[], RowValue];

const s = (value: string | null): Expr => literal(value, 'string?');
const f = (value: number | null): Expr => literal(value, 'float64?');
const l = (value: bigint | null): Expr => literal(value, 'int64?');
const b = (value: boolean | null): Expr => literal(value, 'boolean?');
const t = (value: number | null): Expr => literal(value, 'timestamp?');
const maxInt64 = 2n ** 63n - 1n;
const minInt64 = -(2n ** 63n);

const overflow: Expr = call('add', 'int64', l(maxInt64), l(1n));

function run(expr: Expr): RowValue {
  return evaluate(expr, {}, () => assert.fail('no lambda here'));
}

function check(cases: readonly Case[]): void {
  for (const [fn, type, args, expected] of cases) {
    const shown = args.map((arg) => (arg.kind === 'literal' ? String(arg.value) : arg.kind));
    assert.deepEqual(run(call(fn, type, ...args)), expected, `${fn}(${shown.join(', ')})`);
  }
}

test('arithmetic follows the call type in nulls, zero divisors, signs and timestamps', () => {
  check([
    ['add', 'float64', [f(1), f(null)], null],
    ['div', 'float64', [f(1), f(0)], Infinity],
    ['div', 'int64', [l(-7n), l(2n)], -3n],
    ['div', 'int64', [l(1n), l(0n)], null],
    ['mod', 'int64', [l(-7n), l(2n)], -1n],
    ['mod', 'int64', [l(7n), l(0n)], null],
    ['mod', 'float64', [f(-7.5), f(2)], -1.5],
    ['mod', 'float64', [f(1), f(0)], NaN],
    ['neg', 'int64', [l(5n)], -5n],
    ['abs', 'float64', [f(-2.5)], 2.5],
    ['floor', 'float64', [f(-1.5)], -2],
    ['ceil', 'float64', [f(1.2)], 2],
    ['round', 'float64', [f(2.5)], 3],
    ['round', 'float64', [f(-2.5)], -3],
    ['round', 'float64', [f(-2.4)], -2],
    ['round', 'int64', [l(9n)], 9n],
    ['sub', 'float64', [t(10), t(4)], 6],
    ['sub', 'timestamp', [t(10), f(0.5)], 9],
    ['add', 'timestamp', [t(10), f(NaN)], null],
  ]);
});

test('int64 arithmetic that leaves 64 bits fails with int64-overflow', () => {
  const cases: readonly Expr[] = [
    overflow,
    call('sub', 'int64', l(minInt64), l(1n)),
    call('mul', 'int64', l(maxInt64), l(2n)),
    call('div', 'int64', l(minInt64), l(-1n)),
    call('neg', 'int64', l(minInt64)),
    call('abs', 'int64', l(minInt64)),
  ];
  for (const expr of cases) assert.throws(() => run(expr), { code: 'int64-overflow' });
});

test('comparisons: NaN is unordered, mixed numbers go by value, strings by UTF-8 bytes', () => {
  check([
    ['eq', 'boolean', [f(NaN), f(NaN)], false],
    ['ne', 'boolean', [f(NaN), f(NaN)], true],
    ['le', 'boolean', [f(NaN), f(1)], false],
    ['ge', 'boolean', [f(NaN), f(1)], false],
    ['eq', 'boolean', [f(0), f(-0)], true],
    ['eq', 'boolean', [l(2n), f(2)], true],
    ['lt', 'boolean', [l(2n), f(2.5)], true],
    ['eq', 'boolean', [s('a'), s(null)], null],
    ['lt', 'boolean', [s('\uffff'), s('😀')], true],
    ['gt', 'boolean', [s('ab'), s('a')], true],
    ['lt', 'boolean', [b(false), b(true)], true],
    ['in', 'boolean', [s('a'), s('b'), s('a')], true],
    ['in', 'boolean', [s('a'), s('b'), s(null)], null],
    ['in', 'boolean', [s('a'), s('b')], false],
    ['in', 'boolean', [s(null), s('b')], null],
  ]);
  assert.ok(compareText('é', 'z') > 0);
});

test('logic is three-valued and stops at what decides', () => {
  const fails = call('gt', 'boolean', overflow, l(0n));
  check([
    ['and', 'boolean', [b(null), b(false)], false],
    ['and', 'boolean', [b(null), b(true)], null],
    ['and', 'boolean', [b(false), fails], false],
    ['or', 'boolean', [b(null), b(true)], true],
    ['or', 'boolean', [b(null), b(false)], null],
    ['or', 'boolean', [b(true), fails], true],
    ['not', 'boolean', [b(null)], null],
    ['not', 'boolean', [b(false)], true],
    ['is-null', 'boolean', [s(null)], true],
    ['coalesce', 'int64', [l(null), l(2n), overflow], 2n],
    ['coalesce', 'int64', [l(null)], null],
    ['if', 'int64', [b(true), l(1n), overflow], 1n],
    ['if', 'int64', [b(null), overflow, l(2n)], 2n],
  ]);
});

test('strings are of code points', () => {
  check([
    ['length', 'int32', [s('a😀é')], 3],
    ['substring', 'string', [s('a😀é'), f(1), f(1)], '😀'],
    ['substring', 'string', [s('abc'), f(-2)], 'abc'],
    ['substring', 'string', [s('abc'), f(1.9), f(NaN)], ''],
    ['substring', 'string', [s('abc'), f(5)], ''],
    ['concat', 'string', [s('a'), s('b'), s('c')], 'abc'],
    ['concat', 'string', [s('a'), s(null)], null],
    ['upper', 'string', [s('straße')], 'STRASSE'],
    ['lower', 'string', [s('ÀB')], 'àb'],
    ['trim', 'string', [s('\u00a0 a \n')], 'a'],
    ['starts-with', 'boolean', [s('abc'), s('')], true],
    ['ends-with', 'boolean', [s('abc'), s('bc')], true],
    ['contains', 'boolean', [s('abc'), s('x')], false],
  ]);
});

test('conversions give null where there is no such value', () => {
  check([
    ['to-float64', 'float64?', [s(' -1.5e3\n')], -1500],
    ['to-float64', 'float64?', [s('.5')], 0.5],
    ['to-float64', 'float64?', [s('0x10')], null],
    ['to-float64', 'float64?', [s('1e999')], null],
    ['to-float64', 'float64?', [s('')], null],
    ['to-float64', 'float64?', [s('Infinity')], null],
    ['to-float64', 'float64', [l(3n)], 3],
    ['to-float64', 'float64', [b(true)], 1],
    ['to-int64', 'int64?', [f(-1.9)], -1n],
    ['to-int64', 'int64?', [f(NaN)], null],
    ['to-int64', 'int64?', [f(2 ** 63)], null],
    ['to-int64', 'int64?', [f(-(2 ** 63))], minInt64],
    ['to-int64', 'int64?', [s('+007 ')], 7n],
    ['to-int64', 'int64?', [s('9223372036854775808')], null],
    ['to-int64', 'int64?', [s('1.0')], null],
    ['to-string', 'string', [f(-0)], '0'],
    ['to-string', 'string', [f(1e21)], '1e+21'],
    ['to-string', 'string', [l(12n)], '12'],
    ['to-string', 'string', [b(true)], 'true'],
    ['to-string', 'string', [t(0)], '1970-01-01T00:00:00.000Z'],
    ['to-timestamp', 'timestamp?', [s('1970-01-02')], 86_400_000],
    ['to-timestamp', 'timestamp?', [s('yesterday')], null],
    ['to-timestamp', 'timestamp?', [f(1.7)], 1],
    ['to-timestamp', 'timestamp?', [l(5n)], 5],
    ['date-trunc', 'timestamp', [s('hour'), t(-1)], -3_600_000],
  ]);
  const json: Expr = { kind: 'literal', value: [1, 'a'], type: typeOf('json'), nullable: false };
  assert.equal(run(call('to-string', 'string', json)), '[1,"a"]');
});

test('a lambda sees the columns it names and no others', () => {
  const sum = call('add', 'float64', column('a', 'float64'), lambda('f', 'float64', ['b']));
  const seen: unknown[] = [];
  const value = evaluate(sum, { a: 1, b: 2, c: 3 }, (id, row) => {
    seen.push([id, row]);
    return 10;
  });
  assert.equal(value, 11);
  assert.deepEqual(seen, [['f', { b: 2 }]]);
});
