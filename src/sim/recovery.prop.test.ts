// The machines under random plans and clusters in which everything goes wrong: the job ends, and
// what became visible is what a sequential run over the logged ranges gives, each row once.

import { test } from 'node:test';
import fc from 'fast-check';
import { Random } from '../base/random.ts';
import type { ClusterOptions } from './cluster.ts';
import { runCluster } from './cluster.ts';
import { drawFaults } from './faults.ts';
import { clusters } from './random-cluster.fixture.ts';
import { compareWithReference } from './reference-run.ts';
import { HashRunner } from './hash-runner.fixture.ts';

const faulty: fc.Arbitrary<ClusterOptions> = fc
  .record({
    options: clusters,
    seed: fc.integer({ min: 0 }),
    storeMsMax: fc.constantFrom(0.1, 3, 50),
    storeFailChance: fc.constantFrom(0, 0.2),
  })
  .map(({ options, seed, storeMsMax, storeFailChance }) => ({
    ...options,
    mode: 'drizzle',
    costs: { ...options.costs, storeMsMax, storeFailChance },
    faults: drawFaults(new Random(seed)),
  }));

test('machines lose nothing and give nothing twice, whoever crashes or stands still', () => {
  fc.assert(
    fc.property(faulty, (options) => {
      const run = runCluster(options);
      const runner = new HashRunner(options.shape.stages.map(({ outputs }) => outputs.length));
      if (run.tasks.length > 0) compareWithReference(run, options.shape, runner);
    }),
    { numRuns: Number(process.env['RUNS'] ?? 500) },
  );
});
