// Messages about stages, partitions and exchanges that the plan has not: the machines never see
// them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { driverMessageFits, peerMessageFits, workerMessageFits } from './fits-plan.ts';
import type { PlanSize } from './fits-plan.ts';
import type { BatchNumber, Incarnation, PlacementVersion, Term, WorkerId } from './ids.ts';
import type { DriverMessage, PeerMessage, Place, WorkerMessage, WorkerStatus } from './messages.ts';
import type { Template } from './template.ts';

/** Two sources, three consumers. */
const plan: PlanSize = { partitionCounts: [2, 3], exchanges: [{ from: 0, to: 1 }] };

const w1 = 1 as WorkerId;
const batch = 5 as BatchNumber;
const version = 0 as PlacementVersion;
const signed = { term: 1 as Term, incarnation: 1 as Incarnation };
const source: Place = { stage: 0, partition: 1 };
const consumer: Place = { stage: 1, partition: 2 };
const missing: readonly Place[] = [
  { stage: 0, partition: 2 },
  { stage: 1, partition: 3 },
  { stage: 2, partition: 0 },
];

function templateOf(counts: readonly number[]): Template {
  return {
    version,
    backups: [],
    planHash: 'p',
    delivery: 'push',
    partMs: null,
    reach: 'lost',
    exchanges: [{ from: 0, to: 1 }],
    stages: counts.map((count, id) => ({
      source: id === 0,
      inputs: id === 1 ? [0] : [],
      outputs: id === 0 ? [0] : [],
      sinks: id === 1,
      placement: new Array<WorkerId>(count).fill(w1),
    })),
  };
}

test('driver messages fit by their template, stage and exchange', () => {
  const install = (template: Template): DriverMessage => {
    return { kind: 'install-template', term: signed.term, template };
  };
  assert.ok(driverMessageFits(install(templateOf([2, 3])), plan));
  for (const counts of [[2], [2, 2], [3, 3], [2, 3, 1]]) {
    assert.ok(!driverMessageFits(install(templateOf(counts)), plan), String(counts));
  }
  const elsewhere = { ...templateOf([2, 3]), exchanges: [{ from: 1, to: 1 }] };
  assert.ok(!driverMessageFits(install(elsewhere), plan));
  const locations = (exchange: number): DriverMessage => {
    return { kind: 'locations', term: signed.term, batch, exchange, workers: [w1] };
  };
  assert.ok(driverMessageFits(locations(0), plan));
  assert.ok(!driverMessageFits(locations(1), plan));
});

test('worker messages fit by the partitions they name; only sources end and have ranges', () => {
  const ended = (place: Place): WorkerMessage => {
    const task = { ...place, batch };
    const done = { startedThrough: batch, doneThrough: batch, makespansMs: [], busyMs: 0 };
    const kept = { keptBytes: 0, spilledBytes: 0, pressure: 'none' } as const;
    const counts = { tasksRun: 0, queued: 0, gauges: null };
    const report = { version, ...done, ...kept, ...counts, ended: [task] };
    return { kind: 'report', ...signed, report };
  };
  const status = (changed: Partial<WorkerStatus>): WorkerMessage => {
    const through = { startedThrough: batch, doneThrough: batch, finalBatch: batch, refused: [] };
    const known = { ...through, ranges: [], kept: [] };
    return {
      kind: 'status',
      ...signed,
      round: 1,
      status: { version, ...known, owned: [], ...changed },
    };
  };
  const ranges = (place: Place): WorkerMessage =>
    status({ ranges: [{ ...place, first: batch, ranges: [['r']] }] });
  const kept = (place: Place): WorkerMessage => status({ kept: [{ ...place, spans: [] }] });
  const owned = (place: Place): WorkerMessage =>
    status({ owned: [{ ...place, next: batch, endedAt: batch }] });
  const stored = (place: Place): WorkerMessage => {
    const snapshots = [{ ...place, snapshot: 's', range: null }];
    return { kind: 'snapshots-stored', ...signed, version, batch, snapshots };
  };
  const fits = (message: WorkerMessage): boolean => workerMessageFits(message, plan);
  for (const about of [ended, ranges, kept, owned, stored]) {
    assert.ok(fits(about(source)), about.name);
    for (const place of missing) assert.ok(!fits(about(place)), about.name);
  }
  for (const about of [ended, ranges, kept]) assert.ok(!fits(about(consumer)), about.name);
  for (const about of [owned, stored]) assert.ok(fits(about(consumer)), about.name);
});

test('peer messages fit by exchange, producers, and the partitions that are meant', () => {
  const blocks = (exchange: number, producer: number, only: readonly number[] | null) => {
    const entries = [{ producer, part: 0, last: true, range: null, output: null }];
    return { kind: 'blocks', ...signed, version, batch, exchange, only, entries } as const;
  };
  const fits = (message: PeerMessage): boolean => peerMessageFits(message, plan);
  assert.ok(fits(blocks(0, 1, null)));
  assert.ok(fits(blocks(0, 1, [0, 2])));
  assert.ok(!fits(blocks(1, 0, null)));
  assert.ok(!fits(blocks(0, 2, null)));
  assert.ok(!fits(blocks(0, 1, [3])));
  assert.ok(!fits({ kind: 'pull', ...signed, version, batch, exchange: 1 }));
  assert.ok(fits({ kind: 'frontier', ...signed, version, durableThrough: batch }));
});
