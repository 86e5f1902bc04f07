// What a worker counts of its tasks and measures of its sources, as gauges.

import process from 'node:process';
import type { TaskName } from '../../control/protocol/messages.ts';
import type { TaskResult } from '../../data/task/task.ts';
import type { SourceOffset, WorkerGauges } from '../../observe/gauges.ts';
import { maxKnown, noGauges, sumKnown } from '../../observe/gauges.ts';
import type { SourceReader } from '../../ports/source.ts';

export class WorkerMeters {
  #gauges: WorkerGauges = noGauges;
  /** By stage and partition. */
  readonly #watermarks = new Map<string, number>();
  readonly #offsets = new Map<string, SourceOffset>();

  count(task: TaskName, { counts, range, watermarkMs }: TaskResult): void {
    const { recordsIn, recordsBad, recordsLate, bytesIn, rowsOut } = this.#gauges;
    // Only a source task has a range; what others take in is no input of the job.
    const source = range !== null;
    this.#gauges = {
      ...this.#gauges,
      recordsIn: recordsIn + (source ? counts.recordsIn : 0),
      bytesIn: bytesIn + (source ? counts.bytesIn : 0),
      recordsBad: recordsBad + counts.recordsBad,
      recordsLate: recordsLate + counts.recordsLate,
      rowsOut: rowsOut + counts.rowsOut,
    };
    this.#watermarks.set(`${task.stage}/${task.partition}`, watermarkMs);
    if (range === null) return;
    const { source: from, partition, to } = range;
    this.#offsets.set(`${from}/${partition}`, { source: from, partition, to });
  }

  measure(readers: Iterable<SourceReader>, stateBytes: number): WorkerGauges {
    let watermarkMs = Infinity;
    for (const watermark of this.#watermarks.values()) {
      watermarkMs = Math.min(watermarkMs, watermark);
    }
    let lagRecords: number | null = null;
    let lagBytes: number | null = null;
    let lagMs: number | null = null;
    for (const reader of readers) {
      const lag = reader.lag();
      lagRecords = sumKnown(lagRecords, lag.records);
      lagBytes = sumKnown(lagBytes, lag.bytes);
      lagMs = maxKnown(lagMs, lag.ms);
    }
    this.#gauges = {
      ...this.#gauges,
      watermarkMs,
      lagRecords,
      lagBytes,
      lagMs,
      stateBytes,
      heapBytes: process.memoryUsage().heapUsed,
      offsets: [...this.#offsets.values()],
    };
    return this.#gauges;
  }
}
