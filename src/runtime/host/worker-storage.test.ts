import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchNumber, Incarnation, Term, WorkerId } from '../../control/protocol/ids.ts';
import { firstVersionOf } from '../../control/protocol/ids.ts';
import { partsOfStateKey } from '../../control/storage/pipeline-keys.ts';
import { collect, memory, pipeline, schema, string } from '../../index.ts';
import type { SourceId } from '../../plan/logical-plan.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import { SimulatedBlobStore } from '../../sim/simulated-blob-store.ts';
import { ObjectRangeLog } from '../storage/object-range-log.ts';
import { WorkerStorage } from './worker-storage.ts';

test('WorkerStorage writes state in the term of the placement that it works by', async () => {
  const rows = memory({ partitions: [[]] }, { schema: schema({ user: string() }) });
  const logical = pipeline('shop').from(rows).to(collect()).plan();
  const counts = new Map<SourceId, number>(logical.sources.map(({ id }) => [id, 1]));
  const store = new SimulatedBlobStore();
  const storage = new WorkerStorage({
    open: {
      store,
      log: new ObjectRangeLog(store, 'p/log/', () => 0),
      close: () => Promise.resolve(),
    },
    plan: planPhysical(logical, { partitions: 1, sourcePartitions: counts }),
    worker: 0 as WorkerId,
    incarnation: 1 as Incarnation,
    nowMs: () => 0,
  });
  const place = { stage: 0, partition: 0 };
  for (const term of [1, 3]) {
    const snapshot = {
      kind: 'base',
      batch: term as BatchNumber,
      bytes: new Uint8Array(1),
    } as const;
    const version = firstVersionOf(term as Term);
    const { objects } = await storage.write(place, snapshot, version);
    assert.equal(partsOfStateKey(objects[0]!.key)?.term, term);
  }
  await storage.close();
});
