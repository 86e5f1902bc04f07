// The watermark of a stage partition: the least of its producers that are neither idle nor at
// their end. It never goes back. When all that have not ended are idle it stays, and the partition
// is idle itself; an ended producer never makes an idle one's rows late.

import type { InputBlock } from './task.ts';

export class InputWatermark {
  watermarkMs = -Infinity;
  idle = false;
  #everIdle = false;

  /**
   * No consumer's watermark was beyond this at the end of the last micro-batch: a consumer takes
   * the least of its producers, unless one of them, such as this one, was idle once.
   */
  get boundMs(): number {
    return this.#everIdle ? Infinity : this.watermarkMs;
  }

  /** Takes the headers of a micro-batch. */
  advance(blocks: readonly (readonly InputBlock[])[]): void {
    let running = 0;
    let awake = 0;
    let least = Infinity;
    for (const producers of blocks) {
      for (const { header } of producers) {
        if (header.watermarkMs === Infinity) continue;
        running++;
        if (header.idle) continue;
        awake++;
        if (header.watermarkMs < least) least = header.watermarkMs;
      }
    }
    this.idle = running > 0 && awake === 0;
    if (this.idle) this.#everIdle = true;
    if (!this.idle && least > this.watermarkMs) this.watermarkMs = least;
  }
}
