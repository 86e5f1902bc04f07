// When kept blocks go to disk, and what else a worker that runs out of room for them asks for: a
// checkpoint, which releases them, and as a last resort that sources read no more.

import {
  keptBytesMaxDefault,
  keptExcessBytes,
  keptRecordsMax,
  loadBytesMaxDefault,
  spillBytesMaxDefault,
  spillRetryMs,
  spillWriteBytesMax,
} from '../limits.ts';
import type { BatchNumber } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { Handle, Pressure } from '../protocol/messages.ts';
import type { KeptBlocks, Spillable } from './kept-blocks.ts';

export type KeptLimits = {
  /** Bytes in memory beyond which blocks go to disk. */
  readonly keptBytesMax: number;
  /** Bytes on disk. */
  readonly spillBytesMax: number;
  /** Bytes that are read back from it at once: what exceeds that, one block may. */
  readonly loadBytesMax: number;
};

export const keptLimitsDefault: KeptLimits = {
  keptBytesMax: keptBytesMaxDefault,
  spillBytesMax: spillBytesMaxDefault,
  loadBytesMax: loadBytesMaxDefault,
};

export type SpillOrder = { readonly spill: number; readonly blocks: readonly Spillable[] };

export class SpillPolicy {
  readonly #limits: KeptLimits;
  #orders = 0;
  #underWay: SpillOrder | null = null;
  #retryAtMs = -Infinity;
  #holdsBack = false;
  /** The last micro-batch of which something was ordered to disk and may still be there. */
  #through: BatchNumber = noBatch;

  constructor(limits: KeptLimits) {
    this.#limits = limits;
  }

  /** What is to go to disk now; null: nothing, or something is on its way. */
  next(nowMs: number, kept: KeptBlocks): SpillOrder | null {
    const { keptBytesMax, spillBytesMax } = this.#limits;
    if (this.#underWay !== null || kept.memoryBytes <= keptBytesMax) return null;
    if (nowMs < this.#retryAtMs || kept.diskBytes >= spillBytesMax) return null;
    // A quarter of the room is made at once: small writes one by one would cost more.
    const wanted = kept.memoryBytes - Math.floor(0.75 * keptBytesMax);
    const blocks = kept.spillOldest(Math.min(wanted, spillWriteBytesMax));
    if (blocks.length === 0) return null;
    for (const { batch } of blocks) this.#through = Math.max(this.#through, batch) as BatchNumber;
    this.#underWay = { spill: this.#orders++, blocks };
    return this.#underWay;
  }

  /** False: no such order is under way. */
  stored(spill: number, kept: KeptBlocks, stored: readonly Handle[]): boolean {
    if (this.#underWay?.spill !== spill) return false;
    kept.spilled(this.#underWay.blocks, stored);
    this.#underWay = null;
    return true;
  }

  failed(nowMs: number, spill: number, kept: KeptBlocks): boolean {
    if (this.#underWay?.spill !== spill) return false;
    kept.spillFailed(this.#underWay.blocks);
    this.#underWay = null;
    this.#retryAtMs = nowMs + spillRetryMs;
    return true;
  }

  /** Blocks through a micro-batch are released; true when some of them may be on disk. */
  retired(through: BatchNumber): boolean {
    const some = this.#through !== noBatch;
    if (through >= this.#through) this.#through = noBatch;
    return some;
  }

  pressure(kept: KeptBlocks): Pressure {
    const { keptBytesMax, spillBytesMax } = this.#limits;
    const share = Math.max(
      kept.memoryBytes / (keptBytesMax + Math.max(keptBytesMax, keptExcessBytes)),
      kept.diskBytes / spillBytesMax,
      kept.records / keptRecordsMax,
    );
    // Between the two it stays as it is, so that sources do not start and stop all the time.
    if (share >= 1) this.#holdsBack = true;
    if (share < 0.75) this.#holdsBack = false;
    if (this.#holdsBack) return 'hold-back';
    return kept.memoryBytes + kept.diskBytes > keptBytesMax / 2 ? 'checkpoint' : 'none';
  }
}
