// The buffers of one reader. A slab is filled, its records are taken, and it is filled again when
// bytes that were handed over need no longer hold: at the second next take.

export type Slab = {
  readonly bytes: Uint8Array;
  /** Still being filled. */
  filling: boolean;
  /** Has records that were not taken. */
  queued: boolean;
  /** The take that last handed over some of it. */
  lastTake: number;
};

export class SlabPool {
  readonly #slabBytes: number;
  readonly #kept: number;
  readonly #free: Uint8Array[] = [];
  #used: Slab[] = [];

  constructor(slabBytes: number, kept: number) {
    this.#slabBytes = slabBytes;
    this.#kept = kept;
  }

  /** False: `get` would exceed the number that is kept. */
  hasFree(): boolean {
    return this.#used.length < this.#kept;
  }

  get(bytesMin: number): Slab {
    const isUsual = bytesMin <= this.#slabBytes;
    const reused = isUsual ? this.#free.pop() : undefined;
    const bytes = reused ?? new Uint8Array(isUsual ? this.#slabBytes : bytesMin);
    const slab = { bytes, filling: true, queued: false, lastTake: -Infinity };
    this.#used.push(slab);
    return slab;
  }

  /** Called at the start of the take of this number. */
  recycle(take: number): void {
    const isDone = (slab: Slab): boolean =>
      !slab.filling && !slab.queued && slab.lastTake <= take - 2;
    for (const { bytes } of this.#used.filter(isDone)) {
      const isUsual = bytes.length === this.#slabBytes;
      if (isUsual && this.#free.length < this.#kept) this.#free.push(bytes);
    }
    this.#used = this.#used.filter((slab) => !isDone(slab));
  }
}
