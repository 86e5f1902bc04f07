// What the state of a stage's partitions is, for their snapshots: found in the plan.

import type { PhysicalPlan, Stage } from '../../plan/physical-plan.ts';
import { stageName } from '../../plan/plan-structure.ts';
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
    return { ...base, operator: input.scan.source, inputs: [], producers: [], aggregate: null };
  }
  // What is broadcast has no say in the watermark.
  const counted = input.exchanges
    .map((exchange) => plan.exchanges[exchange]!)
    .filter(({ partitioning }) => partitioning.kind !== 'broadcast');
  const producers = counted.map(({ from }) => partitionCounts[from]!);
  const inputs = counted.map(({ from }) => stageName(plan.stages[from]!));
  const operator = root!.id;
  if (root?.kind === 'broadcast-join') {
    const { tableSchema, keys } = root;
    const columns = tableSchema.fields.map(({ name, type, nullable }) => ({
      name,
      type,
      nullable,
    }));
    const broadcast = { columns, keys: keys.map(({ right }) => right) };
    return { ...base, operator, inputs, producers, aggregate: null, broadcast };
  }
  const kept = plan.state.find((spec) => spec.operator === operator);
  const aggregate = root?.kind === 'aggregate' ? kept!.aggregate : null;
  return { ...base, operator, inputs, producers, aggregate };
}
