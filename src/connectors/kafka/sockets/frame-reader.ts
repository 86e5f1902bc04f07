// Cuts what a connection brings into answers. An answer that came in one piece is handed on as it
// is; one in many pieces is put together in a buffer of its own, so that each byte is copied once
// and fetched records can be used where they lie.

import type { FrameBuffers } from './frame-buffers.ts';

const lengthBytes = 4;
/** Kafka's own limit of a request is 100 MiB; beyond this, what answers is not Kafka. */
const frameBytesMax = 1 << 30;

export type FrameReaderOptions = {
  /** Where large answers are put. Default: a new buffer each. */
  readonly buffers?: FrameBuffers;
  /** A chunk is overwritten once `push` returns, so nothing of it may be handed on. */
  readonly reusesChunks?: boolean;
};

export class FrameReader {
  readonly #onFrame: (frame: Buffer) => void;
  readonly #options: FrameReaderOptions;
  /** Bytes of a length that is not complete. */
  #head: Buffer = Buffer.alloc(0);
  #frame: Buffer | null = null;
  #filled = 0;

  constructor(onFrame: (frame: Buffer) => void, options: FrameReaderOptions = {}) {
    this.#onFrame = onFrame;
    this.#options = options;
  }

  /** A chunk that is not reused is handed over. Throws where the bytes cannot be answers. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#frame !== null) {
        at = this.#fill(this.#frame, chunk, at);
        continue;
      }
      if (this.#head.length > 0 || chunk.length - at < lengthBytes) {
        const part = chunk.subarray(at, at + lengthBytes - this.#head.length);
        at += part.length;
        this.#head = Buffer.concat([this.#head, part]);
        if (this.#head.length < lengthBytes) return;
        this.#begin(checkedLength(this.#head, 0));
        this.#head = Buffer.alloc(0);
        continue;
      }
      const length = checkedLength(chunk, at);
      at += lengthBytes;
      if (chunk.length - at < length || this.#options.reusesChunks === true) {
        this.#begin(length);
        continue;
      }
      at += length;
      this.#onFrame(chunk.subarray(at - length, at));
    }
  }

  #begin(length: number): void {
    // Not from Node's pool, which others hold parts of.
    this.#frame = this.#options.buffers?.take(length) ?? Buffer.allocUnsafeSlow(length);
    this.#filled = 0;
  }

  #fill(frame: Buffer, chunk: Buffer, at: number): number {
    const copied = chunk.copy(frame, this.#filled, at);
    this.#filled += copied;
    if (this.#filled === frame.length) {
      this.#frame = null;
      this.#onFrame(frame);
    }
    return at + copied;
  }
}

function checkedLength(bytes: Buffer, at: number): number {
  const length = bytes.readInt32BE(at);
  if (length < lengthBytes || length > frameBytesMax) {
    throw new Error(`an answer of ${length} bytes is not one of Kafka's`);
  }
  return length;
}
