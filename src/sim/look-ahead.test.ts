// What a group boundary costs, in virtual time: with look-ahead nothing, without it a round trip to
// the driver [Drizzle §3.1].

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCluster } from './cluster.ts';
import { HashRunner } from './hash-runner.fixture.ts';

const intervalMs = 10;

/** Times between the starts of one source partition's tasks, ascending, ms. */
function gapsMs(pace: { readonly groupSize: number; readonly lookAhead: boolean }): number[] {
  const run = runCluster({
    seed: 1,
    shape: {
      planHash: 'shuffle',
      exchanges: [{ from: 0, to: 1 }],
      stages: [
        { source: true, inputs: [], outputs: [0], sinks: false, partitionCount: 2 },
        { source: false, inputs: [0], outputs: [], sinks: true, partitionCount: 4 },
      ],
    },
    workerCount: 2,
    mode: 'drizzle',
    partMs: 10,
    pace: { ...pace, intervalMs },
    network: { delayMsMax: 10, stallChance: 0, repeatChance: 0, repeatMsMax: 0 },
    costs: { taskMs: 0.05, commitMsMax: 0, storeMsMax: 0, storeFailChance: 0 },
    sources: { recordsPerTakeMax: 1, quietChance: 0, quietMsMax: 1 },
    skewMsMax: 0,
    recordCount: () => 1000,
    runnerOf: () => new HashRunner([1, 0]),
    interventions: [
      { afterMs: 1000, event: { kind: 'stop-requested', drain: true, savepoint: null } },
    ],
  });
  const starts = run.tasks
    .filter(({ task }) => task.stage === 0 && task.partition === 0)
    .map(({ startedMs }) => startedMs);
  // The first order's own way and the final micro-batch are no boundaries between groups.
  const gaps = starts.slice(2, -1).map((startMs, index) => startMs - (starts[index + 1] ?? 0));
  return gaps.sort((a, b) => a - b);
}

test('look-ahead leaves no bubble between groups, whatever their size', () => {
  for (const groupSize of [1, 2, 10]) {
    const gaps = gapsMs({ groupSize, lookAhead: true });
    assert.ok(gaps.length > 80, `${gaps.length} micro-batches`);
    assert.ok((gaps.at(-1) ?? 0) < intervalMs + 1, `groups of ${groupSize}: ${gaps.at(-1)} ms`);
  }
});

test('without look-ahead each boundary of a group costs the way to the driver and back', () => {
  const gaps = gapsMs({ groupSize: 2, lookAhead: false });
  const late = gaps.filter((gap) => gap > intervalMs + 1);
  assert.ok(late.length > gaps.length / 4, `${late.length} of ${gaps.length} are late`);
});
