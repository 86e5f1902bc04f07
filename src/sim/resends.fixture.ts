// Two losses in a row, of which the second strikes who still has to send again what it keeps on
// disk, while no range log makes anything durable. All of this at once is too rare to be left to
// the seeds that draw everything: here each seed draws it.

import type { PlanShape } from '../control/driver/placement.ts';
import { Random } from '../base/random.ts';
import { runCluster } from './cluster.ts';
import type { FaultModel } from './faults.ts';
import { HashRunner } from './hash-runner.fixture.ts';
import { compareWithReference } from './reference-run.ts';

/** Throws what went wrong. */
export function simulateResends(seed: number): void {
  const random = new Random(seed);
  // With fewer keyed partitions than workers, whoever takes one over knows nothing of before.
  const shape = shuffle(random.pick([1, 1, 2]));
  const runner = new HashRunner([1, 0]);
  const run = runCluster({
    seed: random.uint32(),
    shape,
    workerCount: random.integer(3, 5),
    mode: 'drizzle',
    partMs: 10,
    pace: {
      groupSize: random.pick([3, 20]),
      intervalMs: random.pick([1, 3]),
      lookAhead: random.chance(0.7),
    },
    network: { delayMsMax: 0.5, stallChance: 0, repeatChance: 0, repeatMsMax: 0 },
    costs: { taskMs: 0.05, commitMsMax: 1, storeMsMax: 3, storeFailChance: 0 },
    sources: { recordsPerTakeMax: 4, quietChance: 0, quietMsMax: 1 },
    skewMsMax: random.pick([1, 3, 10]),
    recordCount: () => 60,
    runnerOf: () => new HashRunner([1, 0]),
    interventions: [],
    faults: drawFaults(random),
  });
  compareWithReference(run, shape, runner);
}

function shuffle(keyedPartitions: number): PlanShape {
  const source = { source: true, inputs: [], outputs: [0], sinks: false, partitionCount: 4 };
  const keyed = { source: false, inputs: [0], outputs: [], sinks: true };
  return {
    planHash: 'shuffle',
    exchanges: [{ from: 0, to: 1 }],
    stages: [source, { ...keyed, partitionCount: keyedPartitions }],
  };
}

function drawFaults(random: Random): FaultModel {
  const afterMs = random.pick([15, 30, 60, 120]) + 5 * random.float();
  const stall = { afterMs: afterMs - 10 * random.float(), forMs: random.pick([300, 2000]) };
  const crash = { kind: 'crash', detectMs: 0.5, back: null } as const;
  const limits = { keptBytesMax: 1, spillBytesMax: 1e9, loadBytesMax: 1 };
  return {
    faults: [
      { kind: 'stalled-logs', ...stall },
      { ...crash, at: null, afterMs, victim: random.float() },
      { ...crash, at: 'sent-while-reading', afterMs, victim: random.float() },
    ],
    checkpointIntervalMs: 10_000,
    joinMsMax: 0,
    spill: { limits, failChance: 0, damageChance: 0, callMsMax: random.pick([5, 20, 60]) },
  };
}
