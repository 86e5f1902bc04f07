// Which logs a driver closes, and when: those of drivers and workers before it once, its own never.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  BatchNumber,
  Incarnation,
  PlacementVersion,
  WorkerId,
} from '../../control/protocol/ids.ts';
import { firstVersionOf } from '../../control/protocol/ids.ts';
import type { Term } from '../../control/protocol/ids.ts';
import type { WorkerLife } from '../../control/protocol/messages.ts';
import type { PhysicalPlan } from '../../plan/physical-plan.ts';
import type { DriverStorageOptions } from './driver-storage.ts';
import { DriverStorage } from './driver-storage.ts';

const term = 3 as Term;

type World = {
  readonly storage: DriverStorage;
  readonly sealed: string[];
  readonly fences: number[];
  /** The listing of writers is answered. */
  readonly list: (...names: readonly string[]) => void;
};

function world(): World {
  const sealed: string[] = [];
  const fences: number[] = [];
  const listed = Promise.withResolvers<readonly string[]>();
  const log = {
    description: 'memory',
    writer: () => ({ append: async () => {}, close: async () => {} }),
    fence: async (below: number) => void fences.push(below),
    seal: async (name: string) => void sealed.push(name),
    writers: () => listed.promise,
    read: async () => [],
    keepUp: async () => {},
    release: async () => {},
  };
  const options = {
    durability: { term },
    open: { log },
    plan: { stages: [], sources: [] } as unknown as PhysicalPlan,
    journal: { assertOwn: async () => {} },
  };
  return {
    storage: new DriverStorage(options as unknown as DriverStorageOptions),
    sealed,
    fences,
    list: (...names) => listed.resolve(names),
  };
}

function life(worker: number): WorkerLife {
  return { worker: worker as WorkerId, incarnation: 1 as Incarnation };
}

function order(round: number, living: readonly number[], dead: readonly number[]) {
  return {
    kind: 'read-log',
    round,
    closesAll: false,
    living: living.map(life),
    returned: living.map(life),
    dead: dead.map(life),
    version: (firstVersionOf(term) + round - 2) as PlacementVersion,
    after: -1 as BatchNumber,
  } as const;
}

test('a driver closes the logs of those before it, but for workers that came over', async () => {
  const { storage, sealed, fences, list } = world();
  const read = storage.readLog(order(1, [1, 2], []));
  list('t1-w1-i1', 't2-w1-i1', 't2-w3-i1', 't2-driver', 't3-driver', 't3-w2-i1', 'strange');
  await read;
  assert.deepEqual(fences, [3]);
  assert.deepEqual(sealed.toSorted(), ['strange', 't2-driver', 't2-w3-i1']);
  // What such a worker has written for drivers before is closed with it.
  sealed.length = 0;
  await storage.readLog(order(2, [2], [1]));
  assert.deepEqual(sealed.toSorted(), ['t1-w1-i1', 't2-w1-i1', 't3-w1-i1']);
});

test('a round that begins while logs are being closed reads behind that', async () => {
  const { storage, sealed, list } = world();
  const first = storage.readLog(order(1, [1, 2], []));
  let isRead = false;
  const second = storage.readLog(order(2, [2], [1])).then(() => (isRead = true));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(isRead, false);
  list('t2-w9-i1', 't3-driver');
  await Promise.all([first, second]);
  assert.deepEqual(sealed.toSorted(), ['t2-w9-i1', 't3-w1-i1']);
});
