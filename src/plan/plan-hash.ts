// The plan's hash: equal on every worker that runs the same job code, different when anything that
// bears on the output differs, functions' text and tables' content included.

import { canonicalJson } from '../base/canonical-json.ts';
import { hashText } from '../base/hash.ts';
import type { PhysicalPlan } from './physical-plan.ts';

/** Without the text of functions, which a bundler may write in another way. */
export function structureHash(plan: PhysicalPlan): string {
  const functions = plan.functions.map((spec) => ({ ...spec, source: '' }));
  return planHash({ ...plan, functions });
}

export function planHash(plan: Omit<PhysicalPlan, 'hash' | 'state'>): string {
  const { name, stages, exchanges, sources, sinks, tables, functions } = plan;
  return hashText(canonicalJson({ name, stages, exchanges, sources, sinks, tables, functions }));
}
