// When sessions close: a binary heap of (end, sequence, slot) in typed arrays, the earliest end
// first and of equal ends the older session. An object a session would be a million for the garbage
// collector to visit.

export class ClosingHeap {
  size = 0;
  #ends = new Float64Array(16);
  #sequences = new Float64Array(16);
  #slots = new Int32Array(16);

  /** Of the first entry; there is one. */
  get endMs(): number {
    return this.#ends[0]!;
  }

  get sequence(): number {
    return this.#sequences[0]!;
  }

  get slot(): number {
    return this.#slots[0]!;
  }

  push(endMs: number, sequence: number, slot: number): void {
    if (this.size === this.#ends.length) this.#grow(this.size * 2);
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(endMs, sequence, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, endMs, sequence, slot);
  }

  /** Drops the first entry. */
  pop(): void {
    const last = --this.size;
    if (last > 0) this.#sink(0, this.#ends[last]!, this.#sequences[last]!, this.#slots[last]!);
  }

  /** Takes entries in any order; `order` must be called before anything else. */
  add(endMs: number, sequence: number, slot: number): void {
    if (this.size === this.#ends.length) this.#grow(this.size * 2);
    this.#put(this.size++, endMs, sequence, slot);
  }

  order(): void {
    for (let at = (this.size >> 1) - 1; at >= 0; at--) {
      this.#sink(at, this.#ends[at]!, this.#sequences[at]!, this.#slots[at]!);
    }
  }

  /** Puts an entry at `at` or below it, whose old entry is lost. */
  #sink(at: number, endMs: number, sequence: number, slot: number): void {
    let free = at;
    for (;;) {
      let child = 2 * free + 1;
      if (child >= this.size) break;
      const right = child + 1;
      if (right < this.size && this.#isBefore(this.#ends[right]!, this.#sequences[right]!, child)) {
        child = right;
      }
      if (this.#isBefore(endMs, sequence, child)) break;
      this.#move(child, free);
      free = child;
    }
    this.#put(free, endMs, sequence, slot);
  }

  #isBefore(endMs: number, sequence: number, other: number): boolean {
    const end = this.#ends[other]!;
    return endMs !== end ? endMs < end : sequence < this.#sequences[other]!;
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#ends[from]!, this.#sequences[from]!, this.#slots[from]!);
  }

  #put(at: number, endMs: number, sequence: number, slot: number): void {
    this.#ends[at] = endMs;
    this.#sequences[at] = sequence;
    this.#slots[at] = slot;
  }

  #grow(capacity: number): void {
    const ends = new Float64Array(capacity);
    ends.set(this.#ends);
    this.#ends = ends;
    const sequences = new Float64Array(capacity);
    sequences.set(this.#sequences);
    this.#sequences = sequences;
    const slots = new Int32Array(capacity);
    slots.set(this.#slots);
    this.#slots = slots;
  }
}
