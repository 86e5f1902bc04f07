// Blocks that are sent again after a recovery, to each receiver in order of micro-batches, and only
// so far ahead of what it has done: neither it nor this worker can hold all since a checkpoint.

import { resendAheadMax } from '../limits.ts';
import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import type { KeptEntry } from './kept-blocks.ts';

export type Resend = {
  readonly to: WorkerId;
  readonly batch: BatchNumber;
  readonly exchange: number;
  /** The partitions that have moved there. */
  readonly partitions: readonly number[];
  readonly entries: readonly KeptEntry[];
};

type Line = { readonly resends: Resend[]; next: number; doneThrough: BatchNumber };

export class ResendQueue {
  readonly #lines = new Map<WorkerId, Line>();

  /** All start over behind `checkpoint`. */
  constructor(resends: Iterable<Resend>, checkpoint: BatchNumber) {
    for (const resend of resends) {
      let line = this.#lines.get(resend.to);
      if (line === undefined) {
        line = { resends: [], next: 0, doneThrough: checkpoint };
        this.#lines.set(resend.to, line);
      }
      line.resends.push(resend);
    }
    for (const { resends } of this.#lines.values()) resends.sort((a, b) => a.batch - b.batch);
  }

  /** How far a receiver has come; false: nothing waits for it. */
  heard(worker: WorkerId, doneThrough: BatchNumber): boolean {
    const line = this.#lines.get(worker);
    if (line === undefined || doneThrough <= line.doneThrough) return false;
    line.doneThrough = doneThrough;
    return true;
  }

  /** What has not been taken care of. */
  get rest(): readonly Resend[] {
    return [...this.#lines.values()].flatMap(({ resends, next }) => resends.slice(next));
  }

  get receivers(): readonly WorkerId[] {
    return [...this.#lines.keys()];
  }

  /** What is to be sent to a receiver next; null: nothing, or not yet. */
  first(to: WorkerId): Resend | null {
    const line = this.#lines.get(to);
    const resend = line?.resends[line.next];
    if (line === undefined || resend === undefined) return null;
    return resend.batch <= line.doneThrough + resendAheadMax ? resend : null;
  }

  /** The first one has been taken care of. */
  shift(to: WorkerId): void {
    const line = this.#lines.get(to)!;
    line.next++;
    if (line.next === line.resends.length) this.#lines.delete(to);
  }
}
