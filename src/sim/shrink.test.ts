// Cutting a failing run down: what is left still fails, and no part of it can be spared.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from './faults.ts';
import { shrink } from './shrink.ts';
import type { DrawnSimulation } from './simulate.ts';
import { drawSimulation } from './simulate.ts';

/** A run with so many faults, each with its number, and one intervention. */
function drawn(count: number): DrawnSimulation {
  const of = drawSimulation(0);
  const faults = Array.from({ length: count }, (_, afterMs): Fault => ({ kind: 'join', afterMs }));
  const event = { kind: 'stop-requested', drain: true, savepoint: null } as const;
  const cluster = { ...of.cluster, interventions: [{ afterMs: 1, event }] };
  return { ...of, cluster, faults: { faults, checkpointIntervalMs: 20, joinMsMax: 0 } };
}

function numbersOf({ faults }: DrawnSimulation): number[] {
  return faults!.faults.map(({ afterMs }) => afterMs);
}

test('shrink finds the faults that it takes, wherever they are', () => {
  for (const needed of [[0], [12], [3, 4], [0, 6, 12], []]) {
    const fails = (one: DrawnSimulation): boolean =>
      needed.every((number) => numbersOf(one).includes(number));
    const least = shrink(drawn(13), { fails, runsMax: 200 });
    assert.deepEqual(numbersOf(least), needed);
    assert.equal(least.cluster.interventions.length, 0);
  }
});

test('shrink leaves an intervention that it takes', () => {
  const fails = (one: DrawnSimulation): boolean => one.cluster.interventions.length > 0;
  const least = shrink(drawn(5), { fails, runsMax: 200 });
  assert.equal(least.cluster.interventions.length, 1);
  assert.deepEqual(numbersOf(least), []);
});

test('shrink stops at its bound with a run that fails', () => {
  let runs = 0;
  const fails = (one: DrawnSimulation): boolean => {
    runs++;
    return numbersOf(one).includes(7);
  };
  const least = shrink(drawn(100), { fails, runsMax: 5 });
  assert.ok(runs <= 5);
  assert.ok(numbersOf(least).includes(7));
});
