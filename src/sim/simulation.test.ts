// Whole pipelines on simulated clusters: `npm run simulate -- --seeds 10000` runs more of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeIndependently } from './independent-judge.fixture.ts';
import { scenarios } from './scenarios.ts';
import { drawSimulation, runSimulation, simulate } from './simulate.ts';

const seedCount = 500;

test(`simulated clusters give what a sequential run gives, for ${seedCount} seeds`, () => {
  const ran = new Set<string>();
  for (let seed = 0; seed < seedCount; seed++) {
    try {
      const simulation = simulate(seed);
      judgeIndependently(simulation);
      ran.add(simulation.scenario.name);
    } catch (cause) {
      const replay = `npm run simulate -- --seeds 1 --from ${seed} --trace`;
      throw new Error(`seed ${seed} failed; replay it with: ${replay}`, { cause });
    }
  }
  assert.equal(ran.size, scenarios.length, 'every scenario runs');
});

test('simulate gives the same trace for the same seed, and another for another', () => {
  const fingerprint = (seed: number): string =>
    runSimulation(drawSimulation(seed), () => {}).run.trace.fingerprint;
  const once = [1, 2, 3, 4, 5].map(fingerprint);
  assert.deepEqual([1, 2, 3, 4, 5].map(fingerprint), once);
  assert.equal(new Set(once).size, once.length);
});
