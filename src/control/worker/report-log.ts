// What has happened since a worker's last report, and when the next one is due.

import { makespansPerReportMax, reportIntervalMs } from '../limits.ts';
import type { BatchNumber } from '../protocol/ids.ts';
import type { Handle, Report, TaskName } from '../protocol/messages.ts';

export class ReportLog {
  #due = false;
  #reportedAtMs = 0;
  #ended: TaskName[] = [];
  #makespansMs: number[] = [];
  #busyMs = 0;
  #tasksRun = 0;
  /** What the runtime measured last. */
  gauges: Handle = null;

  /** The driver waits for this: report at the end of the step. */
  request(): void {
    this.#due = true;
  }

  restart(nowMs: number): void {
    this.#reportedAtMs = nowMs;
  }

  sourceEnded(task: TaskName): void {
    this.#ended.push(task);
  }

  taskRun(elapsedMs: number): void {
    this.#busyMs += elapsedMs;
    this.#tasksRun++;
  }

  batchDone(makespanMs: number): void {
    if (this.#makespansMs.length === makespansPerReportMax) this.#makespansMs.pop();
    this.#makespansMs.push(makespanMs);
  }

  nextDeadlineMs(): number {
    return this.#reportedAtMs + reportIntervalMs;
  }

  /** The report, if one is due; what it says is then forgotten. */
  take(
    nowMs: number,
    now: {
      readonly startedThrough: BatchNumber;
      readonly doneThrough: BatchNumber;
      readonly queued: number;
    },
  ): Report | null {
    if (!this.#due && nowMs < this.nextDeadlineMs()) return null;
    const report: Report = {
      ...now,
      ended: this.#ended,
      makespansMs: this.#makespansMs,
      busyMs: this.#busyMs,
      tasksRun: this.#tasksRun,
      gauges: this.gauges,
    };
    this.#due = false;
    this.#reportedAtMs = nowMs;
    this.#ended = [];
    this.#makespansMs = [];
    this.#busyMs = 0;
    this.#tasksRun = 0;
    return report;
  }
}
