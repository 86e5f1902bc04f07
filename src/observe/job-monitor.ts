// Collects what workers report and the driver traces into the status that people and programs see.
// Pure but for the clock readings it is given.

import { Histogram } from '../base/histogram.ts';
import type { JobState, JobStatus } from '../api/job.ts';
import type { DriverTrace } from '../control/driver/events.ts';
import type { BatchNumber, WorkerId } from '../control/protocol/ids.ts';
import type { Report } from '../control/protocol/messages.ts';
import type { ExecutionMode } from '../plan/execution-mode.ts';
import type { WorkerGauges } from './gauges.ts';
import { countsOf, mergeGauges } from './gauges.ts';

/** Span of a rate, ms. */
const rateSpanMs = 1000;

/** Of a span, what is told apart, ms: however many workers report, a rate has few samples. */
const sampleMs = 50;

export type JobMonitorOptions = {
  readonly workers: number;
  readonly startMs: number;
  readonly intervalMs: number;
  readonly groupSize: number;
  readonly mode: ExecutionMode;
  nowMs(): number;
  rssBytes(): number;
};

export class JobMonitor {
  readonly #options: JobMonitorOptions;
  #startMs: number;
  /** Epoch ms. */
  #runStartMs: number;
  readonly #gauges = new Map<WorkerId, WorkerGauges>();
  /** What all those have counted that are gone. */
  #goneGauges: WorkerGauges | null = null;
  readonly #done = new Map<WorkerId, BatchNumber>();
  readonly #kept = new Map<WorkerId, Pick<Report, 'keptBytes' | 'spilledBytes'>>();
  #inputHeldBack = false;
  readonly #batchMs = new Histogram();
  readonly #recentBatchMs = [new Histogram(), new Histogram()] as const;
  #recent = 0;
  #recentSinceMs: number;
  #state: JobState = 'starting';
  #groups = 0;
  #groupSize: number;
  #intervalMs: number;
  #busy: { readonly atMs: number; ms: number }[] = [];
  #records: { readonly atMs: number; readonly count: number }[] = [];
  #sampledMs = -Infinity;

  constructor(options: JobMonitorOptions) {
    this.#options = options;
    this.#startMs = options.nowMs();
    this.#runStartMs = options.startMs;
    this.#recentSinceMs = this.#startMs;
    this.#groupSize = options.groupSize;
    this.#intervalMs = options.intervalMs;
  }

  /** The workers have come that the job waited for: it starts now. */
  startsAt(startMs: number): void {
    this.#runStartMs = startMs;
    this.#startMs = this.#options.nowMs();
    this.#recentSinceMs = this.#startMs;
  }

  started(): void {
    this.#state = 'running';
  }

  enter(state: JobState): void {
    this.#state = state;
  }

  paceChanged(pace: { readonly groupSize: number; readonly intervalMs: number }): void {
    this.#groupSize = pace.groupSize;
    this.#intervalMs = pace.intervalMs;
  }

  reported(worker: WorkerId, report: Report): void {
    const nowMs = this.#options.nowMs();
    this.#done.set(worker, report.doneThrough);
    this.#kept.set(worker, report);
    if (nowMs - this.#recentSinceMs > rateSpanMs) {
      this.#recent = 1 - this.#recent;
      this.#recentBatchMs[this.#recent]!.clear();
      this.#recentSinceMs = nowMs;
    }
    for (const makespanMs of report.makespansMs) {
      this.#batchMs.add(makespanMs);
      this.#recentBatchMs[this.#recent]!.add(makespanMs);
    }
    this.#sampleBusy(nowMs, report.busyMs);
    if (report.gauges !== null) this.#gauges.set(worker, report.gauges as WorkerGauges);
    if (nowMs - this.#sampledMs >= sampleMs) this.#sampleRecords(nowMs);
  }

  stopped(worker: WorkerId, gauges: WorkerGauges | null): void {
    if (gauges !== null) this.#gauges.set(worker, gauges);
  }

  /** What it counted still counts; how things stood with it is of no interest any more. */
  lost(worker: WorkerId): void {
    this.#done.delete(worker);
    this.#kept.delete(worker);
    const gauges = this.#gauges.get(worker);
    this.#gauges.delete(worker);
    if (gauges === undefined) return;
    const gone = countsOf(gauges);
    this.#goneGauges = this.#goneGauges === null ? gone : mergeGauges([this.#goneGauges, gone]);
  }

  #allGauges(): readonly WorkerGauges[] {
    const gauges = [...this.#gauges.values()];
    return this.#goneGauges === null ? gauges : [this.#goneGauges, ...gauges];
  }

  traced(trace: DriverTrace): void {
    if (trace.kind === 'group-permitted') this.#groups++;
    if (trace.kind === 'input-held-back') this.#inputHeldBack = trace.holdsBack;
  }

  status(): JobStatus {
    const nowMs = this.#options.nowMs();
    const gauges = mergeGauges(this.#allGauges());
    this.#sampleRecords(nowMs);
    this.#busy = this.#busy.filter(({ atMs }) => nowMs - atMs <= rateSpanMs);
    const busyMs = this.#busy.reduce((sum, { ms }) => sum + ms, 0);
    const recent = this.#recentBatchMs[1 - this.#recent]!;
    const current = recent.count > 0 ? recent : this.#recentBatchMs[this.#recent]!;
    return {
      state: this.#state,
      startMs: this.#runStartMs,
      elapsedMs: nowMs - this.#startMs,
      workers: this.#options.workers,
      mode: this.#options.mode,
      groupSize: this.#groupSize,
      intervalMs: this.#intervalMs,
      batches: this.#batches(),
      groups: this.#groups,
      recordsIn: gauges.recordsIn,
      recordsPerSecond: this.#recordsPerSecond(),
      recordsBad: gauges.recordsBad,
      recordsLate: gauges.recordsLate,
      bytesIn: gauges.bytesIn,
      rowsOut: gauges.rowsOut,
      batchMs: (this.#state === 'finished' ? this.#batchMs : current).percentiles(),
      watermarkMs: gauges.watermarkMs === -Infinity ? null : gauges.watermarkMs,
      lagRecords: gauges.lagRecords,
      lagBytes: gauges.lagBytes,
      lagMs: gauges.lagMs,
      offsets: gauges.offsets.toSorted((a, b) =>
        a.source < b.source ? -1 : a.source > b.source ? 1 : a.partition - b.partition,
      ),
      busy: Math.min(1, busyMs / (rateSpanMs * this.#options.workers)),
      stateBytes: gauges.stateBytes,
      ...this.#keptBytes(),
      inputHeldBack: this.#inputHeldBack,
      rssBytes: this.#options.rssBytes(),
    };
  }

  #keptBytes(): Pick<JobStatus, 'keptBytes' | 'spilledBytes'> {
    let keptBytes = 0;
    let spilledBytes = 0;
    for (const kept of this.#kept.values()) {
      keptBytes += kept.keptBytes;
      spilledBytes += kept.spilledBytes;
    }
    return { keptBytes, spilledBytes };
  }

  #batches(): number {
    let done = Infinity;
    for (const through of this.#done.values()) done = Math.min(done, through);
    return done === Infinity ? 0 : done + 1;
  }

  #sampleBusy(nowMs: number, busyMs: number): void {
    const last = this.#busy.at(-1);
    if (last !== undefined && nowMs - last.atMs < sampleMs) {
      last.ms += busyMs;
      return;
    }
    this.#busy.push({ atMs: nowMs, ms: busyMs });
    while (nowMs - this.#busy[0]!.atMs > rateSpanMs) this.#busy.shift();
  }

  /** Asks the gauges of all workers, so not at every report of one. */
  #sampleRecords(nowMs: number): void {
    this.#sampledMs = nowMs;
    let count = 0;
    for (const { recordsIn } of this.#allGauges()) count += recordsIn;
    const last = this.#records.at(-1);
    if (last !== undefined && last.count === count) return;
    this.#records.push({ atMs: nowMs, count });
    while (this.#records.length > 2 && nowMs - this.#records[0]!.atMs > rateSpanMs) {
      this.#records.shift();
    }
  }

  #recordsPerSecond(): number {
    const first = this.#records[0];
    const last = this.#records.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
    return ((last.count - first.count) / (last.atMs - first.atMs)) * 1000;
  }
}
