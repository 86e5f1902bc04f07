// The order in which the rewrite rules run on a logical plan.

import type { LogicalRule } from './logical-graph.ts';
import type { LogicalPlan } from './logical-plan.ts';
import { carryLateness } from './rules/carry-lateness.ts';
import { foldConstants } from './rules/fold-constants.ts';
import { fuseOperators } from './rules/fuse-operators.ts';
import { plainAggregateInputs } from './rules/plain-aggregate-inputs.ts';
import { pruneColumns } from './rules/prune-columns.ts';
import { pushPredicates } from './rules/push-predicates.ts';

export function optimize(plan: LogicalPlan): LogicalPlan {
  return rules.reduce((current, rule) => rule(current), plan);
}

/** Filters that met on their way down are merged, and may then move on. */
const sinkFilters: LogicalRule = (plan) => {
  const next = fuseOperators(pushPredicates(plan));
  return next === plan ? plan : sinkFilters(next);
};

const rules: readonly LogicalRule[] = [
  carryLateness,
  foldConstants,
  sinkFilters,
  foldConstants,
  plainAggregateInputs,
  fuseOperators,
  pruneColumns,
  fuseOperators,
];
