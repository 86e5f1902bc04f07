// The ways of scheduling a job. A mode is a policy: how orders are planned and how blocks reach
// their consumers. Kernels, state, transport and both machines are the same in all of them.

import { unreachable } from '../../base/assert.ts';
import type { ExecutionMode } from '../../plan/execution-mode.ts';
import type { Delivery, Reach } from '../protocol/template.ts';
import { GroupPlanner } from './group-planner.ts';
import type { PlanShape } from './placement.ts';
import type { Pace, Planner } from './planner.ts';
import { StagePlanner } from './stage-planner.ts';

export function plannerOf(mode: ExecutionMode, shape: PlanShape, pace: Pace): Planner {
  switch (mode) {
    case 'drizzle':
    case 'continuous':
      return new GroupPlanner(pace);
    case 'bsp':
      return new StagePlanner(shape, pace);
    default:
      return unreachable(mode);
  }
}

export type Execution = {
  readonly delivery: Delivery;
  readonly partMs: number | null;
  readonly reach: Reach;
};

/**
 * How workers carry a mode out. `partMs`: time between two parts, in `continuous` mode. `recovers`:
 * the loss of a worker does not end the job.
 */
export function executionOf(
  mode: ExecutionMode,
  { partMs, recovers }: { readonly partMs: number; readonly recovers: boolean },
): Execution {
  const [lineage, rollback] = recovers ? (['lost', 'all'] as const) : (['none', 'none'] as const);
  switch (mode) {
    case 'drizzle':
      return { delivery: 'push', partMs: null, reach: lineage };
    case 'bsp':
      return { delivery: 'pull', partMs: null, reach: rollback };
    case 'continuous':
      return { delivery: 'push', partMs, reach: rollback };
    default:
      return unreachable(mode);
  }
}
