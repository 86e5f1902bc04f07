// Runs that once went wrong, by the seed that showed it, cut down to what it takes.

import { test } from 'node:test';
import type { ClusterOptions } from './cluster.ts';
import { runCluster } from './cluster.ts';
import { compareWithReference } from './reference-run.ts';
import { drawSimulation, runSimulation } from './simulate.ts';
import { HashRunner } from './task-runner.ts';

const usual: Omit<ClusterOptions, 'seed'> = {
  shape: {
    planHash: 'shuffle',
    exchanges: [{ from: 0, to: 1 }],
    stages: [
      { source: true, inputs: [], outputs: [0], sinks: false, partitionCount: 4 },
      { source: false, inputs: [0], outputs: [], sinks: true, partitionCount: 4 },
    ],
  },
  workerCount: 4,
  mode: 'drizzle',
  partMs: 10,
  pace: { groupSize: 2, intervalMs: 5, lookAhead: true },
  network: { delayMsMax: 1, stallChance: 0, repeatChance: 0, repeatMsMax: 0 },
  costs: { taskMs: 0.05, commitMsMax: 1, storeMsMax: 1, storeFailChance: 0 },
  sources: { recordsPerTakeMax: 4, quietChance: 0, quietMsMax: 1 },
  skewMsMax: 0,
  recordCount: () => 40,
  runnerOf: () => new HashRunner([1, 0]),
  interventions: [],
};

function check(options: ClusterOptions): void {
  const run = runCluster(options);
  compareWithReference(run, options.shape, new HashRunner([1, 0]));
}

test('a worker that leaves before all are there has no place in what is counted (seed 539)', () => {
  const loss = { kind: 'suspicion', victim: 0, detectMs: 0, back: null } as const;
  for (let seed = 0; seed < 20; seed++) {
    const faults = [20, 40].map((afterMs) => ({ ...loss, afterMs }));
    const model = { faults, checkpointIntervalMs: 100, joinMsMax: 50 };
    check({ ...usual, seed, faults: model });
  }
});

test('blocks that waited for a partition that moves away are sent (seed 412)', () => {
  runSimulation(drawSimulation(412));
});
