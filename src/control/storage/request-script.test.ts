// What operators ask of drivers through the store: one request at a time, for one term, and
// answered once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../base/random.ts';
import { StreamError } from '../../base/stream-error.ts';
import { SimulatedStore } from '../../sim/simulated-store.ts';
import { LostAnswer, SteppedDriver } from './checkpoints.fixture.ts';
import { readLease, releaseLease, takeLease } from './lease-script.ts';
import { pipelineKeys } from './pipeline-keys.ts';
import type { RequestAnswer, SeenRequest } from './request-script.ts';
import {
  answerRequest,
  fileRequest,
  openRequest,
  requestAnswer,
  withdrawRequest,
} from './request-script.ts';
import type { StoreScript } from './store-script.ts';
import { runScript } from './store-script.ts';

const keys = pipelineKeys('clicks');
const asked = { kind: 'savepoint', name: 'a' } as const;
const done: RequestAnswer = { kind: 'done', checkpoint: 7, name: 'a', ending: null };

class World {
  readonly store = new SimulatedStore();

  run<Result>(script: StoreScript<Result>): Result {
    return runScript(script, this.store.answer.bind(this.store));
  }

  drive(holder: string): number {
    const seen = this.run(readLease(keys.lease));
    return this.run(takeLease(keys.lease, seen, { holder, durationMs: 100 }))!.lease.term;
  }

  release(): void {
    this.run(releaseLease(keys.lease, this.run(readLease(keys.lease))!));
  }
}

function isError(code: string): (error: unknown) => boolean {
  return (error) => error instanceof StreamError && error.code === code;
}

test('a request reaches the driver of its term, and the answer whoever asked', () => {
  const world = new World();
  assert.throws(
    () => world.run(fileRequest(keys, { id: '1', request: asked })),
    isError('no-driver'),
  );
  const term = world.drive('a');
  assert.equal(world.run(openRequest(keys, term)), null);
  const filed = world.run(fileRequest(keys, { id: '1', request: asked }));
  assert.equal(world.run(requestAnswer(keys, filed)), null);
  const seen = world.run(openRequest(keys, term))!;
  assert.deepEqual(seen.request, asked);
  const other = { id: '2', request: { kind: 'stop', drain: null, savepoint: 'b' } } as const;
  assert.throws(() => world.run(fileRequest(keys, other)), isError('request-busy'));
  assert.ok(world.run(answerRequest(keys, seen, done)));
  assert.deepEqual(world.run(requestAnswer(keys, filed)), done);
  assert.equal(world.run(openRequest(keys, term)), null);
  world.run(fileRequest(keys, other));
  assert.deepEqual(world.run(openRequest(keys, term))?.request, other.request);
});

test('a request to a driver that has died is asked of no other one', () => {
  const world = new World();
  world.drive('a');
  const filed = world.run(fileRequest(keys, { id: '1', request: asked }));
  const term = world.drive('b');
  assert.equal(world.run(openRequest(keys, term)), null);
  assert.throws(() => world.run(requestAnswer(keys, filed)), isError('no-driver'));
  // Nor does it keep anybody from asking.
  const again = world.run(fileRequest(keys, { id: '2', request: asked }));
  assert.equal(world.run(openRequest(keys, term))?.id, '2');
  world.release();
  assert.throws(() => world.run(requestAnswer(keys, again)), isError('no-driver'));
});

test('a request that is withdrawn is done by nobody, or its answer is known', () => {
  const world = new World();
  const term = world.drive('a');
  const filed = world.run(fileRequest(keys, { id: '1', request: asked }));
  const seen = world.run(openRequest(keys, term))!;
  assert.deepEqual(world.run(withdrawRequest(keys, filed)), { kind: 'withdrawn' });
  assert.equal(world.run(openRequest(keys, term)), null);
  assert.equal(world.run(answerRequest(keys, seen, done)), false);
  const second = world.run(fileRequest(keys, { id: '2', request: asked }));
  assert.ok(world.run(answerRequest(keys, world.run(openRequest(keys, term))!, done)));
  assert.deepEqual(world.run(withdrawRequest(keys, second)), done);
});

test("a damaged request is nobody's, and the next one replaces it", () => {
  const world = new World();
  const term = world.drive('a');
  world.store.put(keys.request, new TextEncoder().encode('{"checksum":"x","content":{}}'));
  assert.equal(world.run(openRequest(keys, term)), null);
  world.run(fileRequest(keys, { id: '1', request: asked }));
  assert.equal(world.run(openRequest(keys, term))?.id, '1');
});

test('in every order of steps and with lost answers a request is taken up once at most', () => {
  let answered = 0;
  let withdrawn = 0;
  for (let seed = 0; seed < 300; seed++) {
    const random = new Random(seed);
    const world = new World();
    const term = world.drive('a');
    const taken = new Map<string, number>();
    const outcomes = new Map<string, RequestAnswer>();
    const steps = new SteppedDriver(world.store, random, random.pick([0, 0.2]));

    function* driver(): Generator<void, void> {
      for (let looks = 0; looks < 12; looks++) {
        const seen = yield* again(() => steps.run(openRequest(keys, term)));
        if (seen === null) continue;
        if (!taken.has(seen.id)) taken.set(seen.id, 0);
        const said = yield* again(() => steps.run(answerRequest(keys, seen, done)));
        if (said === true) taken.set(seen.id, taken.get(seen.id)! + 1);
      }
    }

    function* operator(id: string): Generator<void, void> {
      let filed: SeenRequest | null = null;
      try {
        filed = yield* again(() => steps.run(fileRequest(keys, { id, request: asked })));
      } catch (error) {
        if (!isError('request-busy')(error)) throw error;
      }
      if (filed === null) return;
      const mine = filed;
      for (let looks = random.integer(0, 4); looks > 0; looks--) {
        const answer = yield* again(() => steps.run(requestAnswer(keys, mine)));
        if (answer !== null) return void outcomes.set(id, answer);
      }
      const last = yield* again(() => steps.run(withdrawRequest(keys, mine)));
      if (last !== null) outcomes.set(id, last);
    }

    const all = [driver(), operator('1'), operator('2')];
    while (all.length > 0) {
      const index = random.integer(0, all.length - 1);
      if (all[index]!.next().done === true) all.splice(index, 1);
    }
    for (const [id, outcome] of outcomes) {
      if (outcome.kind === 'done') answered++;
      else withdrawn++;
      assert.ok((taken.get(id) ?? 0) <= 1, `seed ${seed}: ${id} is answered twice`);
      const isTaken = outcome.kind !== 'done' || taken.has(id);
      assert.ok(isTaken, `seed ${seed}: ${id} is done, and nobody has done it`);
    }
  }
  assert.ok(answered > 50 && withdrawn > 50, `${answered} answered, ${withdrawn} withdrawn`);
});

/** Null: the store's answer was lost. */
function* again<Result>(start: () => Generator<void, Result>): Generator<void, Result | null> {
  try {
    return yield* start();
  } catch (error) {
    if (error instanceof LostAnswer) return null;
    throw error;
  }
}
