// Jobs that are suspended at some moment, while other things go wrong, and go on in another run:
// their whole output is held against a sequential run of the same tasks and against an interpreter
// of the pipeline, which knows nothing of stops.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../base/random.ts';
import type { ExecutionMode } from '../plan/execution-mode.ts';
import { judgeIndependently } from './independent-judge.fixture.ts';
import { drawSimulation, runSimulation } from './simulate.ts';

for (const mode of ['drizzle', 'bsp', 'continuous'] satisfies ExecutionMode[]) {
  test(`a suspended job in ${mode} mode goes on, and nothing is lost or twice`, () => {
    let suspended = 0;
    let kept = 0;
    for (let seed = 0; seed < 30; seed++) {
      const random = new Random(seed);
      const drawn = drawSimulation(seed, { faults: true, mode });
      if (drawn.faults === null) continue;
      const stop = { kind: 'stop-requested', drain: false, savepoint: { id: 0, name: 'end' } };
      const interventions = [{ afterMs: random.float() * 100, event: stop as typeof stop & Stop }];
      const faults = random.chance(0.5) ? drawn.faults : { ...drawn.faults, faults: [] };
      const simulation = { ...drawn, faults, cluster: { ...drawn.cluster, interventions } };
      const { run } = runSimulation(simulation);
      judgeIndependently({ ...simulation, run });
      suspended += run.runs - 1;
      kept += run.savepoints;
    }
    assert.ok(suspended > 5 && kept > 2, `${suspended} suspended, ${kept} of them kept`);
  });
}

type Stop = { readonly kind: 'stop-requested' };
