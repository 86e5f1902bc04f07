// Holds the tasks of each partition of a stage to the order of micro-batches: state and watermarks
// depend on it.

import { assert } from '../../base/assert.ts';
import type { TaskId } from './task.ts';

export class TaskOrder {
  readonly #last: (number | undefined)[] = [];
  readonly #part: number[] = [];

  /** The partition's task of this micro-batch starts; the first may be any. */
  start({ partition, batch, part }: TaskId): void {
    const last = this.#last[partition];
    const follows = part === 0 ? last === undefined || batch === last + 1 : batch === last;
    assert(
      follows && (part === 0 || part === this.#part[partition]! + 1),
      `task of micro-batch ${batch} follows that of ${last} in partition ${partition}`,
    );
    this.#last[partition] = batch;
    this.#part[partition] = part;
  }

  /** The partition's last micro-batch, also one that it was resumed behind. */
  lastOf(partition: number): number | undefined {
    return this.#last[partition];
  }

  /** The next task is that of the micro-batch behind `batch`. */
  resume(partition: number, batch: number): void {
    this.#last[partition] = batch;
    this.#part[partition] = 0;
  }

  /** As `resume`, for a partition whose state is as of that micro-batch or an earlier one. */
  renumber(partition: number, batch: number): void {
    const last = this.#last[partition];
    assert(last === undefined || last <= batch, `state of ${last} is not of the future`);
    this.resume(partition, batch);
  }

  /** The next task may be any. */
  forget(partition: number): void {
    this.#last[partition] = undefined;
  }
}
