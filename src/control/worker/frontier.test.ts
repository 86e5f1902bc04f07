// Through where ranges are durable: the least of all workers that have source partitions.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchNumber, PlacementVersion, WorkerId } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { Reach, Template } from '../protocol/template.ts';
import { Frontier } from './frontier.ts';

const [w1, w2, w3, w4] = [1, 2, 3, 4] as [WorkerId, WorkerId, WorkerId, WorkerId];
const version = 2 as PlacementVersion;

/** Sources on 1 and 2; a stage in between on 2 and 3; rows become visible on 4. */
function templateOf(reach: Reach): Template {
  return {
    version,
    delivery: 'push',
    partMs: null,
    reach,
    backups: [],
    planHash: 'p',
    exchanges: [
      { from: 0, to: 1 },
      { from: 1, to: 2 },
    ],
    stages: [
      { source: true, inputs: [], outputs: [0], sinks: false, placement: [w2, w1] },
      { source: false, inputs: [0], outputs: [1], sinks: false, placement: [w3, w2] },
      { source: false, inputs: [1], outputs: [], sinks: true, placement: [w4] },
    ],
  };
}

function batch(number: number): BatchNumber {
  return number as BatchNumber;
}

test('Frontier is the least of its own and what the others with sources have said', () => {
  const frontier = new Frontier(templateOf('lost'), w1);
  assert.equal(frontier.through, noBatch);
  assert.ok(frontier.reached(batch(5)));
  assert.equal(frontier.through, noBatch);
  frontier.heard(w2, version, batch(3));
  assert.equal(frontier.through, 3);
  frontier.heard(w2, version, batch(9));
  assert.equal(frontier.through, 5);
});

test('Frontier never goes back, and is told what is news only', () => {
  const frontier = new Frontier(templateOf('lost'), w1);
  frontier.heard(w2, version, batch(9));
  assert.ok(frontier.reached(batch(5)));
  assert.ok(!frontier.reached(batch(5)));
  assert.ok(!frontier.reached(batch(4)));
  frontier.heard(w2, version, batch(2));
  assert.equal(frontier.through, 5);
});

test('Frontier hears those with sources in the placement that holds, and nobody else', () => {
  const frontier = new Frontier(templateOf('all'), w4);
  frontier.heard(w1, version, batch(7));
  frontier.heard(w2, (version - 1) as PlacementVersion, batch(7));
  frontier.heard(w3, version, batch(7));
  assert.equal(frontier.through, noBatch);
  // Without source partitions it has nothing of its own to wait for.
  assert.ok(!frontier.reached(batch(1)));
  frontier.heard(w2, version, batch(6));
  assert.equal(frontier.through, 6);
});

test('Frontier has listeners where output waits for it, but itself, if it has sources', () => {
  const listenersOf = (worker: WorkerId): readonly WorkerId[] =>
    new Frontier(templateOf('lost'), worker).listeners;
  assert.deepEqual(listenersOf(w1), [w2, w3, w4]);
  assert.deepEqual(listenersOf(w2), [w3, w4]);
  assert.deepEqual(listenersOf(w3), []);
});

test('Frontier of a job without recovery keeps nobody waiting and tells nobody', () => {
  const frontier = new Frontier(templateOf('none'), w1);
  assert.equal(frontier.through, Infinity);
  assert.ok(!frontier.reached(batch(5)));
  assert.deepEqual(frontier.listeners, []);
  assert.equal(frontier.through, Infinity);
});
