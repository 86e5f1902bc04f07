// Holds the tasks of each partition of a stage to the order of micro-batches: state and watermarks
// depend on it.

import { assert } from '../../base/assert.ts';
import type { TaskId } from './task.ts';

export class TaskOrder {
  readonly #last: number[] = [];
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
}
