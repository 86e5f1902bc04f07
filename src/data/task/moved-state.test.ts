// State in another place: which partitions it is made of, what a source's is, what is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StreamError } from '../../base/stream-error.ts';
import type { StageId } from '../../plan/physical-plan.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import { aggregateCall, column, PlanBuilder, schemaOf } from '../../testing/plan-builder.ts';
import { partitionOf } from '../shuffle/hash.ts';
import { moveState, partitionsBehind } from './moved-state.ts';
import { allocateBytes } from './run-plan.fixture.ts';
import { readState } from './saved-state.ts';
import { TaskExecutor } from './task-executor.ts';

test('partitionsBehind has every partition that a key of the new one can have been in', () => {
  const hash = fc.oneof(
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31)),
  );
  const count = fc.integer({ min: 1, max: 4096 });
  fc.assert(
    fc.property(hash, count, count, (key, former, partitionCount) => {
      const partition = partitionOf(key, partitionCount);
      const behind = partitionsBehind({ partition, partitionCount }, former);
      assert.ok(behind.includes(partitionOf(key, former)));
      assert.ok(behind.every((index) => index >= 0 && index < former));
      assert.ok(behind.length <= former / partitionCount + 2);
    }),
    { numRuns: 2000 },
  );
});

const events = schemaOf({ key: 'string', time: 'timestamp' });

function executor(): TaskExecutor {
  const builder = new PlanBuilder('shop');
  const rows = builder.source('in', events, { time: 'time', format: { kind: 'rows' } });
  const counts = builder.aggregate(rows, {
    keys: { key: column('key', 'string') },
    window: { kind: 'global' },
    time: null,
    aggregates: [aggregateCall('rows', 'count')],
  });
  builder.sink(counts, 'out');
  return new TaskExecutor({
    plan: planPhysical(builder.plan(), { partitions: 2 }),
    bindings: { functions: new Map(), tables: new Map() },
    partitionCounts: [1, 2],
    allocate: allocateBytes,
  });
}

test('the state of a source that is called otherwise is the range of the new one', () => {
  const from = executor();
  const place = { stage: 0 as StageId, partition: 0 };
  const rows = [{ key: 'a', time: 5 }];
  const chunk = { from: 7, to: 8, ended: false, data: { kind: 'rows', rows } } as const;
  from.run({ ...place, batch: 3, part: 0 }, { kind: 'scan', chunk, triggerMs: 9 });
  const { bytes } = from.snapshot(place, 'base');
  const moved = moveState([[bytes]], {
    operator: 'clicks',
    stage: 2,
    partition: 0,
    partitionCount: 1,
  });
  const { description, source, batch, partitionCount } = readState([moved]);
  assert.deepEqual([description.operator, description.stage, partitionCount], ['clicks', 2, 0]);
  assert.deepEqual(
    [source?.source, source?.from, source?.to, source?.watermarkMs, batch],
    ['clicks', 7, 8, 5, 3],
  );
});

test('partitions that have come to different watermarks are refused', () => {
  const from = executor();
  const chains = [5, 6].map((watermarkMs, partition) => {
    const place = { stage: 1 as StageId, partition };
    const header = { watermarkMs, idle: false, batchTimeMs: 0, ranges: [] };
    const blocks = [[{ producer: 0, header, block: null }]];
    from.run({ ...place, batch: 3, part: 0 }, { kind: 'blocks', blocks });
    return [from.snapshot(place, 'base').bytes];
  });
  const to = { operator: 'aggregate-1', stage: 1, partition: 0, partitionCount: 1 };
  assert.throws(
    () => moveState(chains, to),
    (error) => error instanceof StreamError && error.message.endsWith('different watermarks'),
  );
});
