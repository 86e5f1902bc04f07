// Computes at planning what does not depend on a row, simplifies `and`, `or` and `if` whose answer
// is settled, and removes filters that pass everything. A constant that fails to compute stays, so
// that it fails when (and only when) a row meets it.

import { unreachable } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { Expr } from '../../expr/expr.ts';
import { evaluate } from '../../expr/interpret.ts';
import { rewrite } from '../../expr/walk.ts';
import type { LogicalRule } from '../logical-graph.ts';
import { editPlan, mapExpressions } from '../logical-graph.ts';

export const foldConstants: LogicalRule = (plan) => {
  const folded = mapExpressions(plan, (expr) => rewrite(expr, fold));
  const replace = new Map(
    folded.operators.flatMap((operator) =>
      operator.kind === 'filter' && isLiteral(operator.predicate, true)
        ? [[operator.id, operator.input] as const]
        : [],
    ),
  );
  // A filter over a removed filter: follow to the one that stays.
  for (const [id, input] of replace) replace.set(id, replace.get(input) ?? input);
  return replace.size === 0 ? folded : editPlan(folded, { put: [], replace });
};

function fold(expr: Expr): Expr {
  if (expr.kind !== 'call') return expr;
  if (expr.args.every((arg) => arg.kind === 'literal')) return compute(expr);
  const [first] = expr.args;
  switch (expr.fn) {
    case 'and':
      return settle(expr, false);
    case 'or':
      return settle(expr, true);
    case 'if':
      if (first?.kind !== 'literal') return expr;
      return (first.value === true ? expr.args[1] : expr.args[2]) ?? compute(expr);
    default:
      return expr;
  }
}

/** `and` is settled by false and does not care for true; `or` the other way round. */
function settle(expr: Extract<Expr, { kind: 'call' }>, decisive: boolean): Expr {
  const args = expr.args.filter((arg) => !isLiteral(arg, !decisive));
  const decided = args.findIndex((arg) => isLiteral(arg, decisive));
  if (decided === 0) return args[0] ?? expr;
  const kept = decided < 0 ? args : args.slice(0, decided + 1);
  if (kept.length === expr.args.length) return expr;
  return kept.length === 1 ? (kept[0] ?? expr) : { ...expr, args: kept };
}

function isLiteral(expr: Expr, value: boolean): boolean {
  return expr.kind === 'literal' && expr.value === value;
}

function compute(expr: Expr): Expr {
  try {
    const value = evaluate(expr, {}, (id) => unreachable(id as never));
    return { kind: 'literal', value, type: expr.type, nullable: value === null };
  } catch (error) {
    if (error instanceof StreamError) return expr;
    throw error;
  }
}
