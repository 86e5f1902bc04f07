// How many partitions the stages of a plan have, once those of the sources are known.

import type { SourceId } from './logical-plan.ts';
import type { PartitionCount, PhysicalPlan } from './physical-plan.ts';

/** By stage; `ofSource` says how many partitions a source has. */
export function partitionCountsOf(
  plan: Pick<PhysicalPlan, 'stages'>,
  ofSource: (source: SourceId) => number,
): number[] {
  return plan.stages.map(({ partitions }) => resolveCount(partitions, ofSource));
}

export function resolveCount(
  partitions: PartitionCount,
  ofSource: (source: SourceId) => number,
): number {
  switch (partitions.kind) {
    case 'fixed':
      return partitions.count;
    case 'source':
      return ofSource(partitions.source);
    case 'largest':
      return Math.max(...partitions.of.map((one) => resolveCount(one, ofSource)));
  }
}
