// An aggregate that waits for late rows delays its results behind the watermark, and everything
// downstream would take them for late. So allowed lateness adds up along a path: each aggregate
// waits as long as the slowest chain of aggregates above it, plus its own.

import type { LogicalRule } from '../logical-graph.ts';
import { editPlan, timedInputsOf } from '../logical-graph.ts';
import type { LogicalOperator, LogicalPlan, OperatorId } from '../logical-plan.ts';

export const carryLateness: LogicalRule = (plan) => {
  const lateness = latenessOf(plan);
  const put = plan.operators.flatMap((operator): LogicalOperator[] => {
    if (operator.kind !== 'aggregate') return [];
    const allowedLatenessMs = lateness.get(operator.id) ?? 0;
    return allowedLatenessMs === operator.allowedLatenessMs
      ? []
      : [{ ...operator, allowedLatenessMs }];
  });
  return put.length === 0 ? plan : editPlan(plan, { put });
};

/** How far behind the watermark the rows that leave each operator may be, ms. */
function latenessOf(plan: LogicalPlan): ReadonlyMap<OperatorId, number> {
  const lateness = new Map<OperatorId, number>();
  for (const operator of plan.operators) {
    const above = timedInputsOf(operator).map((input) => lateness.get(input) ?? 0);
    const own = operator.kind === 'aggregate' ? operator.allowedLatenessMs : 0;
    lateness.set(operator.id, Math.max(0, ...above) + own);
  }
  return lateness;
}
