// A worker between two drivers: what the former said last is carried out before the next is heard.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  BatchNumber,
  GroupId,
  Incarnation,
  PlacementVersion,
  Term,
  WorkerId,
} from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { DriverMessage, WorkerMessage } from '../protocol/messages.ts';
import type { Template } from '../protocol/template.ts';
import type { WorkerEffect } from './events.ts';
import { WorkerMachine } from './worker-machine.ts';

const worker = 0 as WorkerId;
const incarnation = 1 as Incarnation;
const members = [{ worker, incarnation }];

function templateOf(version: number): Template {
  const source = { source: true, sinks: true, inputs: [], outputs: [], placement: [worker] };
  return {
    version: version as PlacementVersion,
    backups: [],
    planHash: 'change',
    delivery: 'push',
    partMs: null,
    reach: 'lost',
    exchanges: [],
    stages: [source],
  };
}

function recover(term: number, round: number, { version = 0, cut = 0, end = 0 }): DriverMessage {
  const recovery = {
    round,
    template: templateOf(version),
    checkpoint: noBatch,
    end: end as BatchNumber,
    cut,
    final: false,
    moved: version === 0 ? [{ stage: 0, partition: 0 }] : [],
    snapshots: [],
    known: [],
    reruns: [],
    done: [{ worker, through: noBatch }],
  };
  return { kind: 'recover', term: term as Term, recovery };
}

test('a driver is answered though a recovery of the one before it waits for a task', () => {
  const machine = new WorkerMachine({ worker, incarnation });
  const told: WorkerMessage[] = [];
  let run = -1;
  const take = (effect: WorkerEffect): void => {
    if (effect.kind === 'run-task') run = effect.run;
    if (effect.kind === 'send-message') told.push(effect.message as WorkerMessage);
  };
  const step = (event: Parameters<WorkerMachine['step']>[1]): void => {
    machine.step(0, event);
    for (const effect of machine.takeEffects()) take(effect);
  };
  const hear = (message: DriverMessage): void => {
    step({ kind: 'message-received', from: 'driver', message });
  };
  hear(recover(1, 5, {}));
  step({
    kind: 'state-restored',
    stage: 0,
    partition: 0,
    since: 0 as PlacementVersion,
    ended: false,
  });
  hear({
    kind: 'start-group',
    term: 1 as Term,
    version: 0 as PlacementVersion,
    group: 0 as GroupId,
    first: 0 as BatchNumber,
    count: 1,
    stage: null,
    intervalMs: 0,
    anchorMs: 0,
    reportAt: 0 as BatchNumber,
    retireThrough: noBatch,
    final: true,
    checkpointAt: noBatch,
  });
  assert.equal(run, 0);
  hear(recover(1, 6, { version: 1, cut: 7, end: 1 }));
  const term = 2 as Term;
  hear({ kind: 'ask-status', term, round: 1, members, moves: false });
  const done = { outputs: [], outputBytes: [], range: {}, commitPending: false, ended: false };
  step({ kind: 'task-finished', run, ...done, sourceReady: true, elapsedMs: 0 });
  assert.equal(machine.template?.version, 1);
  const status = told.find((message) => message.kind === 'status');
  assert.deepEqual([status?.term, status?.round], [2, 1]);
  hear(recover(2, 1, { version: 2, end: 1 }));
  hear({ kind: 'ask-cut', term, cut: 1, from: noBatch });
  assert.ok(told.some((message) => message.kind === 'cut-answer' && message.term === term));
});
