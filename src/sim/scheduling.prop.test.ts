// The machines under random plans, clusters, delays, repeated messages, cuts and stops: checker.ts
// holds at every step, the job ends, and its output is that of a sequential run.

import { test } from 'node:test';
import fc from 'fast-check';
import { runCluster } from './cluster.ts';
import { clusters } from './random-cluster.fixture.ts';
import { compareWithReference } from './reference-run.ts';
import { HashRunner } from './hash-runner.fixture.ts';

test('machines run every task once, in order, with its inputs, and come to the end', () => {
  fc.assert(
    fc.property(clusters, (options) => {
      const run = runCluster(options);
      const runner = new HashRunner(options.shape.stages.map(({ outputs }) => outputs.length));
      // The hash of a task that stays open depends on who comes first.
      const whole = run.tasks.every(({ last }) => last);
      if (whole && run.tasks.length > 0) compareWithReference(run, options.shape, runner);
    }),
    { numRuns: 1000 },
  );
});
