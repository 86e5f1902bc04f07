// Copies of what source tasks gave, at a worker of another host: what is copied, and what becomes
// of the copies when the worker whose tasks gave it is lost.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backupBytesMax } from '../limits.ts';
import type {
  BatchNumber,
  Incarnation,
  PlacementVersion,
  Term,
  WorkerId,
} from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { BlockCopy, DriverMessage, PeerMessage, WorkerMessage } from '../protocol/messages.ts';
import type { Recovery } from '../protocol/recovery.ts';
import type { Template } from '../protocol/template.ts';
import { Backups } from './backups.ts';
import { WorkerMachine } from './worker-machine.ts';

const [w1, w2, w3] = [1, 2, 3] as [WorkerId, WorkerId, WorkerId];
const incarnation = 1 as Incarnation;
const term = 1 as Term;

function batch(number: number): BatchNumber {
  return number as BatchNumber;
}

/** Each worker has a partition of the source and one of the keyed stage. */
function templateOf(version: number, workers: readonly WorkerId[]): Template {
  const placement = [w1, w2, w3].map((worker, index) => {
    return workers.includes(worker) ? worker : workers[index % workers.length]!;
  });
  return {
    version: version as PlacementVersion,
    delivery: 'push',
    partMs: null,
    reach: 'lost',
    planHash: 'backups',
    exchanges: [{ from: 0, to: 1 }],
    stages: [
      { source: true, inputs: [], outputs: [0], sinks: false, placement },
      { source: false, inputs: [0], outputs: [], sinks: true, placement },
    ],
    backups: [
      { of: w1, at: w2 },
      { of: w2, at: w3 },
    ],
  };
}

function produced(producer: number, bytes = 10) {
  const entry = { producer, part: 0, last: true, range: 'r', output: `p${producer}` };
  return { entry, bytes };
}

function named(copies: readonly BlockCopy[]): readonly string[] {
  return copies.map((copy) => `@${copy.batch} p${copy.producer}`);
}

test('Backups sends the copies of some micro-batches at once, of what its own tasks gave', () => {
  const backups = new Backups(templateOf(0, [w1, w2, w3]), { of: w1, every: 3 });
  assert.equal(backups.at, w2);
  assert.deepEqual(backups.add(batch(4), 0, [produced(0)]), []);
  assert.deepEqual(backups.add(batch(5), 0, [produced(0, backupBytesMax + 1)]), [], 'too large');
  assert.deepEqual(backups.add(batch(5), 0, [produced(1)]), [], 'of another worker');
  assert.deepEqual(named(backups.add(batch(6), 0, [produced(0)])), ['@4 p0', '@6 p0']);
  assert.deepEqual(backups.add(batch(7), 0, [produced(0)]), []);
});

test('Backups copies nothing to a worker that would not know the ranges behind it', () => {
  const all = templateOf(0, [w1, w2, w3]);
  const [source, keyed] = all.stages;
  const away = { ...all, stages: [source!, { ...keyed!, placement: [w1, w3, w3] }] };
  const paired = { ...all, exchanges: [{ from: 0, to: 1, fanIn: 1 }] };
  const alone = { ...all, backups: [] };
  for (const template of [away, paired, alone]) {
    const backups = new Backups(template, { of: w1, every: 1 });
    assert.deepEqual(backups.add(batch(1), 0, [produced(0)]), []);
  }
});

/** Worker 2, which has got blocks of worker 1, and copies of some of them. */
function survivor() {
  const machine = new WorkerMachine({ worker: w2, incarnation });
  let nowMs = 0;
  const sent: { readonly to: unknown; readonly message: WorkerMessage | PeerMessage }[] = [];
  const hear = (from: 'driver' | WorkerId, message: DriverMessage | PeerMessage): void => {
    machine.step(nowMs++, { kind: 'message-received', from, message });
    for (const effect of machine.takeEffects()) {
      if (effect.kind === 'send-message') sent.push(effect);
    }
  };
  hear('driver', { kind: 'install-template', term, template: templateOf(0, [w1, w2, w3]) });
  hear('driver', {
    kind: 'start-group',
    term,
    version: 0 as PlacementVersion,
    group: 0 as never,
    first: batch(0),
    count: 10,
    stage: null,
    intervalMs: 1000,
    anchorMs: 1e6,
    reportAt: batch(9),
    retireThrough: noBatch,
    final: false,
    checkpointAt: noBatch,
  });
  const signed = { term, incarnation, version: 0 as PlacementVersion };
  for (const number of [0, 1]) {
    const entry = { producer: 0, part: 0, last: true, range: `r${number}`, output: `b${number}` };
    const of = { batch: batch(number), exchange: 0, only: null, entries: [entry] };
    hear(w1, { kind: 'blocks', ...signed, ...of });
  }
  const copy = (number: number): BlockCopy => {
    const output = `copy ${number}`;
    return { batch: batch(number), exchange: 0, producer: 0, bytes: 7, output };
  };
  return { machine, hear, sent, signed, copy };
}

test('a worker keeps copies of blocks whose ranges it knows, and says so', () => {
  const { hear, sent, signed, copy, machine } = survivor();
  hear(w1, { kind: 'backup', ...signed, copies: [copy(0), copy(1), copy(2)] });
  assert.equal(machine.kept.memoryBytes, 14, 'of micro-batch 2 it knows no range');
  const members = [w2, w3].map((worker) => ({ worker, incarnation }));
  hear('driver', { kind: 'ask-status', term, round: 1, members, moves: false });
  hear(w1, { kind: 'backup', ...signed, copies: [copy(0)] });
  const told = sent.map(({ message }) => message).find(({ kind }) => kind === 'status');
  assert.ok(told?.kind === 'status');
  assert.deepEqual(told.status.kept, [{ stage: 0, partition: 0, spans: [{ first: 0, end: 2 }] }]);
});

test('copies of what the dead gave go to all who may not have got it from themselves', () => {
  const { hear, sent, signed, copy } = survivor();
  hear(w1, { kind: 'backup', ...signed, copies: [copy(0), copy(1)] });
  hear(w3, { kind: 'backup', ...signed, copies: [] });
  const members = [w2, w3].map((worker) => ({ worker, incarnation }));
  hear('driver', { kind: 'ask-status', term, round: 1, members, moves: false });
  const template = templateOf(1, [w2, w3]);
  const recovery: Recovery = {
    round: 1,
    template,
    checkpoint: noBatch,
    end: batch(10),
    cut: 0,
    final: false,
    // Both to worker 2; worker 3 keeps its own and has done micro-batch 0.
    moved: [
      { stage: 0, partition: 0 },
      { stage: 1, partition: 0 },
    ],
    snapshots: [],
    known: [{ stage: 0, partition: 0, first: batch(0), ranges: [['r0'], ['r1']] }],
    reruns: [],
    done: [
      { worker: w2, through: noBatch },
      { worker: w3, through: batch(0) },
    ],
  };
  sent.length = 0;
  hear('driver', { kind: 'recover', term, recovery });
  const blocks = sent.flatMap(({ to, message }) => {
    if (message.kind !== 'blocks') return [];
    return message.entries.map(({ output, range }) => ({ to, at: message.batch, output, range }));
  });
  assert.deepEqual(blocks, [{ to: w3, at: 1, output: 'copy 1', range: 'r1' }]);
});
