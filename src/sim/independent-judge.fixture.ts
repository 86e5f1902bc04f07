// The second oracle: the reference interpreter of the logical plan, which shares no code with the
// data plane, over the same ranges. Rows of one micro-batch are compared as a multiset.

import assert from 'node:assert/strict';
import { runReference } from '../testing/reference.ts';
import type { ReferenceBatch, ReferenceInput } from '../testing/reference.ts';
import { rowsDifference } from '../testing/rows-difference.ts';
import { sourceOfStage } from './pipeline-runner.ts';
import { attemptsThatCount } from './reference-run.ts';
import type { Simulation } from './simulate.ts';
import type { RanTask, TaskOrder } from './task-runner.ts';

export function judgeIndependently(simulation: Simulation): void {
  const { logical, bindings, run, scenario } = simulation;
  assert(run.outcome.kind === 'finished');
  const inParts = run.tasks.some(({ last }) => !last);
  // What tasks with parts give was compared with whole tasks already.
  if (scenario.opaque !== null || inParts) return;
  const reads = attemptsThatCount(run.tasks).filter(({ range }) => range !== null);
  const byBatch = Map.groupBy(reads, ({ task }) => task.batch as number);
  const batches = Array.from({ length: run.outcome.lastBatch + 1 }, (_, batch) =>
    batchOf(simulation, byBatch.get(batch) ?? []),
  );
  const reference = runReference(logical, bindings, batches);
  for (const [sink, expected] of reference.sinks) {
    batches.forEach((_, batch) => {
      const actual = run.visible
        .filter((commit) => commit.sink === sink && commit.batch === batch)
        .flatMap((commit) => commit.rows);
      const difference = rowsDifference(expected[batch] ?? [], actual);
      assert.equal(difference, null, `sink ${sink} @${batch}: ${difference}`);
    });
  }
}

function batchOf(simulation: Simulation, tasks: readonly RanTask[]): ReferenceBatch {
  const { logical, plan } = simulation;
  const inputs = new Map(logical.sources.map(({ id }) => [id, new Array<ReferenceInput>()]));
  let batchTimeMs = -Infinity;
  for (const order of tasks) {
    const { task, triggerMs } = order;
    const input = plan.stages[task.stage]?.input;
    assert(input?.kind === 'scan');
    const partitions = inputs.get(input.scan.source);
    assert(partitions !== undefined);
    partitions[task.partition] = inputOf(simulation, order);
    batchTimeMs = Math.max(batchTimeMs, triggerMs);
  }
  return { batchTimeMs, sources: inputs };
}

function inputOf(simulation: Simulation, { task, range }: TaskOrder): ReferenceInput {
  assert(range !== null);
  const rows = sourceOfStage(simulation, task.stage).rowsOf(task.partition, range);
  return { rows, ended: range.ended };
}
