// Golden text of the plans of every shape, and what holds of all physical plans.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkGolden } from '../testing/golden.ts';
import * as samples from '../testing/sample-plans.ts';
import { explainLogical, explainPhysical } from './explain.ts';
import type { LogicalPlan, SourceId } from './logical-plan.ts';
import type { StageOperator } from './physical-plan.ts';
import { planPhysical } from './plan-physical.ts';

const plans: readonly LogicalPlan[] = [
  samples.ysbPlan(),
  samples.hoppingPlan(),
  samples.sessionPlan(),
  samples.unionPlan(),
  samples.twoLevelPlan(),
  samples.latePlan(),
  samples.treePlan(),
  samples.broadcastPlan(),
];

/** Enough for a tree of three levels. */
const sourcePartitions = (logical: LogicalPlan): ReadonlyMap<SourceId, number> =>
  new Map(logical.sources.map(({ id }) => [id, 20]));

for (const logical of plans) {
  test(`explain of ${logical.name} is the golden text`, () => {
    const physical = planPhysical(logical, { partitions: 8 });
    const known = { partitions: 8, sourcePartitions: sourcePartitions(logical) };
    const counted = explainPhysical(planPhysical(logical, known));
    const grown = counted === explainPhysical(physical) ? '' : `\nof 20 partitions, ${counted}`;
    const text = `${explainLogical(logical)}\n${explainPhysical(physical)}${grown}`;
    checkGolden(new URL(`./testdata/${logical.name}.txt`, import.meta.url), text);
  });

  test(`planPhysical of ${logical.name} gives stages and exchanges that fit together`, () => {
    const known = { partitions: 8, sourcePartitions: sourcePartitions(logical) };
    const plan = planPhysical(logical, known);
    plan.stages.forEach((stage, index) => {
      assert.equal(stage.id, index);
      if (stage.input.kind === 'exchanges') {
        for (const id of stage.input.exchanges) assert.equal(plan.exchanges[id].to, stage.id);
      }
      const sent = stage.root.flatMap(exchangesIn).toSorted((a, b) => a - b);
      assert.deepEqual(sent, stage.outputs);
      for (const id of stage.outputs) assert.equal(plan.exchanges[id].from, stage.id);
    });
    for (const { from, to } of plan.exchanges) assert.ok(from < to);
  });
}

function exchangesIn(operator: StageOperator): readonly number[] {
  const own = 'exchange' in operator ? [operator.exchange] : [];
  return [...own, ...operator.next.flatMap(exchangesIn)];
}

test('planHash is the same for equal plans and differs with partitions and function text', () => {
  const hash = (logical: LogicalPlan, partitions = 8): string =>
    planPhysical(logical, { partitions }).hash;
  const plan = samples.sessionPlan();
  assert.match(hash(plan), /^[0-9a-f]{32}$/);
  assert.equal(hash(plan), hash(structuredClone(plan)));
  assert.notEqual(hash(plan), hash(plan, 9));
  const functions = plan.functions.map((fn) => ({ ...fn, source: `${fn.source} ` }));
  assert.notEqual(hash(plan), hash({ ...plan, functions }));
});
