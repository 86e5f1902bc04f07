// An oracle that finds nothing proves nothing: whatever is done to a good run, it must be noticed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterRun } from './cluster.ts';
import { runCluster } from './cluster.ts';
import { compareWithReference } from './reference-run.ts';
import type { Commit } from './task-runner.ts';
import { HashRunner } from './hash-runner.fixture.ts';

const shape = {
  planHash: 'shuffle',
  exchanges: [{ from: 0, to: 1 }],
  stages: [
    { source: true, inputs: [], outputs: [0], sinks: false, partitionCount: 2 },
    { source: false, inputs: [0], outputs: [], sinks: true, partitionCount: 2 },
  ],
};

function goodRun(): ClusterRun {
  return runCluster({
    seed: 1,
    shape,
    workerCount: 2,
    mode: 'drizzle',
    partMs: 10,
    pace: { groupSize: 3, intervalMs: 1, lookAhead: true },
    network: { delayMsMax: 1, stallChance: 0, repeatChance: 0, repeatMsMax: 0 },
    costs: { taskMs: 0.1, commitMsMax: 1, storeMsMax: 0, storeFailChance: 0 },
    sources: { recordsPerTakeMax: 5, quietChance: 0, quietMsMax: 1 },
    skewMsMax: 0,
    recordCount: () => 30,
    runnerOf: () => new HashRunner([1, 0]),
    interventions: [],
  });
}

function check(tamper: (run: ClusterRun) => Partial<ClusterRun>, complaint: RegExp | null): void {
  const run = goodRun();
  const compare = (): void => {
    compareWithReference({ ...run, ...tamper(run) }, shape, new HashRunner([1, 0]));
  };
  if (complaint === null) compare();
  else assert.throws(compare, complaint);
}

/** The commits of a run with one of them, from the middle, replaced. */
function replacing(replace: (commit: Commit) => readonly Commit[]) {
  return ({ visible }: ClusterRun): Partial<ClusterRun> => ({
    visible: visible.flatMap((commit, index) => (index === 5 ? replace(commit) : [commit])),
  });
}

test('compareWithReference accepts a good run', () => {
  check(() => ({}), null);
});

test('compareWithReference notices lost, repeated, invented and altered output', () => {
  check(
    replacing(() => []),
    /never became visible/,
  );
  check(
    replacing((commit) => [commit, commit]),
    /out of order/,
  );
  check(
    replacing((commit) => [{ ...commit, sink: 's7' }]),
    /should not have/,
  );
  check(
    replacing((commit) => [{ ...commit, rows: [] }]),
    /lacks rows/,
  );
  check(
    replacing((commit) => [{ ...commit, rows: [{ after: 'other' }] }]),
    /row 0/,
  );
});

test('compareWithReference notices output that appears out of order', () => {
  check(({ visible }) => ({ visible: visible.toReversed() }), /out of order/);
});

test('compareWithReference notices a task that gave other bytes', () => {
  const tasks = (run: ClusterRun): Partial<ClusterRun> => {
    const changed = run.tasks.find(({ outputTexts }) => outputTexts.length > 0);
    return {
      tasks: run.tasks.map((task) => (task === changed ? { ...task, outputTexts: ['x'] } : task)),
    };
  };
  check(tasks, /other bytes/);
});

test('compareWithReference notices a range that was read twice', () => {
  const tasks = (run: ClusterRun): Partial<ClusterRun> => ({
    tasks: run.tasks.map((task) =>
      task.range === null || task.task.batch !== 1
        ? task
        : { ...task, range: { ...task.range, from: 0 } },
    ),
  });
  check(tasks, /reads from 0/);
});
