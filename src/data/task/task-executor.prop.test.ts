import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runReference } from '../../testing/reference.ts';
import { rowsDifference } from '../../testing/rows-difference.ts';
import { physicalOf, randomBindings, randomRun } from './random-plan.fixture.ts';
import { runPlan } from './run-plan.fixture.ts';

const numRuns = Number(process.env['RUNS'] ?? 400);

test('TaskExecutor gives what the reference interpreter gives for any pipeline', () => {
  fc.assert(
    fc.property(randomRun, (run) => {
      const { plan, batches } = run;
      const expected = runReference(plan, randomBindings, batches);
      const physical = physicalOf(run);
      const actual = runPlan({ plan: physical, bindings: randomBindings, batches });
      for (const [sink, rows] of expected.sinks) {
        rows.forEach((list, batch) => {
          const difference = rowsDifference(list, actual.sinks.get(sink)![batch]!);
          assert.equal(difference, null, `sink ${sink}, micro-batch ${batch}`);
        });
      }
      const late = [...expected.late.values()].flat().reduce((sum, count) => sum + count, 0);
      assert.equal(actual.late, late, 'late rows');
    }),
    { numRuns },
  );
});

test('TaskExecutor gives the same bytes when tasks run again', () => {
  fc.assert(
    fc.property(randomRun, (run) => {
      const { batches } = run;
      const options = { plan: physicalOf(run), bindings: randomBindings, batches };
      assert.deepEqual(runPlan(options).results, runPlan(options).results);
    }),
    { numRuns: numRuns / 4 },
  );
});
