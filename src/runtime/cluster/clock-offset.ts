// How far another process's clock is ahead, by round trips: the one that took least time says it
// best, because its answer cannot have been under way for longer than that.

/** Round trips that are remembered; older ones say little about a clock that drifts. */
const samplesMax = 32;

export class ClockOffset {
  #samples: { readonly roundTripMs: number; readonly offsetMs: number }[] = [];

  get count(): number {
    return this.#samples.length;
  }

  /** A question sent and its answer received by our clock, and the answer by theirs. */
  add(sentMs: number, theirMs: number, receivedMs: number): void {
    const roundTripMs = receivedMs - sentMs;
    if (roundTripMs < 0) return;
    if (this.#samples.length === samplesMax) this.#samples.shift();
    this.#samples.push({ roundTripMs, offsetMs: theirMs - (sentMs + receivedMs) / 2 });
  }

  /** Theirs minus ours, ms; 0 before any answer. */
  get offsetMs(): number {
    return this.#best?.offsetMs ?? 0;
  }

  /** The estimate is off by at most this, ms. */
  get errorMs(): number {
    return (this.#best?.roundTripMs ?? Infinity) / 2;
  }

  get #best(): { readonly roundTripMs: number; readonly offsetMs: number } | null {
    let best = null;
    for (const sample of this.#samples) {
      if (best === null || sample.roundTripMs < best.roundTripMs) best = sample;
    }
    return best;
  }
}
