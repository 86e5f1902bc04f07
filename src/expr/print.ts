// Expressions as people read them: `(event_type = 'view')`. For `explain` and error messages only.

import type { RowValue } from '../schema/data-type.ts';
import type { Expr, FunctionName } from './expr.ts';

export function printExpr(expr: Expr): string {
  switch (expr.kind) {
    case 'column':
      return expr.name;
    case 'literal':
      return printValue(expr.value);
    case 'lambda':
      return `lambda ${expr.id}(${expr.columns.join(', ')})`;
    case 'call':
      return printCall(expr.fn, expr.args.map(printExpr));
  }
}

export function printValue(value: RowValue): string {
  switch (typeof value) {
    case 'string':
      return `'${value.replaceAll("'", "''")}'`;
    case 'bigint':
      return `${value}n`;
    case 'object':
      return value === null ? 'null' : JSON.stringify(value);
    default:
      return String(value);
  }
}

const infix: ReadonlyMap<FunctionName, string> = new Map([
  ['add', '+'],
  ['sub', '-'],
  ['mul', '*'],
  ['div', '/'],
  ['mod', '%'],
  ['eq', '='],
  ['ne', '<>'],
  ['lt', '<'],
  ['le', '<='],
  ['gt', '>'],
  ['ge', '>='],
  ['and', 'and'],
  ['or', 'or'],
] satisfies [FunctionName, string][]);

function printCall(fn: FunctionName, args: readonly string[]): string {
  const sign = infix.get(fn);
  if (sign !== undefined && args.length > 1) return `(${args.join(` ${sign} `)})`;
  const [first = '', ...rest] = args;
  if (fn === 'not') return `(not ${first})`;
  if (fn === 'neg') return `(-${first})`;
  if (fn === 'is-null') return `(${first} is null)`;
  if (fn === 'in') return `(${first} in (${rest.join(', ')}))`;
  return `${fn}(${args.join(', ')})`;
}
