// A log-linear histogram of positive numbers: fixed memory, percentiles within 1 %.

const bucketsPerOctave = 64;
const octaveMin = -14;
const octaves = 48;

/** Counts values from about 0.00006 to 17 billion; outside it clamps. Empty percentiles are NaN. */
export class Histogram {
  readonly #counts = new Float64Array(bucketsPerOctave * octaves);
  #count = 0;
  #max = -Infinity;

  get count(): number {
    return this.#count;
  }

  get max(): number {
    return this.#count === 0 ? NaN : this.#max;
  }

  add(value: number): void {
    const position = (Math.log2(Math.max(value, Number.MIN_VALUE)) - octaveMin) * bucketsPerOctave;
    const bucket = Math.min(Math.max(Math.floor(position), 0), this.#counts.length - 1);
    this.#counts[bucket]!++;
    this.#count++;
    if (value > this.#max) this.#max = value;
  }

  /** The value that a share `quantile` (0 to 1) of all values does not exceed. */
  quantile(quantile: number): number {
    if (this.#count === 0) return NaN;
    const rank = Math.max(1, Math.ceil(quantile * this.#count));
    let seen = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      seen += this.#counts[bucket]!;
      if (seen < rank) continue;
      const upper = 2 ** ((bucket + 1) / bucketsPerOctave + octaveMin);
      return Math.min(upper, this.#max);
    }
    return this.#max;
  }

  percentiles(): {
    readonly p50: number;
    readonly p95: number;
    readonly p99: number;
    readonly max: number;
  } {
    return {
      p50: this.quantile(0.5),
      p95: this.quantile(0.95),
      p99: this.quantile(0.99),
      max: this.max,
    };
  }

  clear(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#max = -Infinity;
  }
}
