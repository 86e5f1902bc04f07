// Cuts a stream of bytes into frames: u32 length, little-endian, then so many bytes. Each frame's
// bytes are copied once, from the chunks they came in to memory of their own that starts at a
// multiple of 8. A length beyond the bound is refused before any memory is taken for it.

import type { Allocate } from '../../data/task/task.ts';

export const lengthBytes = 4;

export class FrameReader {
  readonly #allocate: Allocate;
  #bytesMax: number;
  readonly #length = new Uint8Array(lengthBytes);
  #lengthFilled = 0;
  #frame: Uint8Array | null = null;
  #filled = 0;

  constructor(options: { readonly allocate: Allocate; readonly bytesMax: number }) {
    this.#allocate = options.allocate;
    this.#bytesMax = options.bytesMax;
  }

  /** Frames that begin from now on may be so long. */
  set bytesMax(bytes: number) {
    this.#bytesMax = bytes;
  }

  /** Gives each frame that is complete; returns the length that is refused, or null. */
  push(chunk: Uint8Array, onFrame: (frame: Uint8Array) => void): number | null {
    let at = 0;
    while (at < chunk.length) {
      if (this.#frame === null) {
        this.#length[this.#lengthFilled++] = chunk[at++]!;
        if (this.#lengthFilled < lengthBytes) continue;
        const [a, b, c, d] = this.#length;
        const bytes = (a! | (b! << 8) | (c! << 16) | (d! << 24)) >>> 0;
        if (bytes === 0 || bytes > this.#bytesMax) return bytes;
        this.#frame = this.#allocate(bytes);
        this.#lengthFilled = 0;
        this.#filled = 0;
      }
      const frame = this.#frame;
      const taken = Math.min(frame.length - this.#filled, chunk.length - at);
      frame.set(chunk.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled < frame.length) continue;
      this.#frame = null;
      onFrame(frame);
    }
    return null;
  }
}
