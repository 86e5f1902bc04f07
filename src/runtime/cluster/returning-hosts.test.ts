// Who goes on together when a driver takes over, and what a host may say of itself.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReturnedHost } from './returning-hosts.ts';
import { allReturned, connectedHosts, readReturnedHost } from './returning-hosts.ts';

function host(firstWorker: number, ...hosts: readonly string[]): ReturnedHost {
  const workers = [firstWorker, firstWorker + 1];
  return { job: 'h', firstWorker, workerCount: 2, workers, hosts, nextWorker: 6 };
}

test('allReturned waits for every host that one of them is connected to', () => {
  const there = new Map([['a', host(0, 'b')]]);
  assert.equal(allReturned(there), false);
  assert.equal(allReturned(there.set('b', host(2, 'a'))), true);
  assert.equal(allReturned(there.set('c', host(4, 'a', 'd'))), false);
});

test('connectedHosts leaves out whoever the others do not reach', () => {
  const there = new Map([
    ['a', host(0, 'b', 'c')],
    ['b', host(2, 'a')],
    ['c', host(4, 'a', 'b')],
  ]);
  // b and c reach each other one way only: the later one of equals stays.
  assert.equal(connectedHosts(there).size, 2);
  assert.ok(connectedHosts(there).has('a'));
  assert.deepEqual([...connectedHosts(new Map([['a', host(0, 'gone')]]))], ['a']);
});

test('connectedHosts leaves out one of two whose workers have the same numbers', () => {
  const there = new Map([
    ['a', host(0, 'b')],
    ['b', host(1, 'a')],
  ]);
  assert.equal(connectedHosts(there).size, 1);
});

test('readReturnedHost takes what a host writes, and nothing that cannot be', () => {
  const good = host(2, 'a');
  assert.deepEqual(readReturnedHost(JSON.stringify(good)), good);
  const bad: readonly unknown[] = [
    null,
    [],
    { ...good, job: 1 },
    { ...good, workers: [4] },
    { ...good, workers: [2, 2] },
    { ...good, workers: [-1] },
    { ...good, hosts: [1] },
    { ...good, nextWorker: 3 },
    { ...good, firstWorker: 2 ** 40, nextWorker: 2 ** 41 },
  ];
  for (const one of bad) assert.equal(readReturnedHost(JSON.stringify(one)), null);
  assert.equal(readReturnedHost('{'), null);
});
