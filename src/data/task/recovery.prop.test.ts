// Whatever a worker was doing: a partition restored elsewhere, and a source task replayed
// elsewhere, go on with the bytes that an uninterrupted run has.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SnapshotKind } from '../snapshot/snapshot-file.ts';
import { FirstRun } from './first-run.fixture.ts';
import { randomRun } from './random-plan.fixture.ts';
import type { TaskId } from './task.ts';
import { wideRun } from './wide-run.fixture.ts';

const numRuns = Number(process.env['RUNS'] ?? 80);
const executorCount = 2;
const anyRun = fc.oneof(randomRun, wideRun);

type Action =
  | { readonly kind: 'go-on' }
  | { readonly kind: 'snapshot'; readonly of: SnapshotKind }
  | { readonly kind: 'move'; readonly to: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  fc.constant<Action>({ kind: 'go-on' }),
  fc.constantFrom('base' as const, 'delta' as const, 'delta' as const).map((of): Action => {
    return { kind: 'snapshot', of };
  }),
  fc.nat({ max: executorCount - 1 }).map((to): Action => ({ kind: 'move', to })),
);

test('a partition restored from its snapshots goes on as if nothing had happened', () => {
  const taken = { base: 0, delta: 0, restored: 0 };
  fc.assert(
    fc.property(anyRun, fc.infiniteStream(action), (run, actions) => {
      const first = new FirstRun(run);
      const executors = Array.from({ length: executorCount }, () => first.executor());
      for (const { stage, partition } of first.places()) {
        const place = { stage: stage.id, partition };
        let executor = executors[0]!;
        let chain: Uint8Array[] = [];
        let covered = -1;
        let moves = 0;
        for (let batch = 0; batch < first.batchCount; batch++) {
          const task = { ...place, batch, part: 0 };
          const result = executor.run(task, first.input(task));
          assert.deepEqual(result, first.result(task));
          const next = actions.next().value;
          if (next.kind === 'snapshot') {
            const snapshot = executor.snapshot(place, next.of);
            assert.equal(snapshot.batch, batch);
            taken[snapshot.kind]++;
            if (snapshot.kind === 'base') chain = [];
            chain.push(snapshot.bytes);
            covered = batch;
          } else if (next.kind === 'move' && moves++ < 4) {
            // What came after the last snapshot is lost and done again.
            for (const each of executors) each.forget(place);
            executor = executors[next.to]!;
            if (chain.length > 0) executor.restore(place, chain);
            if (chain.length > 1) taken.restored++;
            batch = covered;
          }
        }
      }
    }),
    { numRuns },
  );
  assert.ok(taken.base > numRuns && taken.delta > numRuns / 4, JSON.stringify(taken));
  assert.ok(taken.restored > numRuns / 8, JSON.stringify(taken));
});

test('source tasks replay anywhere, in any order, to the bytes of the first run', () => {
  fc.assert(
    fc.property(randomRun, fc.infiniteStream(fc.nat()), (run, numbers) => {
      const first = new FirstRun(run);
      const executors = Array.from({ length: executorCount }, () => first.executor());
      const random = (below: number): number => numbers.next().value % below;
      const tasks = first.places().flatMap(({ stage, partition }) =>
        stage.input.kind !== 'scan'
          ? []
          : Array.from({ length: first.batchCount }, (_, batch): TaskId => {
              return { stage: stage.id, partition, batch, part: 0 };
            }),
      );
      for (let left = tasks.length; left > 0; left--) {
        const [task] = tasks.splice(random(left), 1);
        const input = first.input(task!);
        assert.ok(input.kind === 'scan');
        const known = first.result(task!).range!;
        const before =
          task!.batch === 0 ? null : first.result({ ...task!, batch: task!.batch - 1 }).range;
        // A reader that comes back to a range need not know that nothing follows.
        const chunk = { ...input.chunk, ended: false };
        const executor = executors[random(executorCount)]!;
        const replayed = executor.replay(task!, { chunk, known, before });
        assert.deepEqual(replayed, first.result(task!));
        // In between, partitions go on behind some range, which does not disturb replays.
        if (random(4) > 0) continue;
        const place = { stage: task!.stage, partition: task!.partition };
        executor.resume(place, known);
        const next = { ...task!, batch: task!.batch + 1 };
        if (next.batch < first.batchCount) {
          assert.deepEqual(executor.run(next, first.input(next)), first.result(next));
        }
      }
    }),
    { numRuns },
  );
});
