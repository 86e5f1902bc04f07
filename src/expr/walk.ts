// What rules ask of expressions and do to them: columns read, substitution, conjuncts. Trees are
// immutable: a rewrite that changes nothing gives the same object back.

import type { DataType } from '../schema/data-type.ts';
import type { Expr } from './expr.ts';

/** The columns that the expression reads, lambdas' columns included. */
export function columnsOf(expr: Expr): ReadonlySet<string> {
  const names = new Set<string>();
  visit(expr, (node) => {
    if (node.kind === 'column') names.add(node.name);
    if (node.kind === 'lambda') for (const name of node.columns) names.add(name);
  });
  return names;
}

/** Calls `see` for every node, operands first. */
export function visit(expr: Expr, see: (node: Expr) => void): void {
  if (expr.kind === 'call') for (const arg of expr.args) visit(arg, see);
  see(expr);
}

/** Rebuilds the tree, operands first. */
export function rewrite(expr: Expr, change: (node: Expr) => Expr): Expr {
  if (expr.kind !== 'call') return change(expr);
  const args = expr.args.map((arg) => rewrite(arg, change));
  const same = args.every((arg, index) => arg === expr.args[index]);
  return change(same ? expr : { ...expr, args });
}

/**
 * The expression in terms of what the columns stand for. Null when a lambda reads a column that
 * is not simply passed on under its own name: a lambda's row cannot be rewritten.
 */
export function substitute(expr: Expr, meanings: ReadonlyMap<string, Expr>): Expr | null {
  let possible = true;
  const result = rewrite(expr, (node) => {
    if (node.kind === 'column') return meanings.get(node.name) ?? node;
    if (node.kind === 'lambda') {
      possible &&= node.columns.every((name) => isColumn(meanings.get(name), name));
    }
    return node;
  });
  return possible ? result : null;
}

function isColumn(expr: Expr | undefined, name: string): boolean {
  return expr !== undefined && expr.kind === 'column' && expr.name === name;
}

/** The parts that must all be true for the predicate to be true, left to right. */
export function conjunctsOf(predicate: Expr): readonly Expr[] {
  if (predicate.kind !== 'call' || predicate.fn !== 'and') return [predicate];
  return predicate.args.flatMap(conjunctsOf);
}

/** One predicate that is true where all parts are; null when there are no parts. */
export function conjunctionOf(conjuncts: readonly Expr[]): Expr | null {
  if (conjuncts.length === 0) return null;
  return conjuncts.reduce((left, right) => ({
    kind: 'call',
    fn: 'and',
    args: [left, right],
    type: boolean,
    nullable: left.nullable || right.nullable,
  }));
}

const boolean: DataType = { kind: 'boolean' };

export function hasLambda(expr: Expr): boolean {
  return some(expr, (node) => node.kind === 'lambda');
}

/**
 * Evaluation may throw, or the number of evaluations may show (a lambda draws from `ctx.random`):
 * such an expression must not be moved to where it meets more rows, nor be repeated.
 */
export function mayFail(expr: Expr): boolean {
  return some(
    expr,
    (node) =>
      node.kind === 'lambda' || (node.kind === 'call' && overflows.has(node.fn) && isInt64(node)),
  );
}

const overflows: ReadonlySet<string> = new Set(['add', 'sub', 'mul', 'div', 'neg', 'abs']);

function isInt64(expr: Expr): boolean {
  return expr.type.kind === 'int64';
}

/** A column or a literal: free to repeat. */
export function isTrivial(expr: Expr): boolean {
  return expr.kind === 'column' || expr.kind === 'literal';
}

/** How often the expression reads each column. */
export function countReads(exprs: readonly Expr[]): ReadonlyMap<string, number> {
  const reads = new Map<string, number>();
  const add = (name: string): void => void reads.set(name, (reads.get(name) ?? 0) + 1);
  for (const expr of exprs) {
    visit(expr, (node) => {
      if (node.kind === 'column') add(node.name);
      if (node.kind === 'lambda') node.columns.forEach(add);
    });
  }
  return reads;
}

function some(expr: Expr, holds: (node: Expr) => boolean): boolean {
  let found = false;
  visit(expr, (node) => (found ||= holds(node)));
  return found;
}
