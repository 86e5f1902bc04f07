// Whether a plan can go on from the state of another: what would be restored into what, stage by
// stage and operator by operator. Names the first difference for people.

import type { OperatorStructure, StageStructure } from './plan-structure.ts';

/**
 * Null: the state fits. Stages keep their number, their source and their partitions; operators with
 * state stay what they are. Operators without state may come, go and change.
 */
export function structureDifference(
  saved: readonly StageStructure[],
  now: readonly StageStructure[],
): string | null {
  if (saved.length !== now.length) {
    return `it has ${saved.length} stages, and the pipeline has ${now.length}`;
  }
  for (const [index, before] of saved.entries()) {
    const difference = stageDifference(before, now[index]!);
    if (difference !== null) return difference;
  }
  return null;
}

function stageDifference(before: StageStructure, after: StageStructure): string | null {
  const { stage } = before;
  if (before.source !== after.source) {
    const was = before.source ?? 'exchanges';
    return `stage ${stage} read ${was}, and reads ${after.source ?? 'exchanges'} now`;
  }
  if (before.partitions !== after.partitions) {
    return `stage ${stage} had ${before.partitions} partitions, and has ${after.partitions} now`;
  }
  const kept = before.operators.filter(({ state }) => state !== null);
  const keeping = after.operators.filter(({ state }) => state !== null);
  for (const operator of kept) {
    const same = keeping.find(({ id }) => id === operator.id);
    if (same === undefined) return `operator "${operator.id}", which has state, is gone`;
    const difference = operatorDifference(operator, same);
    if (difference !== null) return `operator "${operator.id}" ${difference}`;
  }
  const fresh = keeping.find(({ id }) => !kept.some((operator) => operator.id === id));
  return fresh === undefined ? null : `operator "${fresh.id}" has state that was not kept`;
}

function operatorDifference(before: OperatorStructure, after: OperatorStructure): string | null {
  const [was, is] = [before.state!, after.state!];
  for (const part of ['keys', 'aggregates'] as const) {
    const gone = was[part].find((text) => !is[part].includes(text));
    const come = is[part].find((text) => !was[part].includes(text));
    if (gone !== undefined)
      return `had ${gone}${come === undefined ? '' : `, and has ${come} now`}`;
    if (come !== undefined) return `has ${come}, which it had not`;
    if (was[part].join() !== is[part].join()) return `has its ${part} in another order`;
  }
  if (was.window !== is.window) return `had the window ${was.window}, and has ${is.window} now`;
  return was.input === is.input ? null : `took ${was.input}, and takes ${is.input} now`;
}
