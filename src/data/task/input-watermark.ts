// The watermark of a stage partition: the least of its producers that are neither idle nor at
// their end. It never goes back. When all that have not ended are idle it stays, and the partition
// is idle itself; an ended producer never makes an idle one's rows late.

import type { BlockHeader, InputBlock } from './task.ts';

export class InputWatermark {
  watermarkMs = -Infinity;
  /**
   * The least of the producers that count at present. Below `watermarkMs` when one has come back
   * that was idle. A stage that keeps no windows hands this on, so that whoever does sees the same
   * as if there were no stage in between.
   */
  leastMs = -Infinity;
  idle = false;
  #everIdle = false;
  /** By input exchange and producer, from its first on: its last header; null before that. */
  readonly #headers: readonly (BlockHeader | null)[][];
  readonly #firsts: readonly number[];

  /** By input exchange of the stage: the producers that feed the partition. */
  constructor(producers: readonly { readonly first: number; readonly count: number }[]) {
    this.#firsts = producers.map(({ first }) => first);
    this.#headers = producers.map(({ count }) => new Array<BlockHeader | null>(count).fill(null));
  }

  /**
   * No consumer's watermark was beyond this at the end of the last micro-batch: a consumer takes
   * the least of its producers, unless one of them, such as this one, was idle once.
   */
  get boundMs(): number {
    return this.#everIdle ? Infinity : this.watermarkMs;
  }

  /** Takes the headers of a micro-batch, or of a part of one; who is silent is as before. */
  advance(blocks: readonly (readonly InputBlock[])[]): void {
    for (let index = 0; index < blocks.length; index++) {
      const headers = this.#headers[index]!;
      const first = this.#firsts[index]!;
      for (const { producer, header } of blocks[index]!) headers[producer - first] = header;
    }
    let running = 0;
    let awake = 0;
    let least = Infinity;
    for (const headers of this.#headers) {
      for (const header of headers) {
        const watermarkMs = header === null ? -Infinity : header.watermarkMs;
        if (watermarkMs === Infinity) continue;
        running++;
        if (header !== null && header.idle) continue;
        awake++;
        if (watermarkMs < least) least = watermarkMs;
      }
    }
    this.idle = running > 0 && awake === 0;
    if (this.idle) this.#everIdle = true;
    if (this.idle) return;
    this.leastMs = least;
    if (least > this.watermarkMs) this.watermarkMs = least;
  }
}
