// The structure that checkpoints hold: stable for one plan, different when its state is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as samples from '../testing/sample-plans.ts';
import { planPhysical } from './plan-physical.ts';
import { planStructure } from './plan-structure.ts';

test('planStructure names stages, operators and what keyed state consists of', () => {
  const plan = planPhysical(samples.ysbPlan(), { partitions: 8 });
  const { stages, sources, sinks } = planStructure(plan, [3, 8], { 'sink-5': 'old' });
  assert.deepEqual(
    stages.map(({ stage, source, partitions, inputs }) => [stage, source, partitions, inputs]),
    [
      [0, 'events', 3, []],
      [1, null, 8, ['events']],
    ],
  );
  assert.deepEqual(
    sources.map(({ id, watermark }) => [id, JSON.parse(watermark)]),
    [['events', { timeColumn: 'event_time', delayMs: 100, idleMs: 2000, aheadMsMax: 86_400_000 }]],
  );
  assert.deepEqual(
    sinks.map(({ id, ledger, feeds }) => [id, ledger, feeds]),
    [[plan.sinks[0]!.id, plan.sinks[0]!.id, [{ from: 'aggregate-4', partitions: 8 }]]],
  );
  const stateful = stages.flatMap(({ operators }) => operators.filter(({ state }) => state));
  assert.deepEqual(stateful, [
    {
      id: 'aggregate-4',
      kind: 'aggregate',
      state: {
        keys: [{ name: 'campaign_id', text: 'campaign_id: string' }],
        window: '{"kind":"tumbling","offsetMs":0,"sizeMs":10000}',
        time: 'event_time',
        lateness: '0 ms',
        aggregates: [{ name: 'views', text: 'count(): float64' }],
        columns: [],
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
    const all = structure.stages.flatMap(({ operators }) => operators);
    const stateful = all.filter(({ state }) => state !== null);
    const aggregates = logical.operators.filter(({ kind }) => kind === 'aggregate');
    assert.deepEqual(
      stateful.map(({ id }) => id),
      aggregates.map(({ id }) => id),
      logical.name,
    );
  }
});
