// What every sink must do, against a cluster that is made up.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RowObject } from '../../schema/data-type.ts';
import type { HaltingProcess } from '../../testing/halting-process.ts';
import {
  checkKept,
  checkKills,
  checkReopening,
  checkZombies,
} from '../../testing/sink-conformance.ts';
import type { NewWorld } from '../../testing/sink-conformance.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import type { Hook } from './fake-cluster.fixture.ts';
import { KafkaSink } from './kafka-sink.ts';

type Kind = {
  readonly transactionVersion: number;
  /** What dies while a request is under way: before it is carried out, or before the answer. */
  readonly isTorn: boolean;
  readonly onePhase?: boolean;
};

function worldOf({ transactionVersion, isTorn, onePhase = false }: Kind): NewWorld {
  return async () => {
    const cluster = new FakeCluster({ transactionVersion, brokers: 2 });
    cluster.addTopic('out', onePhase ? 1 : 3);
    const sink = (process: HaltingProcess): KafkaSink => {
      const hook: Hook = (_, act) =>
        process.step(act, isTorn ? async () => void (await act()) : undefined);
      const options = { brokers: 'fake:1', topic: 'out', key: 'partition', patienceMs: 60_000 };
      return new KafkaSink({ ...options, onePhase }, cluster.platform(hook));
    };
    const visible = async (): Promise<RowObject[]> =>
      cluster.committed('out').map(({ value }) => JSON.parse(value!) as RowObject);
    return { sink, visible, fencesForeignRows: true };
  };
}

for (const [name, kind, next] of [
  ['transaction.version 2', { transactionVersion: 2, isTorn: true }, { term: 2 }],
  ['transaction.version 2, unsent', { transactionVersion: 2, isTorn: false }, { incarnation: 2 }],
  ['transaction.version 0', { transactionVersion: 0, isTorn: true }, { incarnation: 2 }],
  ['transaction.version 0, unsent', { transactionVersion: 0, isTorn: false }, { term: 2 }],
  ['one phase', { transactionVersion: 2, isTorn: true, onePhase: true }, { term: 2 }],
  [
    'one phase, unsent',
    { transactionVersion: 2, isTorn: false, onePhase: true },
    { incarnation: 2 },
  ],
] as const) {
  test(`kafka, ${name}: killed at any step, it loses and repeats nothing`, async () => {
    assert.ok((await checkKills(worldOf(kind))) > 30);
  });

  test(`kafka, ${name}: a writer that was replaced at any step is fenced`, async () => {
    assert.ok((await checkZombies(worldOf(kind), next)) > 15);
  });

  test(`kafka, ${name}: a new history keeps what another has left at any step`, async () => {
    assert.ok((await checkKept(worldOf(kind))) > 30);
  });

  test(`kafka, ${name}: goes on behind what is visible`, async () => {
    await checkReopening(worldOf(kind));
  });
}
