// Blocks that are sent again after a recovery, to each receiver in order of micro-batches, and only
// so far ahead of the tasks it has run: neither it nor this worker can hold all since a checkpoint.

import { firstIndex } from '../../base/first-index.ts';
import { resendAheadMax } from '../limits.ts';
import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import type { KeptEntry } from './kept-blocks.ts';

export type Resend = {
  readonly to: WorkerId;
  readonly batch: BatchNumber;
  readonly exchange: number;
  /** The partitions that have moved there; null: all of the stage that it has. */
  readonly partitions: readonly number[] | null;
  readonly entries: readonly Pick<KeptEntry, 'entry' | 'bytes' | 'place' | 'stored'>[];
  /** It goes out for the first time and only keeps the order, however far its receiver is. */
  readonly isNew: boolean;
};

type Line = {
  readonly resends: Resend[];
  takenThrough: BatchNumber;
  /** Some of it is on its way from the disk. */
  reading: boolean;
};

export class ResendQueue {
  readonly #lines = new Map<WorkerId, Line>();

  /** `takenBy`: where a receiver starts. */
  constructor(resends: Iterable<Resend>, takenBy: (worker: WorkerId) => BatchNumber) {
    for (const resend of resends) {
      let line = this.#lines.get(resend.to);
      if (line === undefined) {
        line = { resends: [], takenThrough: takenBy(resend.to), reading: false };
        this.#lines.set(resend.to, line);
      }
      line.resends.push(resend);
    }
    for (const { resends } of this.#lines.values()) resends.sort((a, b) => a.batch - b.batch);
  }

  /** How far a receiver has come; false: nothing waits for it. */
  heard(worker: WorkerId, takenThrough: BatchNumber): boolean {
    const line = this.#lines.get(worker);
    if (line === undefined || takenThrough <= line.takenThrough) return false;
    line.takenThrough = takenThrough;
    return true;
  }

  /** What has not been taken care of. */
  get rest(): readonly Resend[] {
    return [...this.#lines.values()].flatMap(({ resends }) => resends);
  }

  /**
   * Takes its place among those that wait for the same receiver; false: none does. Ranges ride on
   * blocks, and whoever knows one must know all before it.
   */
  insert(resend: Resend): boolean {
    const line = this.#lines.get(resend.to);
    if (line === undefined) return false;
    const { resends } = line;
    // There may be thousands.
    const at = firstIndex(resends.length, (index) => resends[index]!.batch > resend.batch);
    resends.splice(at, 0, resend);
    return true;
  }

  get receivers(): readonly WorkerId[] {
    return [...this.#lines.keys()];
  }

  /** What is to be sent to a receiver next; null: nothing, or not yet. */
  first(to: WorkerId): Resend | null {
    const line = this.#lines.get(to);
    const resend = line?.resends[0];
    if (line === undefined || resend === undefined) return null;
    return resend.isNew || resend.batch <= line.takenThrough + resendAheadMax ? resend : null;
  }

  isReading(to: WorkerId): boolean {
    return this.#lines.get(to)?.reading === true;
  }

  /** What was taken is on its way from the disk, or has come: what follows it waits. */
  read(to: WorkerId, reading: boolean): void {
    const line = this.#lines.get(to);
    if (line === undefined) return;
    line.reading = reading;
    this.#forget(to, line);
  }

  /** The first one has been taken care of. */
  shift(to: WorkerId): void {
    const line = this.#lines.get(to)!;
    line.resends.shift();
    this.#forget(to, line);
  }

  #forget(to: WorkerId, { resends, reading }: Line): void {
    if (resends.length === 0 && !reading) this.#lines.delete(to);
  }
}
