// Through which micro-batch the ranges behind everything are durable. What a task gave may be seen
// from outside, or by workers that do not see the ranges behind it, only up to there: otherwise a
// range that is lost with its worker could be chosen anew, and differ.

import type { BatchNumber, PlacementVersion, WorkerId } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { Template } from '../protocol/template.ts';

export class Frontier {
  /** By worker with source partitions: what it has said under the placement that holds. */
  readonly #heard = new Map<WorkerId, BatchNumber>();
  readonly #version: PlacementVersion;
  readonly #worker: WorkerId;
  /** Who wants to know: workers with a stage whose output waits for the frontier. */
  readonly listeners: readonly WorkerId[];
  #through: BatchNumber;

  /** Of a job without recovery nothing is ever waited for. */
  constructor(template: Template, worker: WorkerId) {
    this.#version = template.version;
    this.#worker = worker;
    const waits = template.reach !== 'none';
    const listeners = new Set<WorkerId>();
    for (const stage of template.stages) {
      if (stage.source && waits) {
        for (const owner of stage.placement) this.#heard.set(owner, noBatch);
      }
      if (stage.sinks || (!stage.source && stage.outputs.length > 0)) {
        for (const owner of stage.placement) listeners.add(owner);
      }
    }
    const tells = this.#heard.has(worker);
    listeners.delete(worker);
    this.listeners = tells ? [...listeners].sort((a, b) => a - b) : [];
    this.#through = waits ? noBatch : (Infinity as BatchNumber);
  }

  /** Ranges are durable everywhere through this micro-batch. */
  get through(): BatchNumber {
    return this.#through;
  }

  /** Ranges of a worker's source partitions are durable through here, as far as it was heard. */
  durableOf(worker: WorkerId): BatchNumber {
    return this.#heard.get(worker) ?? noBatch;
  }

  /** What this worker's own source partitions have reached; true when it is news. */
  reached(through: BatchNumber): boolean {
    if (!this.#heard.has(this.#worker)) return false;
    return this.#raise(this.#worker, through);
  }

  heard(from: WorkerId, version: PlacementVersion, through: BatchNumber): void {
    if (version === this.#version && this.#heard.has(from)) this.#raise(from, through);
  }

  #raise(worker: WorkerId, through: BatchNumber): boolean {
    if (through <= this.#heard.get(worker)!) return false;
    this.#heard.set(worker, through);
    let least = Infinity;
    for (const value of this.#heard.values()) if (value < least) least = value;
    this.#through = least as BatchNumber;
    return true;
  }
}
