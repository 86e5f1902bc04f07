// Latency as the paper measures it: for each (campaign, window), when its count became visible
// minus the window's end. Events carry the time they were due, so a late generator counts too.

import type { CollectSink } from '../../src/index.ts';
import { formatMs } from '../../src/base/format.ts';
import { Histogram } from '../../src/base/histogram.ts';
import type { CampaignCount } from './campaign-count.ts';
import type { YsbOptions } from './options.ts';

/** Windows that end this soon after the first one began are warm-up, ms. */
export const warmUpMs = 2_000;

export class WindowLatency {
  readonly #results: CollectSink<CampaignCount>;
  readonly #options: YsbOptions;
  readonly #histogram = new Histogram();
  readonly #windows = new Set<number>();
  readonly #warmUp = new Set<number>();
  #read = 0;
  #firstStartMs = Infinity;

  constructor(results: CollectSink<CampaignCount>, options: YsbOptions) {
    this.#results = results;
    this.#options = options;
  }

  get histogram(): Histogram {
    this.#update();
    return this.#histogram;
  }

  /** Windows that count, and those left out at the beginning. */
  get windows(): { readonly measured: number; readonly warmUp: number } {
    this.#update();
    return { measured: this.#windows.size, warmUp: this.#warmUp.size };
  }

  lines(): readonly string[] {
    const { p50, p95, p99, max } = this.histogram.percentiles();
    const figures = `p50 ${formatMs(p50)}, p95 ${formatMs(p95)}, p99 ${formatMs(p99)}`;
    const text =
      this.#options.input === null ? `${figures}, max ${formatMs(max)}` : 'of a file: none';
    return [`latency     ${text} (window's end to visible count)`];
  }

  #update(): void {
    // Events of a file are old: there is no latency to speak of.
    if (this.#options.input !== null) return;
    const { batches } = this.#results;
    for (; this.#read < batches.length; this.#read++) {
      const { rows, visibleAtMs, watermarkMs } = batches[this.#read]!;
      // The windows that the end of the input closes close early.
      if (watermarkMs === Infinity) continue;
      for (const { windowStart, windowEnd } of rows) {
        this.#firstStartMs = Math.min(this.#firstStartMs, windowStart);
        if (windowEnd < this.#firstStartMs + warmUpMs) {
          this.#warmUp.add(windowEnd);
          continue;
        }
        this.#windows.add(windowEnd);
        this.#histogram.add(visibleAtMs - windowEnd);
      }
    }
  }
}
