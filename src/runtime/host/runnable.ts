// What the runtime needs of a pipeline, whoever built it.

import type { Bindings } from '../../plan/bindings.ts';
import type { LogicalPlan } from '../../plan/logical-plan.ts';
import type { Sink } from '../../ports/sink.ts';
import type { Source } from '../../ports/source.ts';

export type Runnable = {
  plan(): LogicalPlan;
  bindings(): Bindings<Source, Sink>;
};

export function isRunnable(value: unknown): value is Runnable {
  return (
    typeof value === 'object' &&
    value !== null &&
    'plan' in value &&
    typeof value.plan === 'function' &&
    'bindings' in value &&
    typeof value.bindings === 'function'
  );
}
