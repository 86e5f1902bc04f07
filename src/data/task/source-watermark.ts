// The watermark of a source partition: its greatest event time minus the allowed delay. Idleness
// goes by the planned times of micro-batches, so that a replay decides alike. The record of a range
// holds all of it, so that a partition goes on from any record.

import type { WatermarkSpec } from '../../plan/logical-plan.ts';

/** What a `RangeRecord` says of a partition after the micro-batch. */
export type SourceProgress = {
  readonly watermarkMs: number;
  readonly idle: boolean;
  readonly wasIdle: boolean;
  readonly activeMs: number;
  readonly ended: boolean;
};

export class SourceWatermark {
  watermarkMs = -Infinity;
  idle = false;
  ended = false;
  /** It was idle at some time. */
  wasIdle = false;
  /** Batch time of the last micro-batch with a record, or of the first one; NaN before that. */
  activeMs = NaN;
  readonly #spec: WatermarkSpec;

  /** `after`: the record of the micro-batch before the next one; null: none came before. */
  constructor(spec: WatermarkSpec, after: SourceProgress | null) {
    this.#spec = spec;
    if (after === null) return;
    this.watermarkMs = after.watermarkMs;
    this.idle = after.idle;
    this.wasIdle = after.wasIdle;
    this.activeMs = after.activeMs;
    this.ended = after.ended;
  }

  /** See `InputWatermark.boundMs`. */
  get boundMs(): number {
    return this.wasIdle ? Infinity : this.watermarkMs;
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
    if (records > 0 || this.activeMs !== this.activeMs) this.activeMs = batchTimeMs;
    if (timeMax - delayMs > this.watermarkMs) this.watermarkMs = timeMax - delayMs;
    if (ended) {
      this.ended = true;
      this.watermarkMs = Infinity;
    }
    this.idle = idleMs !== null && batchTimeMs - this.activeMs >= idleMs;
    if (this.idle) this.wasIdle = true;
  }
}
