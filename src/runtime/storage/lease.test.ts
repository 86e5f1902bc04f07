// The driver's lease and journal: who may decide, and what a successor is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../base/random.ts';
import { StreamError } from '../../base/stream-error.ts';
import { LostAnswer, SteppedDriver } from '../../control/storage/checkpoints.fixture.ts';
import {
  LeaseWatch,
  readLease,
  releaseLease,
  renewLease,
  takeLease,
} from '../../control/storage/lease-script.ts';
import { openJournal, writeJournal } from '../../control/storage/journal-script.ts';
import type { OpenJournal } from '../../control/storage/journal-script.ts';
import { isFenced } from '../../control/storage/storage-errors.ts';
import { runScript } from '../../control/storage/store-script.ts';
import { SimulatedBlobStore } from '../../sim/simulated-blob-store.ts';
import { SimulatedStore } from '../../sim/simulated-store.ts';
import { Journal } from './journal.ts';
import { acquireLease } from './lease.ts';

const isLost = (error: unknown): boolean =>
  error instanceof StreamError && error.code === 'lease-lost';

test('LeaseWatch waits until a lease has not changed for its own duration', () => {
  const store = new SimulatedStore();
  const answer = store.answer.bind(store);
  const watch = new LeaseWatch();
  const look = (nowMs: number): number => watch.observe(nowMs, runScript(readLease('l'), answer));
  assert.equal(look(0), 0);
  const claim = { holder: 'a', durationMs: 100 };
  let held = runScript(takeLease('l', null, claim), answer)!;
  assert.equal(held.lease.term, 1);
  assert.equal(look(1000), 100);
  assert.equal(look(1060), 40);
  held = runScript(renewLease('l', held), answer);
  assert.equal(look(1070), 100);
  assert.equal(look(1169), 1);
  assert.equal(look(1170), 0);
  const seen = runScript(readLease('l'), answer);
  const taken = runScript(takeLease('l', seen, { holder: 'b', durationMs: 100 }), answer)!;
  assert.equal(taken.lease.term, 2);
  assert.equal(runScript(takeLease('l', seen, { holder: 'c', durationMs: 100 }), answer), null);
  assert.throws(() => runScript(renewLease('l', held), answer), isLost);
  runScript(releaseLease('l', taken), answer);
  assert.equal(look(1171), 0);
});

test('leases are taken and renewed by one at a time, in every order of steps', () => {
  let renewals = 0;
  let lost = 0;
  for (let seed = 0; seed < 300; seed++) {
    const random = new Random(seed);
    const store = new SimulatedStore();
    const faults = random.pick([0, 0.2]);
    const terms = new Map<number, string>();

    function* contend(holder: string): Generator<void, void> {
      const driver = new SteppedDriver(store, random, faults);
      for (let round = 0; round < 3; round++) {
        try {
          const seen = yield* driver.run(readLease('l'));
          const claim = { holder: `${holder}-${round}`, durationMs: 1 };
          let held = yield* driver.run(takeLease('l', seen, claim));
          if (held === null) continue;
          const { term } = held.lease;
          assert.ok(!terms.has(term), `seed ${seed}: term ${term} was given twice`);
          terms.set(term, claim.holder);
          for (let renewal = 0; renewal < 3; renewal++) {
            held = yield* driver.run(renewLease('l', held));
            renewals++;
          }
        } catch (error) {
          if (error instanceof LostAnswer) continue;
          if (!isLost(error)) throw error;
          lost++;
        }
      }
    }

    const contenders = ['a', 'b', 'c'].map(contend);
    while (contenders.length > 0) {
      const index = random.integer(0, contenders.length - 1);
      if (contenders[index]!.next().done === true) contenders.splice(index, 1);
    }
  }
  assert.ok(renewals > 300 && lost > 30, `${renewals} renewals, ${lost} lost`);
});

test('acquireLease waits for a driver that is silent, and not for one that has left', async () => {
  const store = new SimulatedBlobStore();
  const options = { pipeline: 'p', durationMs: 60 };
  const first = await acquireLease(store, { ...options, holder: 'a' });
  const waited: string[] = [];
  const startMs = performance.now();
  const second = await acquireLease(store, {
    ...options,
    holder: 'b',
    onWait: (holder, term) => waited.push(`${holder} ${term}`),
  });
  assert.ok(performance.now() - startMs >= 59);
  assert.deepEqual(waited, ['a 1']);
  assert.deepEqual([first.term, second.term], [1, 2]);
  await assert.rejects(first.renew(), isLost);
  await first.release();
  await second.renew();
  assert.ok(second.validUntilMs > performance.now());
  await second.release();
  const third = await acquireLease(store, { ...options, holder: 'c', durationMs: 1e9 });
  assert.equal(third.term, 3);
  const stop = AbortSignal.timeout(20);
  await assert.rejects(acquireLease(store, { ...options, holder: 'd', signal: stop }));
});

test('Journal tells a successor the last word, and refuses its predecessor', async () => {
  const store = new SimulatedBlobStore();
  const first = await Journal.open(store, { pipeline: 'p', term: 1, holder: 'a' });
  assert.equal(first.found, null);
  const writes = [1, 2, 3].map((permitted) => first.write({ permitted }));
  await Promise.all(writes);
  const second = await Journal.open(store, { pipeline: 'p', term: 2, holder: 'b' });
  assert.deepEqual(second.found, { permitted: 3 });
  await assert.rejects(first.write({ permitted: 4 }), isFenced);
  await second.write({ permitted: 5 });
  await assert.rejects(Journal.open(store, { pipeline: 'p', term: 1, holder: 'a' }), isFenced);
  const third = await Journal.open(store, { pipeline: 'p', term: 3, holder: 'c' });
  assert.deepEqual(third.found, { permitted: 5 });
});

test('a journal holds everything that was acknowledged, in every order of steps', () => {
  let written = 0;
  for (let seed = 0; seed < 300; seed++) {
    const random = new Random(seed);
    const store = new SimulatedStore();
    const faults = random.pick([0, 0.2]);
    let acknowledged = -1;
    let openedTerm = 0;

    function* drive(term: number): Generator<void, void> {
      const driver = new SteppedDriver(store, random, faults);
      const holder = `driver-${term}`;
      let open: OpenJournal | null = null;
      for (let tries = 0; tries < 12; tries++) {
        try {
          if (open === null) {
            const before = acknowledged;
            open = yield* driver.run(openJournal('j', { term, holder }));
            assert.ok(Number(open.body ?? -1) >= before, `seed ${seed}: a word is lost`);
            openedTerm = Math.max(openedTerm, term);
          }
          const body: number = Number(open.body ?? -1) + 1;
          open = yield* driver.run(writeJournal('j', { ...open, holder }, body));
          assert.ok(term >= openedTerm, `seed ${seed}: term ${term} wrote after ${openedTerm}`);
          acknowledged = body;
          written++;
        } catch (error) {
          if (error instanceof LostAnswer) continue;
          if (!isFenced(error)) throw error;
          return;
        }
      }
    }

    const drivers = [1, 2, 3].map(drive);
    let started = 1;
    while (drivers.length > 0) {
      if (random.chance(0.05)) started++;
      const index = random.integer(0, Math.min(started, drivers.length) - 1);
      if (drivers[index]!.next().done === true) drivers.splice(index, 1);
    }
  }
  assert.ok(written > 1000, `${written} written`);
});

test('HeldLease is given back also while it is being renewed', async () => {
  const store = new SimulatedBlobStore();
  const options = { pipeline: 'clicks', durationMs: 60_000 };
  const held = await acquireLease(store, { ...options, holder: 'a' });
  const renewal = held.renew();
  await held.release();
  await renewal;
  const onWait = (): void => assert.fail('nobody holds it');
  assert.equal((await acquireLease(store, { ...options, holder: 'b', onWait })).term, 2);
});
