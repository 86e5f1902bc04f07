// Which worker owns which partition: round robin, staggered by stage so that stages of a single
// partition do not all land on the first worker. Every worker gets its share of each stage.

import type { Execution } from './modes.ts';
import type { PlacementVersion, WorkerId } from '../protocol/ids.ts';
import type { Template } from '../protocol/template.ts';
import { assertTemplate } from '../protocol/template.ts';

/** What the control plane needs to know of a physical plan, and nothing more. */
export type PlanShape = {
  readonly planHash: string;
  readonly stages: readonly {
    readonly source: boolean;
    readonly inputs: readonly number[];
    readonly outputs: readonly number[];
    /** Rows of the stage become visible somewhere. */
    readonly sinks: boolean;
    readonly partitionCount: number;
  }[];
  readonly exchanges: readonly { readonly from: number; readonly to: number }[];
};

export function placeRoundRobin(
  shape: PlanShape,
  workers: readonly WorkerId[],
  order: { readonly version: PlacementVersion } & Execution,
): Template {
  const sorted = [...workers].sort((a, b) => a - b);
  const placements = shape.stages.map(({ partitionCount }, id) => {
    const offset = partitionCount < sorted.length ? id : 0;
    return Array.from(
      { length: partitionCount },
      (_, partition) => sorted[(partition + offset) % sorted.length]!,
    );
  });
  return templateOf(shape, placements, order);
}

/**
 * The placement after a loss: what has an owner stays there; everything else is spread over all
 * workers, least loaded first, so that each gets its share of what was lost.
 */
export function placeLost(
  shape: PlanShape,
  owners: readonly (readonly (WorkerId | null)[])[],
  to: {
    readonly workers: readonly WorkerId[];
    readonly order: { readonly version: PlacementVersion } & Execution;
  },
): Template {
  const load = new Map(to.workers.map((worker) => [worker, 0]));
  for (const owner of owners.flat())
    if (owner !== null) load.set(owner, (load.get(owner) ?? 0) + 1);
  const placements = owners.map((stage) => {
    const stageLoad = new Map(to.workers.map((worker) => [worker, 0]));
    for (const owner of stage) {
      if (owner !== null) stageLoad.set(owner, (stageLoad.get(owner) ?? 0) + 1);
    }
    return stage.map((owner) => {
      if (owner !== null) return owner;
      let least = to.workers[0]!;
      for (const worker of to.workers) {
        const byStage = stageLoad.get(worker)! - stageLoad.get(least)!;
        const byLoad = load.get(worker)! - load.get(least)!;
        if (byStage < 0 || (byStage === 0 && (byLoad < 0 || (byLoad === 0 && worker < least)))) {
          least = worker;
        }
      }
      stageLoad.set(least, stageLoad.get(least)! + 1);
      load.set(least, load.get(least)! + 1);
      return least;
    });
  });
  return templateOf(shape, placements, to.order);
}

function templateOf(
  shape: PlanShape,
  placements: readonly (readonly WorkerId[])[],
  order: { readonly version: PlacementVersion } & Execution,
): Template {
  const template: Template = {
    ...order,
    planHash: shape.planHash,
    exchanges: shape.exchanges,
    stages: shape.stages.map(({ source, inputs, outputs, sinks }, id) => {
      return { source, inputs, outputs, sinks, placement: placements[id]! };
    }),
  };
  assertTemplate(template);
  return template;
}
