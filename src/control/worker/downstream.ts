// How far the consumers are that a worker cannot see from its own tasks, and who wants to know how
// far it is itself: the credits that bound how far producers run ahead.

import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { Template } from '../protocol/template.ts';
import { progressLinks } from '../protocol/template.ts';

export class Downstream {
  readonly #consumers = new Map<WorkerId, BatchNumber>();
  /** Producers that must be told how far this worker is. */
  readonly producers: readonly WorkerId[];

  constructor(template: Template, worker: WorkerId) {
    const { producers, consumers } = progressLinks(template, worker);
    for (const consumer of consumers) this.#consumers.set(consumer, noBatch);
    this.producers = producers;
  }

  /** Everything through this micro-batch lies behind the job, or behind the recovery. */
  begin(done: BatchNumber): void {
    for (const consumer of this.#consumers.keys()) this.heard(consumer, done);
  }

  heard(consumer: WorkerId, done: BatchNumber): void {
    const before = this.#consumers.get(consumer);
    // Some tell it for another reason: what they repeat after a recovery.
    if (before === undefined) return;
    this.#consumers.set(consumer, Math.max(before, done) as BatchNumber);
  }

  /** What is done here, through `own`, and at every consumer that cannot be seen from here. */
  finished(own: BatchNumber): BatchNumber {
    let finished = own;
    for (const done of this.#consumers.values()) finished = Math.min(finished, done) as BatchNumber;
    return finished;
  }
}
