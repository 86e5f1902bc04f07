// Buffers for large answers, used again once whoever read them gives them back. Fresh ones count as
// memory from outside the heap, and V8 collects the whole heap for every 64 MiB of them. What is
// never given back is garbage like anything else.

/** Smaller ones are not worth it. */
const pooledBytesMin = 64 * 1024;
/** So that answers of about the same size find the same buffers. */
const roundBytes = 1024 * 1024;
const freeBytesMax = 64 * 1024 * 1024;

export class FrameBuffers {
  #free: Buffer[] = [];
  #freeBytes = 0;
  readonly #owned = new WeakSet<ArrayBufferLike>();

  take(length: number): Buffer {
    if (length < pooledBytesMin) return Buffer.allocUnsafeSlow(length);
    const index = this.#free.findIndex((buffer) => buffer.length >= length);
    if (index >= 0) {
      const [buffer] = this.#free.splice(index, 1);
      this.#freeBytes -= buffer!.length;
      return buffer!.subarray(0, length);
    }
    const buffer = Buffer.allocUnsafeSlow(Math.ceil(length / roundBytes) * roundBytes);
    this.#owned.add(buffer.buffer);
    return buffer.subarray(0, length);
  }

  has(bytes: Uint8Array): boolean {
    return this.#owned.has(bytes.buffer);
  }

  /** Nobody may look at any part of it any more. Once for each `take`. */
  giveBack({ buffer }: Uint8Array): void {
    if (!this.#owned.has(buffer) || this.#freeBytes + buffer.byteLength > freeBytesMax) return;
    this.#free.push(Buffer.from(buffer));
    this.#freeBytes += buffer.byteLength;
  }
}
