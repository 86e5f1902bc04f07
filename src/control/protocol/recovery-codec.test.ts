// An order to recover on the wire: one that a worker could not carry out, or not in bounded time,
// is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rangesMax } from '../limits.ts';
import type { Refusal } from './byte-reader.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import type { BatchNumber, PlacementVersion, WorkerId } from './ids.ts';
import { noBatch } from './ids.ts';
import { textCodecs } from './messages.fixture.ts';
import type { BatchSpan } from './messages.ts';
import { readRecovery, writeRecovery } from './recovery-codec.ts';
import type { Recovery } from './recovery.ts';
import type { Template } from './template.ts';

const w1 = 1 as WorkerId;
const w2 = 2 as WorkerId;

const template: Template = {
  version: 3 as PlacementVersion,
  backups: [],
  planHash: 'p',
  delivery: 'push',
  partMs: null,
  reach: 'lost',
  exchanges: [{ from: 0, to: 1 }],
  stages: [
    { source: true, inputs: [], outputs: [0], sinks: false, placement: [w1, w2, w1] },
    { source: false, inputs: [0], outputs: [], sinks: true, placement: [w1, w2] },
  ],
};

function batch(number: number): BatchNumber {
  return number as BatchNumber;
}

function span(first: number, end: number): BatchSpan {
  return { first: batch(first), end: batch(end) };
}

/** Source partition 0 and consumer partition 1 have moved; checkpoint 4, three known ranges. */
const recovery: Recovery = {
  round: 1,
  template,
  checkpoint: batch(4),
  end: batch(9),
  cut: 2,
  final: false,
  moved: [
    { stage: 0, partition: 0 },
    { stage: 1, partition: 1 },
  ],
  snapshots: [{ stage: 1, partition: 1, snapshot: 's', range: null }],
  known: [{ stage: 0, partition: 0, first: batch(5), ranges: [['a'], ['b'], ['c']] }],
  reruns: [
    { stage: 0, partition: 0, spans: [span(5, 6), span(7, 8)] },
    { stage: 0, partition: 2, spans: [span(5, 9)] },
  ],
  done: [
    { worker: w2, through: batch(6) },
    { worker: w1, through: batch(8) },
  ],
};

function sent(changed: Partial<Recovery>): ReturnType<ByteReader['finish']> {
  const writer = new ByteWriter();
  writeRecovery(writer, { ...recovery, ...changed }, textCodecs);
  const reader = new ByteReader(Buffer.concat(writer.finish()));
  return reader.finish(readRecovery(reader, textCodecs));
}

function rerun(partition: number, spans: readonly BatchSpan[]): Partial<Recovery> {
  return { reruns: [{ stage: 0, partition, spans }] };
}

const [known] = recovery.known;

const refused: Readonly<Record<string, readonly [Refusal['reason'], Partial<Recovery>]>> = {
  'an end that the checkpoint covers': ['inconsistent', { end: batch(4) }],
  'a stage that is not there': ['inconsistent', { moved: [{ stage: 2, partition: 0 }] }],
  'a partition that is not there': ['inconsistent', { moved: [{ stage: 1, partition: 2 }] }],
  'partitions out of order': ['inconsistent', { moved: recovery.moved.toReversed() }],
  'the state of a partition that stays': [
    'inconsistent',
    { snapshots: [{ stage: 1, partition: 0, snapshot: 's', range: null }] },
  ],
  'two states of one partition': [
    'inconsistent',
    { snapshots: [...recovery.snapshots, ...recovery.snapshots] },
  ],
  'state as of no checkpoint': ['inconsistent', { checkpoint: noBatch, known: [], reruns: [] }],
  'ranges of a partition that stays': ['inconsistent', { known: [{ ...known!, partition: 1 }] }],
  'ranges of no source': ['inconsistent', { known: [{ ...known!, stage: 1, partition: 1 }] }],
  'ranges that begin late': ['inconsistent', { known: [{ ...known!, first: batch(6) }] }],
  'two lists of ranges of one partition': ['inconsistent', { known: [known!, known!] }],
  'a micro-batch without a range': ['out-of-range', { known: [{ ...known!, ranges: [[]] }] }],
  'a list of no ranges': ['out-of-range', { known: [{ ...known!, ranges: [] }] }],
  'a rerun of no source': [
    'inconsistent',
    { reruns: [{ stage: 1, partition: 0, spans: [span(5, 6)] }] },
  ],
  'a rerun of what is not there': ['inconsistent', rerun(3, [span(5, 6)])],
  'a rerun without a range': ['inconsistent', rerun(0, [span(5, 9)])],
  'a rerun beyond the end': ['inconsistent', rerun(2, [span(5, 10)])],
  'a rerun that the checkpoint covers': ['inconsistent', rerun(2, [span(4, 6)])],
  'an empty span': ['out-of-range', rerun(2, [span(6, 6)])],
  'spans out of order': ['out-of-range', rerun(2, [span(7, 8), span(5, 6)])],
  'spans that overlap': ['out-of-range', rerun(2, [span(5, 7), span(6, 8)])],
  'no spans': ['out-of-range', rerun(2, [])],
  'one partition that runs again twice': [
    'inconsistent',
    { reruns: [...recovery.reruns, ...recovery.reruns] },
  ],
  'more reruns than can be counted off': [
    'inconsistent',
    { ...rerun(2, [span(5, 6 + rangesMax)]), end: batch(10 + rangesMax) },
  ],
  'an owner that has not survived': ['inconsistent', { done: recovery.done.slice(1) }],
  'a survivor twice': ['inconsistent', { done: [...recovery.done, ...recovery.done] }],
};

for (const [what, [reason, changed]] of Object.entries(refused)) {
  test(`an order to recover is refused with ${what}`, () => {
    const decoded = sent(changed);
    assert.ok(!decoded.ok, what);
    assert.equal(decoded.refusal.reason, reason);
  });
}

test('an order to recover is read as it was written', () => {
  assert.deepEqual(sent({}), { ok: true, value: recovery });
});
