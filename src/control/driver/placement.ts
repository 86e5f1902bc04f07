// Which worker owns which partition: round robin, staggered by stage so that stages of a single
// partition do not all land on the first worker. Every worker gets its share of each stage. What an
// exchange leads from partition to partition finds its consumer on the same worker.

import type { Execution } from './modes.ts';
import type { PlacementVersion, WorkerId } from '../protocol/ids.ts';
import type { Backup, Template, TemplateExchange } from '../protocol/template.ts';
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

export type PlacementOrder = Execution & {
  readonly version: PlacementVersion;
  /** By worker: its host. None: no copies are kept elsewhere. */
  readonly hosts?: ReadonlyMap<WorkerId, number>;
};

export function placeRoundRobin(
  shape: PlanShape,
  workers: readonly WorkerId[],
  order: PlacementOrder,
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
    readonly order: PlacementOrder;
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
  { hosts = new Map(), ...order }: PlacementOrder,
): Template {
  const template: Template = {
    ...order,
    planHash: shape.planHash,
    exchanges: shape.exchanges,
    stages: shape.stages.map(({ source, inputs, outputs, sinks }, id) => {
      return { source, inputs, outputs, sinks, placement: placements[id]! };
    }),
    backups: order.reach === 'lost' ? backupsOn(hosts) : [],
  };
  assertTemplate(template);
  return template;
}

/**
 * Each worker keeps copies for one of another host: the next in a ring in which the workers of a
 * host are spread. Where a host has more than all others together, some have nobody.
 */
function backupsOn(hosts: ReadonlyMap<WorkerId, number>): readonly Backup[] {
  const counts = new Map<number, number>();
  const ring = [...hosts]
    .sort(([a], [b]) => a - b)
    .map(([worker, host]) => {
      const turn = counts.get(host) ?? 0;
      counts.set(host, turn + 1);
      return { worker, host, turn };
    })
    .sort((a, b) => a.turn - b.turn || a.host - b.host);
  const backups = ring.flatMap(({ worker, host }, index): readonly Backup[] => {
    const next = [...ring.slice(index + 1), ...ring].find((other) => other.host !== host);
    return next === undefined ? [] : [{ of: worker, at: next.worker }];
  });
  return backups.sort((a, b) => a.of - b.of);
}
