// The plans of the paper's micro-benchmarks, as the control plane sees them.

import type { PlanShape } from '../../src/control/driver/placement.ts';

/** One stage of source tasks [Drizzle §5.2]. */
export function oneStage(partitionCount: number): PlanShape {
  const stage = { source: true, inputs: [], outputs: [], sinks: true, partitionCount };
  return { planHash: 'one-stage', exchanges: [], stages: [stage] };
}

/** Source tasks, and consumers of a shuffle that each wait for all of them. */
export function twoStages(producers: number, consumers: number): PlanShape {
  return {
    planHash: 'two-stages',
    exchanges: [{ from: 0, to: 1 }],
    stages: [
      { source: true, inputs: [], outputs: [0], sinks: false, partitionCount: producers },
      { source: false, inputs: [0], outputs: [], sinks: true, partitionCount: consumers },
    ],
  };
}
