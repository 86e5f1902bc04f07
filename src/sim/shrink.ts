// From a run that fails to one that fails by as little as possible: leaves out faults and
// interventions, half of them, a quarter, one (delta debugging: Zeller and Hildebrandt, TSE 2002).

import type { DrawnSimulation } from './simulate.ts';

export type ShrinkOptions = {
  /** Whether the run still fails. */
  readonly fails: (drawn: DrawnSimulation) => boolean;
  /** Runs at most; what was found by then is given. */
  readonly runsMax: number;
};

export function shrink(drawn: DrawnSimulation, { fails, runsMax }: ShrinkOptions): DrawnSimulation {
  const search = fewest(itemsOf(drawn));
  let step = search.next();
  for (let runs = 0; step.done !== true; runs++) {
    step = search.next(runs < runsMax && fails(withOnly(drawn, step.value)));
  }
  return withOnly(drawn, step.value);
}

/** Faults and interventions, faults first. */
export function itemsOf({ faults, cluster }: DrawnSimulation): number {
  return (faults?.faults.length ?? 0) + cluster.interventions.length;
}

/** The run with some of its items only, which are numbered from 0. */
export function withOnly(drawn: DrawnSimulation, kept: Iterable<number>): DrawnSimulation {
  const { cluster, faults } = drawn;
  const count = faults?.faults.length ?? 0;
  const keeps = new Set(kept);
  const interventions = cluster.interventions.filter((_, index) => keeps.has(count + index));
  return {
    ...drawn,
    cluster: { ...cluster, interventions },
    faults:
      faults === null
        ? null
        : { ...faults, faults: faults.faults.filter((_, index) => keeps.has(index)) },
  };
}

/**
 * Of so many items some that are still bad, none of which can be left out. It asks of subsets
 * whether they are bad, and is told in return.
 */
export function* fewest(count: number): Generator<readonly number[], readonly number[], boolean> {
  let kept: readonly number[] = Array.from({ length: count }, (_, index) => index);
  for (let size = Math.ceil(count / 2); size >= 1 && kept.length > 0;) {
    const before = kept.length;
    for (let start = 0; start < kept.length;) {
      const rest = kept.filter((_, index) => index < start || index >= start + size);
      if (yield rest) kept = rest;
      else start += size;
    }
    if (size > 1) size = Math.ceil(size / 2);
    else if (kept.length === before) break;
  }
  return kept;
}
