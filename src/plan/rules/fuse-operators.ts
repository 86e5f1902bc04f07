// Merges a filter or project with the one right below it, and drops projects that change nothing.
// Nothing is computed twice by it, and nothing that may fail meets more rows.

import type { Expr } from '../../expr/expr.ts';
import { conjunctionOf, countReads, isTrivial, mayFail, substitute } from '../../expr/walk.ts';
import { sameNames } from '../check-plan.ts';
import type { LogicalRule } from '../logical-graph.ts';
import { editPlan, LogicalGraph } from '../logical-graph.ts';
import type { Column, LogicalOperator, LogicalPlan } from '../logical-plan.ts';

export const fuseOperators: LogicalRule = (plan) => {
  const graph = new LogicalGraph(plan);
  for (const operator of plan.operators) {
    const fused = fuse(plan, graph, operator);
    if (fused !== plan) return fuseOperators(fused);
  }
  return plan;
};

type Project = Extract<LogicalOperator, { kind: 'project' }>;

function fuse(plan: LogicalPlan, graph: LogicalGraph, operator: LogicalOperator): LogicalPlan {
  if (operator.kind !== 'filter' && operator.kind !== 'project') return plan;
  const below = graph.get(operator.input);
  if (operator.kind === 'project' && isIdentity(operator, below)) {
    return editPlan(plan, { put: [], replace: new Map([[operator.id, below.id]]) });
  }
  if (graph.consumersOf(below.id).length > 1) return plan;
  if (operator.kind === 'filter' && below.kind === 'filter') {
    if (mayFail(operator.predicate)) return plan;
    const predicate = conjunctionOf([below.predicate, operator.predicate]) ?? operator.predicate;
    const put = [{ ...operator, predicate, input: below.input }];
    return dropBelow(plan, { put, below, above: operator });
  }
  if (operator.kind === 'project' && below.kind === 'project') {
    const columns = mergedColumns(operator, below);
    if (columns === null) return plan;
    const put = [{ ...operator, columns, input: below.input }];
    return dropBelow(plan, { put, below, above: operator });
  }
  return plan;
}

/** `above` has taken over what `below` did. */
function dropBelow(
  plan: LogicalPlan,
  change: {
    readonly put: readonly LogicalOperator[];
    readonly below: LogicalOperator;
    readonly above: LogicalOperator;
  },
): LogicalPlan {
  const { put, below, above } = change;
  return editPlan(plan, { put, replace: new Map([[below.id, above.id]]) });
}

function isIdentity(project: Project, below: LogicalOperator): boolean {
  return (
    sameNames(project.schema, below.schema) &&
    project.columns.every(({ name, expr }) => expr.kind === 'column' && expr.name === name)
  );
}

/** The upper project's columns in terms of the lower one's input; null where that costs more. */
function mergedColumns(above: Project, below: Project): readonly Column[] | null {
  const reads = countReads(above.columns.map((column) => column.expr));
  const isRepeated = below.columns.some(
    ({ name, expr }) => !isTrivial(expr) && (reads.get(name) ?? 0) > 1,
  );
  if (isRepeated) return null;
  const meanings = new Map<string, Expr>(below.columns.map(({ name, expr }) => [name, expr]));
  const merged: Column[] = [];
  for (const { name, expr } of above.columns) {
    const meaning = substitute(expr, meanings);
    if (meaning === null) return null;
    merged.push({ name, expr: meaning });
  }
  return merged;
}
