// The watermark of a stage partition: the least of its producers that are neither idle nor at
// their end. It never goes back. When all that have not ended are idle it stays, and the partition
// is idle itself; an ended producer never makes an idle one's rows late.

import type { ColumnReader } from '../snapshot/column-reader.ts';
import type { ColumnWriter } from '../snapshot/column-writer.ts';
import { sectionKinds } from '../snapshot/snapshot-file.ts';
import type { StateChanges } from '../state/state-part.ts';
import type { InputBlock } from './task.ts';

/** By producer: what its last header said. */
type Producers = { readonly watermarksMs: Float64Array; readonly idle: Uint8Array };

export class InputWatermark {
  readonly section = sectionKinds.input;
  watermarkMs = -Infinity;
  /**
   * The least of the producers that count at present. Below `watermarkMs` when one has come back
   * that was idle. A stage that keeps no windows hands this on, so that whoever does sees the same
   * as if there were no stage in between.
   */
  leastMs = -Infinity;
  idle = false;
  #wasIdle = false;
  /** By input exchange. */
  readonly #inputs: readonly Producers[];
  readonly #firsts: readonly number[];

  /** By input exchange of the stage: the producers that feed the partition. */
  constructor(producers: readonly { readonly first: number; readonly count: number }[]) {
    this.#firsts = producers.map(({ first }) => first);
    this.#inputs = producers.map(({ count }) => {
      return { watermarksMs: new Float64Array(count).fill(-Infinity), idle: new Uint8Array(count) };
    });
  }

  /**
   * No consumer's watermark was beyond this at the end of the last micro-batch: a consumer takes
   * the least of its producers, unless one of them, such as this one, was idle once.
   */
  get boundMs(): number {
    return this.#wasIdle ? Infinity : this.watermarkMs;
  }

  /** Takes the headers of a micro-batch, or of a part of one; who is silent is as before. */
  advance(blocks: readonly (readonly InputBlock[])[]): void {
    for (let index = 0; index < blocks.length; index++) {
      const { watermarksMs, idle } = this.#inputs[index]!;
      const first = this.#firsts[index]!;
      for (const { producer, header } of blocks[index]!) {
        watermarksMs[producer - first] = header.watermarkMs;
        idle[producer - first] = header.idle ? 1 : 0;
      }
    }
    let running = 0;
    let awake = 0;
    let least = Infinity;
    for (const { watermarksMs, idle } of this.#inputs) {
      for (let producer = 0; producer < watermarksMs.length; producer++) {
        const watermarkMs = watermarksMs[producer]!;
        if (watermarkMs === Infinity) continue;
        running++;
        if (idle[producer] === 1) continue;
        awake++;
        if (watermarkMs < least) least = watermarkMs;
      }
    }
    this.idle = running > 0 && awake === 0;
    if (this.idle) this.#wasIdle = true;
    if (this.idle) return;
    this.leastMs = least;
    if (least > this.watermarkMs) this.watermarkMs = least;
  }

  /** Always written whole: it is small. */
  changes(): StateChanges {
    return { changed: 0, total: 0 };
  }

  save(to: ColumnWriter): void {
    to.numbers(this.watermarkMs, this.leastMs);
    to.u8(Uint8Array.of(this.idle ? 1 : 0, this.#wasIdle ? 1 : 0));
    to.i32(Int32Array.from(this.#inputs, ({ idle }) => idle.length));
    for (const { watermarksMs, idle } of this.#inputs) {
      to.f64(watermarksMs);
      to.flags(idle);
    }
  }

  /** Producers that have come since are as before their first header; some may have gone. */
  load(from: ColumnReader): void {
    const [watermarkMs, leastMs] = from.f64(2);
    this.watermarkMs = watermarkMs!;
    this.leastMs = leastMs!;
    const [idle, wasIdle] = from.flags(2);
    this.idle = idle === 1;
    this.#wasIdle = wasIdle === 1;
    from.i32().forEach((count, index) => {
      const watermarksMs = from.f64(count);
      const idleOnes = from.flags(count);
      const producers = this.#inputs[index];
      if (producers === undefined || count > producers.idle.length) return;
      producers.watermarksMs.set(watermarksMs);
      producers.idle.set(idleOnes);
    });
  }

  /** What other producers said holds nobody's watermark; it stays where it is till all speak. */
  settle(sameInputs: boolean): void {
    if (sameInputs) return;
    for (const { watermarksMs, idle } of this.#inputs) {
      watermarksMs.fill(-Infinity);
      idle.fill(0);
    }
  }
}
