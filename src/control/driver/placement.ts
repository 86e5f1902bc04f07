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
  const template: Template = {
    ...order,
    planHash: shape.planHash,
    exchanges: shape.exchanges,
    stages: shape.stages.map((stage, id) => {
      const offset = stage.partitionCount < sorted.length ? id : 0;
      return {
        source: stage.source,
        inputs: stage.inputs,
        outputs: stage.outputs,
        placement: Array.from(
          { length: stage.partitionCount },
          (_, partition) => sorted[(partition + offset) % sorted.length]!,
        ),
      };
    }),
  };
  assertTemplate(template);
  return template;
}
