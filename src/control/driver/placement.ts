// Which worker owns which partition: round robin, staggered by stage so that stages of a single
// partition do not all land on the first worker. Every worker gets its share of each stage. What an
// exchange leads from partition to partition finds its consumer on the same worker.

import type { Execution } from './modes.ts';
import type { PlacementVersion, WorkerId } from '../protocol/ids.ts';
import type { Template, TemplateExchange } from '../protocol/template.ts';
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
  readonly exchanges: readonly TemplateExchange[];
};

export function placeRoundRobin(
  shape: PlanShape,
  workers: readonly WorkerId[],
  order: { readonly version: PlacementVersion } & Execution,
): Template {
  const sorted = [...workers].sort((a, b) => a - b);
  const placements: (readonly WorkerId[])[] = [];
  for (const [id, { partitionCount }] of shape.stages.entries()) {
    const offset = partitionCount < sorted.length ? id : 0;
    const beside = besideOf(shape, id, placements);
    const owners = Array.from({ length: partitionCount }, (_, partition) => {
      return beside[partition] ?? sorted[(partition + offset) % sorted.length]!;
    });
    placements.push(owners);
  }
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
  const placements: (readonly WorkerId[])[] = [];
  for (const [id, stage] of owners.entries()) {
    const beside = besideOf(shape, id, placements);
    const stageLoad = new Map(to.workers.map((worker) => [worker, 0]));
    for (const owner of stage) {
      if (owner !== null) stageLoad.set(owner, (stageLoad.get(owner) ?? 0) + 1);
    }
    const placed = stage.map((owner, partition) => {
      if (owner !== null) return owner;
      if (beside[partition] !== undefined) return beside[partition];
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
    placements.push(placed);
  }
  return templateOf(shape, placements, to.order);
}

/** Where the producers are that lead from partition to partition of a stage, if any do. */
function besideOf(
  { stages, exchanges }: PlanShape,
  id: number,
  before: readonly (readonly WorkerId[])[],
): readonly WorkerId[] {
  const forward = stages[id]!.inputs.find((input) => exchanges[input]!.fanIn === 1);
  return forward === undefined ? [] : before[exchanges[forward]!.from]!;
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
