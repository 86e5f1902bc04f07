// The paper's claims about scheduling, each restated in our words with its section, and what the
// machines must do for it to be true here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inFlightMax } from './limits.ts';
import type { BatchNumber, Incarnation, PlacementVersion, Term, WorkerId } from './protocol/ids.ts';
import type { Peer, PeerMessage, StartGroup } from './protocol/messages.ts';
import type { Template } from './protocol/template.ts';
import { ScriptedCluster, shapeOf, taskName } from './scripted-cluster.fixture.ts';
import type { ClusterOptions } from './scripted-cluster.fixture.ts';
import type { WorkerEffect, WorkerEvent } from './worker/events.ts';
import { WorkerMachine } from './worker/worker-machine.ts';

const w1 = 1 as WorkerId;
const w2 = 2 as WorkerId;

/** Two workers, two stages, one shuffle. */
function shuffle(options: Partial<ClusterOptions> = {}): ScriptedCluster {
  const cluster = new ScriptedCluster({
    shape: shapeOf([2, 2], [[0, 1]]),
    workerCount: 2,
    groupSize: 10,
    intervalMs: 10,
    lookAhead: true,
    ...options,
  });
  cluster.joinAll();
  cluster.deliverAll();
  return cluster;
}

function countSent(cluster: ScriptedCluster, kind: string): number {
  return cluster.sent.filter(({ message }) => message.kind === kind).length;
}

/** Messages to and from the driver while micro-batches [0, count) run. */
function driverMessages(cluster: ScriptedCluster, count: number): number {
  cluster.runUntil(10 * count - 1);
  return cluster.sent.filter(({ from, to }) => from === 'driver' || to === 'driver').length;
}

test('[Drizzle §3.1] one decision serves a group: driver traffic does not grow with tasks', () => {
  const one = driverMessages(shuffle({ groupSize: 20 }), 20);
  const wide = driverMessages(shuffle({ groupSize: 20, shape: shapeOf([8, 16], [[0, 1]]) }), 20);
  assert.equal(wide, one);
});

test('[Drizzle §3.1] a larger group needs fewer messages for as many micro-batches', () => {
  const orders = (groupSize: number): number => {
    const cluster = shuffle({ groupSize, lookAhead: false });
    cluster.runUntil(10 * 40 - 1);
    assert.equal(cluster.started.filter(({ order }) => order.inputs === null).length, 80);
    return countSent(cluster, 'start-group');
  };
  // Two workers; the last order is the one that the fortieth micro-batch's end calls for.
  assert.deepEqual([1, 10, 40].map(orders), [2 * 41, 2 * 5, 2 * 2]);
});

test('[Drizzle §3.1] the order of a group is as large for many micro-batches as for one', () => {
  const sizeOf = (groupSize: number, partitions: number): number => {
    const shape = shapeOf([partitions, partitions], [[0, 1]]);
    const cluster = shuffle({ groupSize, shape, intervalMs: 10 });
    const order = cluster.sent.find(({ message }) => message.kind === 'start-group');
    return JSON.stringify(order?.message).replaceAll(/-?\d+/g, '0').length;
  };
  assert.equal(sizeOf(1, 2), sizeOf(100_000, 64));
});

test('[Drizzle §3.2] between trigger and output of a micro-batch the driver has no part', () => {
  const cluster = shuffle();
  const before = cluster.sent.length;
  // The driver hears and says nothing: its links stand still.
  for (const worker of [w1, w2]) cluster.finish(worker);
  cluster.deliver(w1, w2);
  cluster.deliver(w2, w1);
  for (const worker of [w1, w2]) cluster.finish(worker);
  assert.deepEqual(
    cluster.sent.slice(before).map(({ from, to, message }) => [from, to, message.kind]),
    [
      [w1, w2, 'blocks'],
      [w2, w1, 'blocks'],
    ],
  );
  for (const machine of cluster.workers.values()) assert.equal(machine.doneThrough, 0);
});

test('[Drizzle §3.2] a reducer runs when its last input is there, and not before', () => {
  const cluster = shuffle({ shape: shapeOf([4, 1], [[0, 1]]) });
  const reducers = (): number =>
    cluster.started.filter(({ order }) => order.inputs !== null).length;
  cluster.finish(w1);
  cluster.finish(w2);
  cluster.finish(w1);
  cluster.finish(w2);
  // All map tasks are done; the frame of the other worker is still under way.
  assert.equal(reducers(), 0);
  cluster.deliver(w1, w2);
  cluster.deliver(w2, w1);
  assert.equal(reducers(), 1);
});

test('[Drizzle §3.2] every dependency is awaited, those of a second shuffle too', () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const machine = workerOf(joinTemplate);
    permit(machine, 1);
    tell(machine, blocks(order[0] ?? 0));
    assert.deepEqual(tasksOf(machine.takeEffects()), []);
    tell(machine, blocks(order[1] ?? 0));
    assert.deepEqual(tasksOf(machine.takeEffects()), ['s2p0@0']);
  }
});

test('[Drizzle §3.2] a task of a tree reduction awaits its own inputs, not its level', () => {
  // Eight partitions by fours; each merging task has inputs on all four workers.
  const tree = shapeOf(
    [8, 2, 1],
    [
      [0, 1, 4],
      [1, 2],
    ],
  );
  const cluster = shuffle({ shape: tree, workerCount: 4 });
  const merges = (): readonly string[] =>
    cluster.started.flatMap(({ order }) => (order.inputs === null ? [] : taskName(order.task)));
  for (const worker of cluster.workers.keys()) cluster.finish(worker);
  cluster.deliverAll();
  // Partitions 0 to 3 are done, 4 to 7 run.
  assert.deepEqual(merges(), []);
  for (const worker of [w1, w2]) cluster.finish(worker);
  cluster.deliverAll();
  assert.deepEqual(merges(), ['s1p0@0'], 'its worker had no other task to end first');
  const frames = cluster.sent.filter(({ message }) => message.kind === 'blocks');
  assert.ok(frames.every(({ to }) => to === w2 || to === 3));
});

test('a consumer with a fan-in pulls from the workers of its own producers only', () => {
  const forward = shapeOf([4, 4], [[0, 1, 1]]);
  const tree = shapeOf([4, 2], [[0, 1, 2]]);
  const pulls = (shape: typeof tree): readonly (readonly [Peer, Peer])[] => {
    const cluster = shuffle({ shape, workerCount: 4, mode: 'bsp' });
    cluster.runUntil(5);
    const { sent } = cluster;
    assert.ok(sent.some(({ message }) => message.kind === 'stage-done' && message.stage === 1));
    return sent.flatMap(({ from, to, message }) => (message.kind === 'pull' ? [[from, to]] : []));
  };
  // What leads from partition to partition stays on its worker.
  assert.deepEqual(pulls(forward), []);
  assert.deepEqual(pulls(tree), [
    [w2, w1],
    [3, 4],
  ]);
});

/** Stages 0 and 1 on worker 2 both feed stage 2 on worker 1. */
const joinTemplate: Template = {
  version: 0 as PlacementVersion,
  delivery: 'push',
  partMs: null,
  reach: 'none',
  backups: [],
  planHash: 'plan',
  stages: [
    { source: true, inputs: [], outputs: [0], sinks: false, placement: [w2] },
    { source: true, inputs: [], outputs: [1], sinks: false, placement: [w2] },
    { source: false, inputs: [0, 1], outputs: [], sinks: true, placement: [w1] },
  ],
  exchanges: [
    { from: 0, to: 2 },
    { from: 1, to: 2 },
  ],
};

type WorkerMessageEvent = Extract<WorkerEvent, { kind: 'message-received' }>;

const installTemplate: WorkerMessageEvent = {
  kind: 'message-received',
  from: 'driver',
  message: { kind: 'install-template', term: 1 as Term, template: joinTemplate },
};

function startGroup(count: number): WorkerMessageEvent {
  const message: StartGroup = {
    kind: 'start-group',
    term: 1 as Term,
    version: 0 as PlacementVersion,
    group: 0 as StartGroup['group'],
    first: 0 as BatchNumber,
    count,
    stage: null,
    intervalMs: 10,
    anchorMs: 0,
    reportAt: (count - 1) as BatchNumber,
    retireThrough: -1 as BatchNumber,
    final: false,
    checkpointAt: -1 as BatchNumber,
  };
  return { kind: 'message-received', from: 'driver', message };
}

function blocks(exchange: number, batch = 0): WorkerMessageEvent {
  const message: PeerMessage = {
    kind: 'blocks',
    term: 1 as Term,
    incarnation: 1 as Incarnation,
    version: 0 as PlacementVersion,
    batch: batch as BatchNumber,
    exchange,
    only: null,
    entries: [{ producer: 0, part: 0, last: true, range: null, output: `x${exchange}@${batch}` }],
  };
  return { kind: 'message-received', from: w2, message };
}

function tell(machine: WorkerMachine, event: WorkerEvent): void {
  machine.step(0, event);
}

function workerOf(template: Template): WorkerMachine {
  const machine = new WorkerMachine({ worker: w1, incarnation: 1 as Incarnation });
  const message = { kind: 'install-template', term: 1 as Term, template } as const;
  tell(machine, { kind: 'message-received', from: 'driver', message });
  machine.takeEffects();
  return machine;
}

function permit(machine: WorkerMachine, count: number): void {
  tell(machine, startGroup(count));
  machine.takeEffects();
}

function tasksOf(effects: readonly WorkerEffect[]): readonly string[] {
  return effects.flatMap((effect) => (effect.kind === 'run-task' ? [taskName(effect.task)] : []));
}

function permutations<Item>(items: readonly Item[]): readonly (readonly Item[])[] {
  if (items.length <= 1) return [items];
  return items.flatMap((item, index) =>
    permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]),
  );
}

test('[Drizzle §3.2] no order of template, group and blocks loses a wake-up', () => {
  const events = [installTemplate, startGroup(1), blocks(0), blocks(1)];
  for (const order of permutations(events)) {
    const machine = new WorkerMachine({ worker: w1, incarnation: 1 as Incarnation });
    const runs = order.flatMap((event) => {
      tell(machine, event);
      return machine.takeEffects().filter((effect) => effect.kind === 'run-task');
    });
    const names = order.map(({ message }) => message.kind).join(', ');
    assert.deepEqual(tasksOf(runs), ['s2p0@0'], names);
    const outputs = runs[0]?.inputs?.map((inputs) => inputs.map(({ output }) => output));
    assert.deepEqual(outputs, [['x0@0'], ['x1@0']], names);
  }
});

test('[Drizzle §3.2] blocks that come twice, in any order, run a task once', () => {
  const events = [startGroup(1), blocks(0), blocks(0), blocks(1), blocks(1)];
  for (const order of permutations(events)) {
    const machine = workerOf(joinTemplate);
    for (const event of order) tell(machine, event);
    assert.deepEqual(tasksOf(machine.takeEffects()), ['s2p0@0']);
  }
});

test('[Drizzle §3.2] a task that waits for its inputs holds no slot', () => {
  // Worker 1 has a source partition and waits for the others in stage 1; it reads on meanwhile.
  const cluster = shuffle();
  cluster.finish(w1);
  assert.equal(cluster.running.has(w1), false);
  cluster.advanceTo(10);
  assert.equal(taskName(cluster.running.get(w1)?.task ?? assert.fail('idle')), 's0p0@1');
});

test('[Drizzle §3.2] a producer with nothing to send says so: a reducer waits for all', () => {
  // The control plane does not look into blocks: each source task gives one frame to each peer.
  const cluster = shuffle({ workerCount: 3, shape: shapeOf([3, 3], [[0, 1]]) });
  cluster.runUntil(9);
  assert.equal(countSent(cluster, 'blocks'), 3 * 2);
});

test('[Drizzle §3.2] announcements: one frame a pair of workers, not one a pair of tasks', () => {
  const cluster = shuffle({ shape: shapeOf([16, 16], [[0, 1]]) });
  cluster.runUntil(9);
  assert.equal(countSent(cluster, 'blocks'), 2);
});

test('Unlike [Drizzle §3.2], tasks of one partition run in order of micro-batches', () => {
  // State is a fold over micro-batches. Inputs of the second come first, all others are there.
  const machine = workerOf(joinTemplate);
  permit(machine, 3);
  for (const batch of [2, 1]) for (const exchange of [1, 0]) tell(machine, blocks(exchange, batch));
  assert.deepEqual(tasksOf(machine.takeEffects()), []);
  for (const exchange of [0, 1]) tell(machine, blocks(exchange, 0));
  for (const batch of [0, 1, 2]) {
    const effects = machine.takeEffects();
    assert.deepEqual(tasksOf(effects), [`s2p0@${batch}`]);
    tell(machine, finished(effects));
  }
});

function finished(effects: readonly WorkerEffect[]): WorkerEvent {
  const order = effects.find((effect) => effect.kind === 'run-task');
  assert(order !== undefined, 'no task to finish');
  return {
    kind: 'task-finished',
    run: order.run,
    outputs: [],
    outputBytes: [],
    range: null,
    commitPending: false,
    ended: false,
    sourceReady: true,
    elapsedMs: 1,
  };
}

test('[Drizzle §3.2] the smaller micro-batch runs first, then the deeper stage', () => {
  // One worker, three stages. While the first source task runs, the second trigger comes.
  const shape = shapeOf(
    [2, 1, 1],
    [
      [0, 1],
      [1, 2],
    ],
  );
  const cluster = shuffle({ workerCount: 1, shape });
  cluster.advanceTo(10);
  for (let count = 0; count < 7; count++) cluster.finish(w1);
  assert.deepEqual(
    cluster.started.map(({ order }) => taskName(order.task)),
    ['s0p0@0', 's0p1@0', 's1p0@0', 's2p0@0', 's0p0@1', 's0p1@1', 's1p0@1', 's2p0@1'],
  );
});

test('[Drizzle §3.2] a task goes before another of its micro-batch that lies less deep', () => {
  // Two chains, 0 to 2 and 1 to 3: when a source task is done, its consumer goes first.
  const shape = shapeOf(
    [1, 1, 1, 1],
    [
      [0, 2],
      [1, 3],
    ],
  );
  const cluster = shuffle({ workerCount: 1, shape });
  for (let count = 0; count < 4; count++) cluster.finish(w1);
  assert.deepEqual(
    cluster.started.map(({ order }) => taskName(order.task)),
    ['s1p0@0', 's3p0@0', 's0p0@0', 's2p0@0'],
  );
});

test('Unlike [Drizzle §3.1], a group boundary needs no quiet: both groups are in flight', () => {
  const cluster = shuffle({ groupSize: 1, intervalMs: 10 });
  // Worker 2 is slow: it runs its task of micro-batch 0 while worker 1 goes on to the next groups.
  for (let batch = 0; batch < 3; batch++) {
    cluster.finish(w1);
    cluster.advanceTo(10 * (batch + 1));
  }
  assert.equal(taskName(cluster.running.get(w2)?.task ?? assert.fail('idle')), 's0p1@0');
  assert.equal(taskName(cluster.running.get(w1)?.task ?? assert.fail('idle')), 's0p0@3');
});

test('Unlike [Drizzle §3.1], the next group is ordered while the last one runs', () => {
  const cluster = shuffle({ groupSize: 20 });
  cluster.runUntil(10 * 18);
  // Micro-batch 18 of group 0 has started; micro-batch 19 has not, and group 1 is there already.
  const groups = cluster.sent.filter(({ message }) => message.kind === 'start-group');
  assert.equal(groups.length, 2 * 2);
  for (const worker of cluster.workers.values()) assert.equal(worker.doneThrough, 18);
});

test('[Drizzle §3.1] without look-ahead a group is ordered when the last one is done', () => {
  const cluster = shuffle({ groupSize: 20, lookAhead: false });
  cluster.runUntil(10 * 19 - 1);
  assert.equal(countSent(cluster, 'start-group'), 2);
  cluster.runUntil(10 * 19);
  assert.equal(countSent(cluster, 'start-group'), 2 * 2);
});

test('Unlike [Drizzle §3.4], a cut ends a group early and alters nothing that was started', () => {
  const cluster = shuffle({ groupSize: 1000 });
  cluster.advanceTo(10);
  cluster.advanceTo(20);
  cluster.finish(w1);
  cluster.tellDriver({ kind: 'pace-changed', groupSize: 5, intervalMs: 10, urgent: true });
  // Worker 1 has started micro-batch 1, worker 2 is still in 0 and promises from 1 on.
  assert.equal(taskName(cluster.running.get(w1)?.task ?? assert.fail('idle')), 's0p0@1');
  cluster.deliver('driver', w2);
  cluster.finish(w2);
  assert.equal(cluster.running.has(w2), false, 'a promise is kept');
  cluster.deliverAll();
  const boundary = cluster.sent.find(({ message }) => message.kind === 'set-boundary');
  assert(boundary?.message.kind === 'set-boundary');
  assert.equal(boundary.message.end, 2);
  cluster.runUntil(60);
  const batches = cluster.started
    .filter(({ worker, order }) => worker === w2 && order.inputs === null)
    .map(({ order }) => order.task.batch);
  assert.deepEqual(batches, [...batches.keys()], 'each once, in order');
});

test('Unlike [Drizzle §3.2], run-ahead is bounded: memory for blocks is, whoever is slow', () => {
  const cluster = shuffle({ groupSize: 1000, intervalMs: 1 });
  // Worker 2 never finishes; nothing of worker 1 is done, so it starts `inFlightMax` and stops.
  for (let ms = 1; ms <= 50; ms++) {
    if (cluster.running.has(w1)) cluster.finish(w1);
    cluster.advanceTo(ms);
  }
  const started = cluster.started.filter(({ worker }) => worker === w1);
  assert.equal(started.length, inFlightMax);
  assert.equal(cluster.running.has(w1), false);
});
