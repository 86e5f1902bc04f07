import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Incarnation, PlacementVersion, WorkerId } from '../protocol/ids.ts';
import type { WorkerLife } from '../protocol/messages.ts';
import { Membership } from './membership.ts';

const [a, b, c] = [1, 2, 3] as WorkerId[] as [WorkerId, WorkerId, WorkerId];

function said(incarnation: number, version: number): Parameters<Membership['refusal']>[1] {
  return { incarnation: incarnation as Incarnation, version: version as PlacementVersion };
}

function lives(...workers: readonly (readonly [WorkerId, number])[]): readonly WorkerLife[] {
  return workers.map(([worker, incarnation]) => {
    return { worker, incarnation: incarnation as Incarnation };
  });
}

test('Membership hears everybody before the first round, and no life that is over', () => {
  const membership = new Membership();
  assert.equal(membership.refusal(a, said(2, 0), 0), null);
  assert.equal(membership.refusal(a, said(1, 0), 0), 'old-incarnation');
  assert.equal(membership.isLost(a), false);
  assert.deepEqual(membership.refused, []);
});

test('Membership hears members only, and tells whom it has refused', () => {
  const membership = new Membership();
  membership.refusal(a, said(1, 0), 0);
  membership.refusal(b, said(1, 0), 0);
  membership.restrictTo(lives([a, 1]));
  assert.equal(membership.refusal(a, said(1, 0), 0), null);
  assert.equal(membership.refusal(b, said(1, 0), 0), 'not-a-member');
  // Had never spoken: what it says now is missing all the same.
  assert.equal(membership.refusal(c, said(4, 0), 0), 'not-a-member');
  assert.deepEqual(membership.refused, lives([b, 1], [c, 4]));
  assert.ok(membership.isLost(b) && !membership.isLost(a));
});

test('Membership: who was refused is heard again by a newer placement, or after a round', () => {
  const membership = new Membership();
  membership.restrictTo(lives([a, 1]));
  membership.restrictTo(lives([b, 1]));
  membership.restrictTo(lives([a, 1], [b, 1]));
  assert.equal(membership.refusal(a, said(1, 5), 5), 'not-a-member');
  assert.equal(membership.refusal(a, said(1, 6), 5), null);
  assert.equal(membership.refusal(b, said(1, 5), 5), null);
  membership.settle(5 as PlacementVersion);
  assert.deepEqual(membership.refused, []);
  assert.equal(membership.refusal(a, said(1, 5), 5), null);
});

test('Membership: a later life has lost what the one before it had', () => {
  const membership = new Membership();
  membership.refusal(a, said(1, 0), 0);
  membership.restrictTo(lives([a, 2]));
  assert.ok(membership.isLost(a));
  membership.refusal(a, said(2, 1), 0);
  assert.equal(membership.isLost(a), false);
});

test('Membership: whom an order left out is not heard by an older placement', () => {
  const membership = new Membership();
  membership.restrictTo(lives([a, 1]));
  membership.settle(7 as PlacementVersion);
  // The next driver does not know of that order yet, and b has missed it; c has never spoken.
  membership.restrictTo(lives([a, 1], [b, 1], [c, 1]));
  assert.equal(membership.refusal(a, said(1, 3), 7), null, 'it will carry the order out');
  assert.equal(membership.refusal(b, said(1, 3), 7), 'not-a-member');
  assert.equal(membership.refusal(c, said(1, 7), 7), 'not-a-member');
  assert.equal(membership.refusal(c, said(1, 8), 7), null);
  assert.deepEqual(membership.refused, lives([b, 1], [c, 1]));
});
