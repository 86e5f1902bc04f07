// Runs the driver machine in the real world: timers, messages, and the promise of the job's end.

import { StreamError, errorFromData } from '../../base/stream-error.ts';
import type { DriverEffect, DriverEvent } from '../../control/driver/events.ts';
import { DriverMachine } from '../../control/driver/driver-machine.ts';
import type { DriverOptions } from '../../control/driver/driver-machine.ts';
import type { Pace } from '../../control/driver/planner.ts';
import type { BatchNumber, WorkerId } from '../../control/protocol/ids.ts';
import type { DriverMessage } from '../../control/protocol/messages.ts';
import type { JobMonitor } from '../../observe/job-monitor.ts';
import type { WorkerGauges } from '../../observe/gauges.ts';
import type { RunClock } from './run-clock.ts';
import { driverTraces } from './traces.ts';
import type { DriverShellTrace } from './traces.ts';

export type DriverShellOptions = {
  readonly driver: DriverOptions;
  readonly clock: RunClock;
  readonly monitor: JobMonitor;
  readonly send: (to: WorkerId, message: DriverMessage) => void;
};

export class DriverShell {
  readonly #options: DriverShellOptions;
  readonly #machine: DriverMachine;
  readonly #ended = Promise.withResolvers<BatchNumber>();
  #timer: NodeJS.Timeout | null = null;
  #stepping = false;

  constructor(options: DriverShellOptions) {
    this.#options = options;
    this.#machine = new DriverMachine(options.driver);
  }

  /** Resolves with the last micro-batch when the job is done; rejects when it failed. */
  get ended(): Promise<BatchNumber> {
    return this.#ended.promise;
  }

  get pace(): Pace {
    return this.#machine.pace;
  }

  get state(): DriverMachine['state'] {
    return this.#machine.state;
  }

  /** An error outside the machine's world: a thread that died, a sink that could not open. */
  fail(error: unknown): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#ended.reject(error);
  }

  step(event: DriverEvent): void {
    const atMs = this.#options.clock.nowMs();
    if (driverTraces.hasSubscribers)
      driverTraces.publish({ atMs, event } satisfies DriverShellTrace);
    this.#machine.step(atMs, event);
    if (this.#stepping) return;
    this.#stepping = true;
    for (;;) {
      const effects = this.#machine.takeEffects();
      if (effects.length === 0) break;
      for (const effect of effects) this.#carryOut(effect);
    }
    this.#stepping = false;
    this.#arm();
  }

  #carryOut(effect: DriverEffect): void {
    const { monitor, clock } = this.#options;
    if (driverTraces.hasSubscribers) {
      driverTraces.publish({ atMs: clock.nowMs(), effect } satisfies DriverShellTrace);
    }
    switch (effect.kind) {
      case 'send-message':
        this.#options.send(effect.to, effect.message);
        break;
      case 'job-started':
        monitor.started();
        break;
      case 'report-received':
        monitor.reported(effect.worker, effect.report);
        break;
      case 'worker-stopped':
        monitor.stopped(effect.worker, effect.gauges as WorkerGauges);
        break;
      case 'job-finished':
        this.#ended.resolve(effect.lastBatch);
        break;
      case 'job-failed': {
        const error = errorFromData(effect.error);
        const where =
          effect.task === null
            ? { worker: effect.worker }
            : { worker: effect.worker, ...effect.task };
        this.#ended.reject(
          new StreamError({
            code: error.code,
            message: error.message,
            fields: { ...error.fields, ...where },
            cause: error,
            ...(error.hint === undefined ? {} : { hint: error.hint }),
          }),
        );
        break;
      }
      case 'trace':
        monitor.traced(effect.trace);
        break;
    }
  }

  #arm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const deadline = this.#machine.nextDeadlineMs();
    if (deadline === Infinity) return;
    const delayMs = Math.max(0, deadline - this.#options.clock.nowMs());
    this.#timer = setTimeout(() => this.step({ kind: 'time-passed' }), delayMs);
  }
}
