// Holds the tasks of each partition of a stage to the order of micro-batches: state and watermarks
// depend on it.

import { assert } from '../../base/assert.ts';

export class TaskOrder {
  readonly #last: number[] = [];

  /** The partition's task of this micro-batch starts; the first may be any. */
  start(partition: number, batch: number): void {
    const last = this.#last[partition];
    assert(
      last === undefined || batch === last + 1,
      `task of micro-batch ${batch} follows that of ${last} in partition ${partition}`,
    );
    this.#last[partition] = batch;
  }
}
