// Times the real driver: feeds its machine what that many workers would say in group after group,
// on a virtual clock, and reads the processor time of this thread. No worker is simulated, so that
// 10,000 of them take a second.

import process from 'node:process';
import { assert } from '../../src/base/assert.ts';
import { Random } from '../../src/base/random.ts';
import {
  makespansPerReportMax,
  reportIntervalMs,
  reportsPerSecondMax,
} from '../../src/control/limits.ts';
import type { DriverEffect, DriverEvent } from '../../src/control/driver/events.ts';
import { DriverMachine } from '../../src/control/driver/driver-machine.ts';
import type { PlanShape } from '../../src/control/driver/placement.ts';
import type {
  BatchNumber,
  Incarnation,
  PlacementVersion,
  Term,
  WorkerId,
} from '../../src/control/protocol/ids.ts';
import { noBatch } from '../../src/control/protocol/ids.ts';
import type { StartGroup, WorkerMessage } from '../../src/control/protocol/messages.ts';
import { JobMonitor } from '../../src/observe/job-monitor.ts';

export type DriverStepOptions = {
  readonly shape: PlanShape;
  readonly workers: number;
  readonly groupSize: number;
  readonly intervalMs: number;
  /** Groups that are timed, after a third as many that are not. */
  readonly groups: number;
};

/** All for each worker and group. */
export type DriverSteps = {
  /** Of the machine, µs of a processor. */
  readonly machineUs: number;
  /** The same with the job's monitor, which every report goes to as well. */
  readonly monitoredUs: number;
  readonly orders: number;
  readonly reports: number;
};

type Fed = Pick<DriverSteps, 'orders' | 'reports'> & { readonly us: number };

const term = 1 as Term;
const incarnation = 1 as Incarnation;

/** Without and with a monitor, so that each is timed by itself. */
export function timeDriver(options: DriverStepOptions): DriverSteps {
  const { us, ...messages } = new FedDriver(options, false).run();
  const { us: monitoredUs } = new FedDriver(options, true).run();
  return { machineUs: us, monitoredUs, ...messages };
}

type Phase = { readonly atMs: number; readonly done: BatchNumber; readonly started: BatchNumber };

class FedDriver {
  readonly #options: DriverStepOptions;
  readonly #machine: DriverMachine;
  readonly #monitor: JobMonitor | null;
  /** In the order in which they speak: any but that of their numbers. */
  readonly #workers: readonly WorkerId[];
  readonly #orders: StartGroup[] = [];
  #nowMs = 0;
  #reported: BatchNumber = noBatch;
  sent = 0;
  heard = 0;

  constructor(options: DriverStepOptions, monitored: boolean) {
    this.#options = options;
    const { shape, workers, groupSize, intervalMs } = options;
    const pace = { groupSize, intervalMs, lookAhead: true };
    this.#machine = new DriverMachine({ shape, workerCount: workers, mode: 'drizzle', pace, term });
    const monitor = new JobMonitor({
      workers,
      startMs: 0,
      intervalMs,
      groupSize,
      mode: 'drizzle',
      nowMs: () => this.#nowMs,
      rssBytes: () => 0,
    });
    this.#monitor = monitored ? monitor : null;
    this.#workers = shuffled(workers);
  }

  run(): Fed {
    const { workers, groups } = this.#options;
    this.#start();
    const warmUp = Math.ceil(groups / 3);
    for (let group = 0; group < warmUp; group++) this.#group(this.#orders[group]!);
    const { sent, heard } = this;
    const before = process.threadCpuUsage();
    for (let group = warmUp; group < warmUp + groups; group++) this.#group(this.#orders[group]!);
    const { user, system } = process.threadCpuUsage(before);
    const per = (sum: number): number => sum / (groups * workers);
    return {
      us: per(user + system),
      orders: per(this.sent - sent),
      reports: per(this.heard - heard),
    };
  }

  #start(): void {
    const version = 0 as PlacementVersion;
    for (const worker of this.#workers) {
      this.#step({ kind: 'worker-joined', worker, incarnation, host: worker });
    }
    for (const from of this.#workers) {
      const message = { kind: 'template-installed', term, incarnation, version } as const;
      this.#step({ kind: 'message-received', from, message });
    }
  }

  /** All that workers say from a group's first micro-batch to its last. */
  #group(order: StartGroup): void {
    assert(order !== undefined, 'look-ahead permits a group before the last one ends');
    for (const { atMs, started, done } of this.#phases(order)) {
      this.#nowMs = Math.max(this.#nowMs, atMs);
      // What a worker has to say is as long as the micro-batches since it spoke are many.
      const makespans = Math.min(makespansPerReportMax, done - this.#reported);
      this.#reported = done;
      const message = reportOf(started, done, makespans);
      for (const from of this.#workers) this.#hear(from, message);
      this.#step({ kind: 'time-passed' });
    }
  }

  /** The report at `reportAt`, the one at the end, and those by time between them. */
  #phases({ first, count, intervalMs, anchorMs, reportAt }: StartGroup): readonly Phase[] {
    const at = (batch: number): number => anchorMs + (batch - first) * intervalMs;
    const end = first + count;
    const byTimeMs = Math.max(
      reportIntervalMs,
      (this.#workers.length * 1000) / reportsPerSecondMax,
    );
    const phases: Phase[] = [];
    const upTo = (batch: number): void => {
      const untilMs = at(batch);
      for (let ms = (phases.at(-1)?.atMs ?? at(first)) + byTimeMs; ms < untilMs; ms += byTimeMs) {
        const started = (first + Math.floor((ms - anchorMs) / intervalMs)) as BatchNumber;
        phases.push({ atMs: ms, started, done: (started - 1) as BatchNumber });
      }
    };
    upTo(reportAt);
    phases.push({ atMs: at(reportAt), started: reportAt, done: (reportAt - 1) as BatchNumber });
    upTo(end);
    const last = (end - 1) as BatchNumber;
    phases.push({ atMs: at(end), started: last, done: last });
    return phases;
  }

  #hear(from: WorkerId, message: WorkerMessage): void {
    this.heard++;
    this.#step({ kind: 'message-received', from, message });
  }

  #step(event: DriverEvent): void {
    this.#machine.step(this.#nowMs, event);
    for (const effect of this.#machine.takeEffects()) this.#carryOut(effect);
  }

  #carryOut(effect: DriverEffect): void {
    if (effect.kind === 'send-message') this.#onSent(effect.message);
    else if (effect.kind === 'report-received') {
      this.#monitor?.reported(effect.worker, effect.report);
    } else assert(effect.kind !== 'job-failed', 'the job goes on');
  }

  #onSent(message: Extract<DriverEffect, { kind: 'send-message' }>['message']): void {
    if (message.kind !== 'start-group') return;
    this.sent++;
    if (this.#orders.at(-1) !== message) this.#orders.push(message);
  }
}

function reportOf(started: BatchNumber, done: BatchNumber, makespans: number): WorkerMessage {
  const report = {
    version: 0 as PlacementVersion,
    startedThrough: started,
    doneThrough: done,
    ended: [],
    makespansMs: Array.from({ length: makespans }, () => 1.5),
    busyMs: 4.5,
    tasksRun: 20,
    queued: 0,
    keptBytes: 0,
    spilledBytes: 0,
    pressure: 'none' as const,
    gauges: null,
  };
  return { kind: 'report', term, incarnation, report };
}

function shuffled(count: number): readonly WorkerId[] {
  const random = new Random(1);
  const workers = Array.from({ length: count }, (_, index) => index as WorkerId);
  for (let index = count - 1; index > 0; index--) {
    const other = random.integer(0, index);
    [workers[index], workers[other]] = [workers[other]!, workers[index]!];
  }
  return workers;
}
