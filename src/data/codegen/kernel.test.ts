import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FunctionId } from '../../expr/expr.ts';
import type { UserFunction } from '../../plan/bindings.ts';
import type { LogicalPlan, TableId } from '../../plan/logical-plan.ts';
import { partitionCountsOf } from '../../plan/partition-counts.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import type { RowObject } from '../../schema/data-type.ts';
import { checkGolden } from '../../testing/golden.ts';
import {
  broadcastPlan,
  hoppingPlan,
  latePlan,
  sessionPlan,
  treePlan,
  twoLevelPlan,
  unionPlan,
  ysbPlan,
} from '../../testing/sample-plans.ts';
import { kernelSource } from './kernel.ts';

const tables = new Map<TableId, readonly RowObject[]>([
  ['campaigns' as TableId, [{ ad: 'a', campaign: 'c' }]],
  [
    'regions' as TableId,
    [
      { country: 'CH', region: 'Europe' },
      { country: 'CH', region: 'Alps' },
    ],
  ],
]);

const functions = new Map<FunctionId, UserFunction>([
  ['f1' as FunctionId, { kind: 'scalar', fn: () => true }],
  ['f2' as FunctionId, { kind: 'map', fn: (row) => row }],
  [
    'path' as FunctionId,
    {
      kind: 'aggregate',
      aggregate: { init: () => [], add: (acc) => acc, merge: (acc) => acc, result: () => [] },
    },
  ],
]);

function sourceOf(plan: LogicalPlan): string {
  const sourcePartitions = new Map(plan.sources.map(({ id }) => [id, 4]));
  const physical = planPhysical(plan, { partitions: 4, sourcePartitions });
  const partitionCounts = partitionCountsOf(physical, () => 4);
  const bindings = { tables, functions };
  const texts = physical.stages.map((stage) => {
    const options = { plan: physical, stage, bindings, partitionCounts, lookups: new Map() };
    return `// Stage ${stage.id}\n${kernelSource(options)}`;
  });
  return texts.join('\n');
}

const plans = {
  ysb: ysbPlan,
  hopping: hoppingPlan,
  sessions: sessionPlan,
  union: unionPlan,
  'two-level': twoLevelPlan,
  late: latePlan,
  tree: treePlan,
  broadcast: broadcastPlan,
};

for (const [name, plan] of Object.entries(plans)) {
  test(`kernelSource of ${name} is the golden text`, () => {
    const text = sourceOf(plan());
    checkGolden(new URL(`./testdata/kernel-${name}.txt`, import.meta.url), text);
    assert.equal(sourceOf(plan()), text, 'the same plan gives the same text');
  });
}
