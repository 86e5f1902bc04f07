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
  for (const id of shape.stages.keys()) placements.push(placementOf(shape, id, placements, sorted));
  const template: Template = {
    ...order,
    planHash: shape.planHash,
    exchanges: shape.exchanges,
    stages: shape.stages.map(({ source, inputs, outputs }, id) => {
      return { source, inputs, outputs, placement: placements[id]! };
    }),
  };
  assertTemplate(template);
  return template;
}

/** What leads from partition to partition stays on the worker; all else goes round. */
function placementOf(
  { stages, exchanges }: PlanShape,
  id: number,
  before: readonly (readonly WorkerId[])[],
  workers: readonly WorkerId[],
): readonly WorkerId[] {
  const { inputs, partitionCount } = stages[id]!;
  const offset = partitionCount < workers.length ? id : 0;
  const forward = inputs.find((input) => exchanges[input]!.fanIn === 1);
  const beside = forward === undefined ? [] : before[exchanges[forward]!.from]!;
  return Array.from({ length: partitionCount }, (_, partition) => {
    return beside[partition] ?? workers[(partition + offset) % workers.length]!;
  });
}
