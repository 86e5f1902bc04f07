// The spill disk of one life of a simulated worker: slow, full at times, and exact about what is
// there: reading what was dropped, or keeping what nobody needs, is a mistake of the engine.

import { assert } from '../base/assert.ts';
import type { Random } from '../base/random.ts';
import type { BatchNumber } from '../control/protocol/ids.ts';
import type { Handle } from '../control/protocol/messages.ts';
import type { KeptLimits } from '../control/worker/spill-policy.ts';

/** How little room workers have for what they keep. */
export type SpillModel = {
  readonly limits: KeptLimits;
  /** Share of writes that fail. */
  readonly failChance: number;
  /** Share of reads that find a damaged block: the worker ends. */
  readonly damageChance: number;
  readonly callMsMax: number;
};

type Stored = { readonly batch: BatchNumber; readonly output: Handle };

export class SimulatedSpill {
  readonly model: SpillModel;
  readonly #random: Random;
  readonly #stored = new Set<Stored>();
  #droppedThrough = -1;

  constructor(model: SpillModel, random: Random) {
    this.model = model;
    this.#random = random;
  }

  callMs(): number {
    return this.#random.float() * this.model.callMsMax;
  }

  failsToWrite(): boolean {
    return this.#random.chance(this.model.failChance);
  }

  isDamaged(): boolean {
    return this.#random.chance(this.model.damageChance);
  }

  write(blocks: readonly Stored[]): readonly Handle[] {
    const stored = blocks.map(({ batch, output }): Stored => ({ batch, output }));
    for (const block of stored) if (block.batch > this.#droppedThrough) this.#stored.add(block);
    return stored;
  }

  read(stored: readonly Handle[]): readonly Handle[] {
    return stored.map((handle) => {
      assert(this.#stored.has(handle as Stored), 'a spilled block is read that is not on disk');
      return (handle as Stored).output;
    });
  }

  drop(through: BatchNumber): void {
    this.#droppedThrough = Math.max(this.#droppedThrough, through);
    for (const block of this.#stored) if (block.batch <= through) this.#stored.delete(block);
  }

  /** Of the oldest block; Infinity: there is none. */
  get oldestBatch(): number {
    let oldest = Infinity;
    for (const { batch } of this.#stored) oldest = Math.min(oldest, batch);
    return oldest;
  }
}

export function drawSpill(random: Random): SpillModel | null {
  if (random.chance(0.4)) return null;
  return {
    limits: {
      keptBytesMax: random.pick([1, 300, 3000]),
      spillBytesMax: random.pick([100, 500, 5000, 1e9, 1e9]),
      loadBytesMax: 1e9,
    },
    failChance: random.pick([0, 0, 0.3]),
    damageChance: random.pick([0, 0, 0.02]),
    callMsMax: random.pick([0.1, 2, 30]),
  };
}
