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
  let runs = 0;
  const still = (candidate: DrawnSimulation): boolean => runs++ < runsMax && fails(candidate);
  const indexes = Array.from({ length: itemsOf(drawn) }, (_, index) => index);
  const kept = fewest(indexes, (subset) => still(without(drawn, subset)));
  return without(drawn, kept);
}

/** Faults and interventions, faults first. */
function itemsOf({ faults, cluster }: DrawnSimulation): number {
  return (faults?.faults.length ?? 0) + cluster.interventions.length;
}

function without(drawn: DrawnSimulation, kept: readonly number[]): DrawnSimulation {
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

/** A subset that is still bad, none of whose members can be left out. */
function fewest(
  all: readonly number[],
  isBad: (subset: readonly number[]) => boolean,
): readonly number[] {
  let kept = all;
  for (let size = Math.ceil(all.length / 2); size >= 1 && kept.length > 0;) {
    const before = kept.length;
    for (let start = 0; start < kept.length;) {
      const rest = kept.filter((_, index) => index < start || index >= start + size);
      if (isBad(rest)) kept = rest;
      else start += size;
    }
    if (size > 1) size = Math.ceil(size / 2);
    else if (kept.length === before) break;
  }
  return kept;
}
