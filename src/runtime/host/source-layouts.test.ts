// A source whose world grows between two runs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CheckpointManifest } from '../../control/protocol/checkpoint-manifest.ts';
import { collect, memory, pipeline, schema, string } from '../../index.ts';
import { partitionCountsOf } from '../../plan/partition-counts.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import { planStructure } from '../../plan/plan-structure.ts';
import type { Source } from '../../ports/source.ts';
import { layOutSources } from './source-layouts.ts';

const logical = pipeline('grows')
  .from(memory({ partitions: [[]] }, { schema: schema({ user: string() }) }))
  .to(collect())
  .plan();
const { id } = logical.sources[0]!;

/** As many partitions as its layout says, and one more whenever it is asked. */
const growing = {
  layout: ({ layout }) => Promise.resolve(Number(layout ?? 0) + 1),
  partitions: ({ layout }) => Promise.resolve(Number(layout)),
} as Source;

function manifestWith(partitions: number): CheckpointManifest {
  const counts = new Map([[id, partitions]]);
  const plan = planPhysical(logical, { partitions: 2, sourcePartitions: counts });
  const structure = planStructure(
    plan,
    partitionCountsOf(plan, () => partitions),
  );
  return { structure, sources: [{ source: id, layout: partitions }] } as never;
}

function laidOut(latest: CheckpointManifest | null, readBehind: boolean) {
  const warnings: string[] = [];
  const found = layOutSources({
    logical,
    sources: new Map([[id, growing]]),
    run: { nowMs: () => 0, startMs: 0, workerCount: 1 },
    latest,
    hasReadBehind: () => Promise.resolve(readBehind),
    warn: (text) => warnings.push(text),
  });
  return found.then(({ sourcePartitions, layouts }) => {
    return [[...sourcePartitions.values()], Object.values(layouts), warnings.length];
  });
}

test('layOutSources takes in what is new where nothing has to be repeated', async () => {
  assert.deepEqual(await laidOut(null, false), [[1], [1], 0]);
  assert.deepEqual(await laidOut(manifestWith(3), false), [[4], [4], 0]);
});

test('layOutSources leaves out what is new where input is repeated without it', async () => {
  assert.deepEqual(await laidOut(manifestWith(3), true), [[3], [3], 1]);
});
