// What the control plane sees of a physical plan, and nothing more: the shape of its graph.

import type { PhysicalPlan } from '../../plan/physical-plan.ts';
import { fanInOf } from '../../plan/routing.ts';
import { SinkPartitions } from '../../plan/sink-partitions.ts';
import type { PlanShape } from './placement.ts';

/** The control plane's view of a physical plan. */
export function planShape(plan: PhysicalPlan, partitionCounts: readonly number[]): PlanShape {
  const sinkPartitions = new SinkPartitions(plan, partitionCounts);
  return {
    planHash: plan.hash,
    exchanges: plan.exchanges.map((exchange) => {
      const { from, to } = exchange;
      const fanIn = fanInOf(exchange);
      return { from, to, ...(fanIn === null ? {} : { fanIn }) };
    }),
    stages: plan.stages.map((stage) => ({
      source: stage.input.kind === 'scan',
      inputs: stage.input.kind === 'scan' ? [] : stage.input.exchanges,
      outputs: stage.outputs,
      sinks: sinkPartitions.feeds(stage.id),
      partitionCount: partitionCounts[stage.id]!,
    })),
  };
}
