// The watermark of a source partition: its greatest event time minus the allowed delay. Idleness
// goes by the planned times of micro-batches, so that a replay decides alike.

import type { WatermarkSpec } from '../../plan/logical-plan.ts';

export class SourceWatermark {
  watermarkMs = -Infinity;
  idle = false;
  ended = false;
  readonly #spec: WatermarkSpec;
  /** Batch time of the last micro-batch with a record, or of the first one. */
  #activeMs = NaN;
  #everIdle = false;

  constructor(spec: WatermarkSpec) {
    this.#spec = spec;
  }

  /** See `InputWatermark.boundMs`. */
  get boundMs(): number {
    return this.#everIdle ? Infinity : this.watermarkMs;
  }

  /** Takes what a micro-batch scanned. `timeMax` is -Infinity without any event time. */
  advance(scanned: {
    readonly records: number;
    readonly timeMax: number;
    readonly batchTimeMs: number;
    readonly ended: boolean;
  }): void {
    const { records, timeMax, batchTimeMs, ended } = scanned;
    const { delayMs, idleMs } = this.#spec;
    if (records > 0 || this.#activeMs !== this.#activeMs) this.#activeMs = batchTimeMs;
    if (timeMax - delayMs > this.watermarkMs) this.watermarkMs = timeMax - delayMs;
    if (ended) {
      this.ended = true;
      this.watermarkMs = Infinity;
    }
    this.idle = idleMs !== null && batchTimeMs - this.#activeMs >= idleMs;
    if (this.idle) this.#everIdle = true;
  }
}
