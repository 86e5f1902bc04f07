// Seeded randomness (sfc32, by Chris Doty-Humphrey): the same seed gives the same numbers on every
// machine. For simulations and tests; not for secrets.

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** `seed` is any integer; its low 64 bits or so count. */
  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = 0x2545f491;
    // Seeds that differ in one bit need some rounds to grow apart.
    for (let round = 0; round < 12; round++) this.uint32();
  }

  /** Uniform in [0, 2³²). */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Uniform in [min, max], whole numbers. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.float() * (max - min + 1));
  }

  /** True with a probability in [0, 1]. */
  chance(probability: number): boolean {
    return this.float() < probability;
  }

  pick<Item>(items: readonly [Item, ...Item[]]): Item {
    return items[this.integer(0, items.length - 1)] ?? items[0];
  }

  /** An independent generator: what one consumer draws does not move what another one gets. */
  fork(): Random {
    return new Random(this.uint32() + this.uint32() * 2 ** 20);
  }
}
