// Which blocks go to whom after a recovery.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchNumber, PlacementVersion, WorkerId } from '../protocol/ids.ts';
import type { Recovery } from '../protocol/recovery.ts';
import { Resending } from './resending.ts';

const [w1, w2, w3] = [1, 2, 3] as [WorkerId, WorkerId, WorkerId];

function batch(number: number): BatchNumber {
  return number as BatchNumber;
}

/** Partition 0 of the source and 1, 2, 3 of the consumers have moved, to 1, 2 and 1. */
const recovery: Recovery = {
  round: 1,
  template: {
    version: 1 as PlacementVersion,
    delivery: 'push',
    partMs: null,
    reach: 'lost',
    backups: [],
    planHash: 'p',
    exchanges: [
      { from: 0, to: 1 },
      { from: 0, to: 2 },
    ],
    stages: [
      { source: true, inputs: [], outputs: [0, 1], sinks: false, placement: [w1] },
      { source: false, inputs: [0], outputs: [], sinks: true, placement: [w1, w1, w2, w1] },
      { source: false, inputs: [1], outputs: [], sinks: true, placement: [w3] },
    ],
  },
  checkpoint: batch(4),
  end: batch(20),
  cut: 0,
  final: false,
  moved: [
    { stage: 0, partition: 0 },
    { stage: 1, partition: 1 },
    { stage: 1, partition: 2 },
    { stage: 1, partition: 3 },
  ],
  snapshots: [],
  known: [],
  reruns: [],
  done: [
    { worker: w1, through: batch(9) },
    { worker: w2, through: batch(12) },
    { worker: w3, through: batch(11) },
  ],
};

test('Resending moves the blocks of consumers that moved, by exchange and new owner', () => {
  assert.deepEqual(new Resending(recovery).moves, [
    { exchange: 0, to: w1, partitions: [1, 3] },
    { exchange: 0, to: w2, partitions: [2] },
  ]);
});

test('Resending: up to what a survivor had done only what moved there needs blocks', () => {
  const resending = new Resending(recovery);
  const neededBy = (worker: WorkerId, stage: number, number: number): readonly number[] | null =>
    resending.neededBy(worker, { stage, batch: batch(number) });
  assert.deepEqual(neededBy(w1, 1, 5), [1, 3]);
  assert.deepEqual(neededBy(w1, 1, 9), [1, 3]);
  assert.equal(neededBy(w1, 1, 10), null);
  assert.deepEqual(neededBy(w2, 1, 12), [2]);
  assert.deepEqual(neededBy(w3, 2, 11), []);
  assert.equal(neededBy(w3, 2, 12), null);
});

test('Resending: where all is rolled back everybody needs everything', () => {
  const resending = new Resending({ ...recovery, done: [] });
  for (const worker of [w1, w2, w3]) {
    assert.equal(resending.neededBy(worker, { stage: 1, batch: batch(5) }), null);
  }
});
