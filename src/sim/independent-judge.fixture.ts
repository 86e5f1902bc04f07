// The second oracle: the reference interpreter of the logical plan, which shares no code with the
// data plane, over the same ranges. Rows of one micro-batch are compared as a multiset.

import assert from 'node:assert/strict';
import { runReference } from '../testing/reference.ts';
import type { RowObject } from '../schema/data-type.ts';
import type { ReferenceBatch, ReferenceInput } from '../testing/reference.ts';
import { rowsDifference } from '../testing/rows-difference.ts';
import { sourceOfStage } from './pipeline-runner.ts';
import { attemptsThatCount } from './reference-run.ts';
import type { Simulation } from './simulate.ts';
import type { ChosenRange } from './simulated-source.ts';
import type { RanTask, TaskOrder } from './task-runner.ts';

/** By stage, partition and range: what was read. */
export type RowsOf = (stage: number, partition: number, range: ChosenRange) => readonly RowObject[];

export function judgeIndependently(
  simulation: Simulation,
  rowsOf: RowsOf = (stage, partition, range) => {
    return sourceOfStage(simulation, stage).rowsOf(partition, range);
  },
): void {
  const { logical, bindings, run, scenario } = simulation;
  assert(run.outcome.kind === 'finished');
  const inParts = run.tasks.some(({ last }) => !last);
  // What tasks with parts give was compared with whole tasks already.
  if (scenario.opaque !== null || inParts) return;
  const reads = attemptsThatCount(run.tasks).filter(({ range }) => range !== null);
  const byBatch = Map.groupBy(reads, ({ task }) => task.batch as number);
  const batches = Array.from({ length: run.outcome.lastBatch + 1 }, (_, batch) =>
    batchOf(simulation, rowsOf, byBatch.get(batch) ?? []),
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

function batchOf(
  { logical, plan }: Simulation,
  rowsOf: RowsOf,
  tasks: readonly RanTask[],
): ReferenceBatch {
  const inputs = new Map(logical.sources.map(({ id }) => [id, new Array<ReferenceInput>()]));
  let batchTimeMs = -Infinity;
  for (const order of tasks) {
    const { task, triggerMs } = order;
    const input = plan.stages[task.stage]?.input;
    assert(input?.kind === 'scan');
    const partitions = inputs.get(input.scan.source);
    assert(partitions !== undefined);
    partitions[task.partition] = inputOf(order, rowsOf);
    batchTimeMs = Math.max(batchTimeMs, triggerMs);
  }
  return { batchTimeMs, sources: inputs };
}

function inputOf({ task, range }: TaskOrder, rowsOf: RowsOf): ReferenceInput {
  assert(range !== null);
  const rows = rowsOf(task.stage, task.partition, range);
  return { rows, ended: range.ended };
}
