// What a micro-batch's output waited for, in timelines written by hand.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Timeline } from '../../bench/paper/timeline-path.ts';
import type { Mark, Node } from '../../bench/paper/timeline-record.ts';

const batch = 7;
const source = { stage: 0, partition: 0, batch, triggerMs: 100 };
const consumer = { stage: 1, partition: 0, batch, triggerMs: 100 };

/** Orders for a group and reports are about no single micro-batch. */
function about(message: string): number | null {
  return message === 'report' || message === 'start-group' ? null : batch;
}

function heard(atMs: number, from: Node, message: string): Mark {
  return { kind: 'heard', atMs, other: from, message, batch: about(message) };
}

function sent(atMs: number, to: Node, message: string): Mark {
  return { kind: 'sent', atMs, other: to, message, batch: about(message) };
}

/** Worker 0 produces at its trigger and pushes; worker 1 consumes and commits. */
function pushed(): Map<Node, Mark[]> {
  return new Map<Node, Mark[]>([
    [
      'driver',
      [
        { kind: 'woken', atMs: 50, by: 'time-passed' },
        sent(50, 0, 'start-group'),
        heard(104, 0, 'report'),
      ],
    ],
    [
      0,
      [
        heard(51, 'driver', 'start-group'),
        { kind: 'woken', atMs: 100, by: 'time-passed' },
        { kind: 'run', atMs: 100, run: 1, ...source },
        { kind: 'ended', atMs: 101, run: 1, tookMs: 1 },
        sent(101, 1, 'blocks'),
        sent(103, 'driver', 'report'),
      ],
    ],
    [
      1,
      [
        heard(102, 0, 'blocks'),
        { kind: 'run', atMs: 102, run: 1, ...consumer },
        { kind: 'ended', atMs: 104, run: 1, tookMs: 2 },
        { kind: 'visible', atMs: 105, stage: 1, partition: 0, batch },
      ],
    ],
  ]);
}

test('Timeline.path goes from the output over blocks and tasks back to the trigger', () => {
  const path = new Timeline(pushed()).path(batch);
  assert.equal(path.triggerMs, 100);
  assert.equal(path.outputMs, 105);
  assert.deepEqual(path.driverMessages, []);
  // The report was on its way, and nobody waited for it.
  assert.equal(path.beside, 1);
  assert.deepEqual(
    path.marks.map(({ kind, node }) => `${kind} ${node}`),
    ['visible 1', 'ended 1', 'run 1', 'heard 1', 'sent 0', 'ended 0', 'run 0', 'woken 0'],
  );
});

test('Timeline.path finds orders that a task waited for, and why the driver gave them', () => {
  const marks = pushed();
  // The end of the first stage goes to the driver, whose order starts the second.
  marks.get(0)!.splice(4, 1, sent(101, 'driver', 'stage-done'), sent(101.5, 1, 'blocks'));
  marks.set('driver', [
    { kind: 'woken', atMs: 50, by: 'time-passed' },
    sent(50, 0, 'start-group'),
    heard(102, 0, 'stage-done'),
    sent(102.5, 1, 'start-group'),
    heard(104, 0, 'report'),
  ]);
  marks.get(1)!.splice(1, 0, heard(103, 'driver', 'start-group'));
  const path = new Timeline(marks).path(batch);
  assert.deepEqual(path.driverMessages, ['start-group', 'stage-done']);
  assert.equal(path.beside, 1);
});

test('Timeline.path finds an order that came only after the trigger', () => {
  const marks = pushed();
  const late = marks.get(0)!;
  late.splice(0, 2, heard(100.5, 'driver', 'start-group'));
  marks.get('driver')!.splice(0, 2, heard(100.1, 1, 'report'), sent(100.2, 0, 'start-group'));
  marks.get(1)!.unshift(sent(99, 'driver', 'report'));
  const path = new Timeline(marks).path(batch);
  assert.deepEqual(path.driverMessages, ['start-group', 'report']);
});
