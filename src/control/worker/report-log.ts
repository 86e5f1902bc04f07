// What has happened since a worker's last report, and when the next one is due.

import {
  gaugesPerSecondMax,
  makespansPerReportMax,
  reportIntervalMs,
  reportsPerSecondMax,
} from '../limits.ts';
import type { Handle, Pressure, Report, TaskName } from '../protocol/messages.ts';

export class ReportLog {
  #due = false;
  #intervalMs = reportIntervalMs;
  #reportedAtMs = 0;
  #ended: TaskName[] = [];
  #makespansMs: number[] = [];
  /** Micro-batches done since the last report; every so many's makespan is kept. */
  #batches = 0;
  #stride = 1;
  #busyMs = 0;
  #tasksRun = 0;
  #gaugesIntervalMs = 0;
  #gaugesReportedAtMs = -Infinity;
  #gaugesReported: Handle = null;
  #pressure: Pressure = 'none';
  /** What the runtime measured last. */
  gauges: Handle = null;

  /** The driver waits for this: report at the end of the step. */
  request(): void {
    this.#due = true;
  }

  /**
   * The more workers there are, the less often each one reports. Ends of sources that nobody was
   * told of belong to the placement before, and may not have come to be.
   */
  restart(nowMs: number, workerCount: number): void {
    this.#reportedAtMs = nowMs;
    this.#ended = [];
    this.#intervalMs = Math.max(reportIntervalMs, (workerCount * 1000) / reportsPerSecondMax);
    this.#gaugesIntervalMs = (workerCount * 1000) / gaugesPerSecondMax;
  }

  /** What the driver acts upon is reported at once when it changes. */
  pressed(pressure: Pressure): void {
    if (pressure !== this.#pressure) this.#due = true;
    this.#pressure = pressure;
  }

  sourceEnded(task: TaskName): void {
    this.#ended.push(task);
  }

  taskRun(elapsedMs: number): void {
    this.#busyMs += elapsedMs;
    this.#tasksRun++;
  }

  batchDone(makespanMs: number): void {
    const index = this.#batches++;
    if (index % this.#stride !== 0) return;
    if (this.#makespansMs.length === makespansPerReportMax) {
      this.#makespansMs = this.#makespansMs.filter((_, position) => position % 2 === 0);
      this.#stride *= 2;
    }
    if (index % this.#stride === 0) this.#makespansMs.push(makespanMs);
  }

  nextDeadlineMs(): number {
    return this.#reportedAtMs + this.#intervalMs;
  }

  /** The report, if one is due; what it says is then forgotten. */
  take(
    nowMs: number,
    now: Pick<
      Report,
      | 'version'
      | 'startedThrough'
      | 'doneThrough'
      | 'queued'
      | 'keptBytes'
      | 'spilledBytes'
      | 'pressure'
    >,
  ): Report | null {
    if (!this.#due && nowMs < this.nextDeadlineMs()) return null;
    const report: Report = {
      ...now,
      ended: this.#ended,
      makespansMs: this.#makespansMs,
      busyMs: this.#busyMs,
      tasksRun: this.#tasksRun,
      gauges: this.#takeGauges(nowMs),
    };
    this.#due = false;
    this.#reportedAtMs = nowMs;
    this.#ended = [];
    this.#makespansMs = [];
    this.#batches = 0;
    this.#stride = 1;
    this.#busyMs = 0;
    this.#tasksRun = 0;
    return report;
  }

  /** Once each time they were measured, and not too often. */
  #takeGauges(nowMs: number): Handle {
    if (this.gauges === this.#gaugesReported) return null;
    if (nowMs < this.#gaugesReportedAtMs + this.#gaugesIntervalMs) return null;
    this.#gaugesReported = this.gauges;
    this.#gaugesReportedAtMs = nowMs;
    return this.gauges;
  }
}
