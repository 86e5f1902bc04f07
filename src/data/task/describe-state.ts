// What the state of a stage's partitions is, for their snapshots: found in the plan.

import type { Expr } from '../../expr/expr.ts';
import type { OperatorId } from '../../plan/logical-plan.ts';
import type { PhysicalPlan, Stage, StageOperator } from '../../plan/physical-plan.ts';
import { describeAggregate } from '../snapshot/state-description.ts';
import type { StateDescription } from '../snapshot/state-description.ts';

/** `partitionCounts`: by stage. */
export function describeState(
  plan: PhysicalPlan,
  stage: Stage,
  partitionCounts: readonly number[],
): StateDescription {
  const { input, id } = stage;
  const [root] = stage.root;
  const base = { pipeline: plan.name, stage: id };
  if (input.kind === 'scan') {
    return { ...base, operator: input.scan.source, producers: [], aggregate: null };
  }
  // What is broadcast has no say in the watermark.
  const counted = input.exchanges
    .map((exchange) => plan.exchanges[exchange]!)
    .filter(({ partitioning }) => partitioning.kind !== 'broadcast');
  const producers = counted.map(({ from }) => partitionCounts[from]!);
  const operator = root!.id;
  if (root?.kind === 'broadcast-join') {
    const { tableSchema, keys } = root;
    const columns = tableSchema.fields.map(({ name, type, nullable }) => ({
      name,
      type,
      nullable,
    }));
    const broadcast = { columns, keys: keys.map(({ right }) => right) };
    return { ...base, operator, producers, aggregate: null, broadcast };
  }
  if (root?.kind !== 'aggregate') return { ...base, operator, producers, aggregate: null };
  const computed = computedColumns(plan, root.id);
  const resolve = (expr: Expr): Expr =>
    expr.kind === 'column' ? (computed.get(expr.name) ?? expr) : expr;
  const aggregate = describeAggregate(root.aggregate, resolve);
  return { ...base, operator, producers, aggregate };
}

type Columns = ReadonlyMap<string, Expr>;

/** Columns that the planner made for the aggregate, which start with `$`. */
function computedColumns(plan: PhysicalPlan, aggregate: OperatorId): Columns {
  for (const { root } of plan.stages) {
    const found = columnsBefore(root, aggregate, new Map());
    if (found !== null) return found;
  }
  return new Map();
}

function columnsBefore(
  operators: readonly StageOperator[],
  aggregate: OperatorId,
  columns: Columns,
): Columns | null {
  for (const operator of operators) {
    if (operator.kind === 'aggregate') {
      const found = columnsBefore(operator.next, aggregate, new Map());
      if (found !== null) return found;
      continue;
    }
    if (operator.id === aggregate) return columns;
    const made = operator.kind === 'project' ? madeColumns(operator.columns) : columns;
    const found = columnsBefore(operator.next, aggregate, made);
    if (found !== null) return found;
  }
  return null;
}

function madeColumns(columns: readonly { readonly name: string; readonly expr: Expr }[]): Columns {
  const made = columns.filter(({ name }) => name.startsWith('$'));
  return new Map(made.map(({ name, expr }) => [name, expr]));
}
