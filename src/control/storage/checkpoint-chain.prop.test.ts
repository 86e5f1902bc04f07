// Drivers with rising terms share a chain, step by step in any order, with lost answers: what was
// acknowledged stays, in order, and nobody commits behind the mark of a greater term.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../base/random.ts';
import { SimulatedStore } from '../../sim/simulated-store.ts';
import type { CheckpointManifest } from '../protocol/checkpoint-manifest.ts';
import { checkpointContent, LostAnswer, SteppedDriver } from './checkpoints.fixture.ts';
import { commitCheckpoint, latestCheckpoint, openTerm, readChain } from './checkpoint-chain.ts';
import type { ChainHead } from './checkpoint-chain.ts';
import { retainCheckpoints } from './checkpoint-retention.ts';
import { pipelineKeys } from './pipeline-keys.ts';
import { isFenced } from './storage-errors.ts';
import { runScript } from './store-script.ts';

const keys = pipelineKeys('clicks');
const seeds = 300;

test('a chain of checkpoints is fenced by terms whatever the order of steps', () => {
  let commits = 0;
  let fenced = 0;
  for (let seed = 0; seed < seeds; seed++) {
    const random = new Random(seed);
    const store = new SimulatedStore();
    const faults = random.pick([0, 0, 0.1, 0.3]);
    const driverCount = random.integer(1, 4);
    const acknowledged = new Map<number, CheckpointManifest>();

    function* drive(term: number): Generator<void, void> {
      const driver = new SteppedDriver(store, random, faults);
      const holder = `driver-${term}`;
      try {
        let head: ChainHead | null = null;
        while (head === null) {
          head = yield* again(driver.run(openTerm(keys, { term, holder, nowMs: 0 })));
        }
        for (let batch = term * 100; batch < term * 100 + 5; batch++) {
          const content = checkpointContent(batch);
          const before: ChainHead = head;
          const done = yield* again(
            driver.run(commitCheckpoint(keys, before, { content, nowMs: batch })),
          );
          // Given up: as long as it is not known whether it happened, this driver must not go on.
          if (done === null) return;
          acknowledged.set(done.manifest.sequence, done.manifest);
          head = done.head;
          commits++;
          yield* again(driver.run(retainCheckpoints(keys, { term, keep: 2, nowMs: 0 })));
        }
      } catch (error) {
        if (!isFenced(error)) throw error;
        assert.ok(driverCount > 1, `seed ${seed}: a driver without a rival was fenced`);
        fenced++;
      }
    }

    const drivers = Array.from({ length: driverCount }, (_, index) => drive(index + 1));
    // A later driver starts later, but may overtake.
    let started = 1;
    while (drivers.length > 0) {
      if (random.chance(0.05)) started++;
      const index = random.integer(0, Math.min(started, drivers.length) - 1);
      if (drivers[index]!.next().done === true) drivers.splice(index, 1);
    }

    const answer = store.answer.bind(store);
    const chain = runScript(readChain(keys), answer).map((found) => {
      assert.ok('entry' in found, `seed ${seed}: an entry cannot be read`);
      return found.entry;
    });
    // The mark of a term is its first entry, and after it comes no lesser term.
    chain.forEach((entry, index) => {
      const before = chain[index - 1];
      if (before === undefined) return;
      assert.ok(before.term <= entry.term, `seed ${seed}: terms fall`);
      assert.equal(before.term < entry.term, entry.kind === 'term', `seed ${seed}: no mark`);
    });
    const kept = new Map(chain.map((entry) => [entry.sequence, entry]));
    const oldest = chain.find(({ kind }) => kind === 'checkpoint')?.sequence ?? 0;
    for (const [sequence, manifest] of acknowledged) {
      if (sequence >= oldest) assert.deepEqual(kept.get(sequence), manifest, `seed ${seed}: lost`);
    }
    if (acknowledged.size === 0) continue;
    // What was given up may have happened after the last that was acknowledged.
    const { checkpoint } = runScript(latestCheckpoint(keys), answer);
    const last = Math.max(...acknowledged.keys());
    assert.ok(checkpoint !== null && checkpoint.sequence >= last, `seed ${seed}: newest is lost`);
  }
  assert.ok(commits > seeds && fenced > seeds / 4, `${commits} commits, ${fenced} fenced`);
});

/** Null: the store's answer was lost. */
function* again<Result>(steps: Generator<void, Result>): Generator<void, Result | null> {
  try {
    return yield* steps;
  } catch (error) {
    if (error instanceof LostAnswer) return null;
    throw error;
  }
}
