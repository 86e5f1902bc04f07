// The structure that checkpoints hold: stable for one plan, different when its state is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as samples from '../testing/sample-plans.ts';
import { planPhysical } from './plan-physical.ts';
import { planStructure } from './plan-structure.ts';

test('planStructure names stages, operators and what keyed state consists of', () => {
  const plan = planPhysical(samples.ysbPlan(), { partitions: 8 });
  const structure = planStructure(plan, [3, 8]);
  assert.deepEqual(
    structure.map(({ stage, partitions }) => [stage, partitions]),
    [
      [0, 3],
      [1, 8],
    ],
  );
  assert.equal(structure[0]?.source, plan.sources[0]?.id);
  assert.equal(structure[1]?.source, null);
  const stateful = structure.flatMap(({ operators }) => operators.filter(({ state }) => state));
  assert.deepEqual(stateful, [
    {
      id: 'aggregate-4',
      kind: 'aggregate',
      state: {
        keys: ['campaign_id = campaign_id'],
        window: '{"kind":"tumbling","offsetMs":0,"sizeMs":10000}',
        aggregates: ['views = count(): float64'],
        input: 'partials',
      },
    },
  ]);
});

test('planStructure of every sample plan survives JSON and has all keyed state', () => {
  const plans = [samples.hoppingPlan(), samples.sessionPlan(), samples.unionPlan()];
  for (const logical of [...plans, samples.twoLevelPlan(), samples.latePlan()]) {
    const plan = planPhysical(logical, { partitions: 4 });
    const counts = plan.stages.map(() => 4);
    const structure = planStructure(plan, counts);
    assert.deepEqual(JSON.parse(JSON.stringify(structure)), structure);
    const stateful = structure.flatMap(({ operators }) => operators.filter(({ state }) => state));
    const aggregates = logical.operators.filter(({ kind }) => kind === 'aggregate');
    assert.deepEqual(
      stateful.map(({ id }) => id),
      aggregates.map(({ id }) => id),
      logical.name,
    );
  }
});
