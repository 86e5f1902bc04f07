// A driver that loses one worker after another for as long as it likes: nothing that it says or
// keeps grows with the losses.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  BatchNumber,
  Incarnation,
  PlacementVersion,
  Term,
  WorkerId,
} from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { WorkerLife } from '../protocol/messages.ts';
import type { Template } from '../protocol/template.ts';
import { DriverMachine } from './driver-machine.ts';
import type { DriverEffect } from './events.ts';

const term = 1 as Term;
const published = -1 as PlacementVersion;
const shape = {
  planHash: 'losses',
  exchanges: [],
  stages: [{ source: true, inputs: [], outputs: [], sinks: true, partitionCount: 6 }],
};
const error = { code: 'worker-lost', message: 'lost', hint: null, fields: {}, stack: null };

/** Three workers that answer at once. */
class Answering {
  readonly driver = new DriverMachine({
    shape,
    workerCount: 3,
    mode: 'drizzle',
    pace: { groupSize: 10, intervalMs: 10, lookAhead: true },
    term,
    recovery: { checkpointIntervalMs: Infinity, from: null, published, drainAt: noBatch },
  });
  readonly sealed: string[] = [];
  readonly asked: (readonly WorkerLife[])[] = [];
  readonly lives = new Map<number, number>();
  /** The life of each worker that has a template. */
  readonly placed = new Map<number, number>();
  template: Template | null = null;
  recoveries = 0;
  #atMs = 0;

  join(worker: number): void {
    const incarnation = (this.lives.get(worker) ?? 0) + 1;
    this.lives.set(worker, incarnation);
    this.step({
      kind: 'worker-joined',
      worker: worker as WorkerId,
      incarnation: incarnation as Incarnation,
      host: worker,
    });
  }

  step(event: Parameters<DriverMachine['step']>[1]): void {
    this.driver.step(this.#atMs++, event);
    for (const effect of this.driver.takeEffects()) this.#answer(effect);
  }

  #answer(effect: DriverEffect): void {
    if (effect.kind === 'read-log') {
      for (const { worker, incarnation } of effect.dead) {
        this.sealed.push(`${worker}-${incarnation}`);
      }
      return this.step({ kind: 'log-read', round: effect.round, ranges: [] });
    }
    if (effect.kind === 'journal-placement') {
      return this.step({ kind: 'placement-journaled', round: effect.round });
    }
    if (effect.kind !== 'send-message') return;
    const { to, message } = effect;
    const signed = { term, incarnation: this.lives.get(to) as Incarnation };
    if (message.kind === 'install-template') {
      this.template = message.template;
      this.placed.set(to, signed.incarnation);
      const { version } = message.template;
      const installed = { kind: 'template-installed', ...signed, version } as const;
      return this.step({ kind: 'message-received', from: to, message: installed });
    }
    if (message.kind === 'recover') {
      this.placed.set(to, signed.incarnation);
      if (this.template!.version < message.recovery.template.version) this.recoveries++;
      this.template = message.recovery.template;
      return;
    }
    if (message.kind !== 'ask-status') return;
    this.asked.push(message.members);
    const isNew = this.placed.get(to) !== signed.incarnation;
    const placement = isNew ? [] : this.template!.stages[0]!.placement;
    const owned = placement.flatMap((owner, partition) => {
      const place = { stage: 0, partition, next: 0 as BatchNumber, endedAt: noBatch };
      return owner === to ? [place] : [];
    });
    const version = isNew ? (-1 as PlacementVersion) : this.template!.version;
    const done = { startedThrough: noBatch, doneThrough: noBatch, finalBatch: noBatch };
    const status = { version, owned, ...done, ranges: [], kept: [], refused: [] };
    const answer = { kind: 'status', ...signed, round: message.round, status } as const;
    this.step({ kind: 'message-received', from: to, message: answer });
  }
}

test('a driver asks the living only, and each log of the dead is closed once', () => {
  const cluster = new Answering();
  for (const worker of [1, 2, 3]) cluster.join(worker);
  const losses = 300;
  for (let loss = 0; loss < losses; loss++) {
    const worker = (1 + (loss % 3)) as WorkerId;
    cluster.step({ kind: 'worker-lost', worker, error });
    cluster.join(worker);
  }
  assert.equal(cluster.recoveries, losses);
  assert.equal(cluster.driver.state, 'running');
  assert.ok(cluster.asked.every((members) => members.length <= 3));
  assert.equal(cluster.sealed.length, losses);
  assert.equal(new Set(cluster.sealed).size, losses);
});
