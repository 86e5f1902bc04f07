// The least of many numbers that only grow, one for each worker: what is done everywhere. A tree of
// minima, so that a report costs the driver a logarithm of the workers and not all of them.

import { assert } from '../../base/assert.ts';

export class LeastProgress {
  readonly #count: number;
  /** Node i is the lesser of nodes 2i and 2i + 1; the leaves are the last `#count` nodes. */
  readonly #nodes: Float64Array;

  constructor(count: number, initial: number) {
    assert(count >= 1, 'there is somebody to wait for');
    this.#count = count;
    this.#nodes = new Float64Array(2 * count).fill(initial);
  }

  get least(): number {
    return this.#nodes[1]!;
  }

  /** Raises the number of `index`; a lower one changes nothing. */
  raise(index: number, value: number): void {
    const nodes = this.#nodes;
    let node = this.#count + index;
    if (value <= nodes[node]!) return;
    nodes[node] = value;
    while (node > 1) {
      node >>= 1;
      const least = Math.min(nodes[2 * node]!, nodes[2 * node + 1]!);
      if (least === nodes[node]) return;
      nodes[node] = least;
    }
  }
}
