// Runs the driver machine in the real world: timers, messages, and the promise of the job's end.

import { assert, unreachable } from '../../base/assert.ts';
import { StreamError, errorFromData, errorToData } from '../../base/stream-error.ts';
import type { DriverEffect, DriverEvent, JobEnd } from '../../control/driver/events.ts';
import { DriverMachine } from '../../control/driver/driver-machine.ts';
import type { DriverOptions } from '../../control/driver/driver-machine.ts';
import type { Pace } from '../../control/driver/planner.ts';
import type { BatchNumber, WorkerId } from '../../control/protocol/ids.ts';
import type { DriverMessage } from '../../control/protocol/messages.ts';
import type { CheckpointManifest } from '../../control/protocol/checkpoint-manifest.ts';
import type { JobMonitor } from '../../observe/job-monitor.ts';
import type { WorkerGauges } from '../../observe/gauges.ts';
import type { DriverStorage } from './driver-storage.ts';
import type { RunClock } from './run-clock.ts';
import { driverTraces } from './traces.ts';
import type { DriverShellTrace } from './traces.ts';

export type DriverShellOptions = {
  readonly driver: DriverOptions;
  readonly clock: RunClock;
  readonly monitor: JobMonitor;
  readonly send: (to: WorkerId, message: DriverMessage) => void;
  /** Null: the run keeps nothing, and the loss of a worker ends it. */
  readonly storage: DriverStorage | null;
  /** Nobody listens to the worker any more; it is to be ended. */
  readonly onEvicted: (worker: WorkerId, error: StreamError) => void;
};

/** Losses within this time, ms, of which more than so many a worker, and in all, end the job. */
const lossWindowMs = 60_000;
const lossesPerWorkerMax = 4;
const lossesMax = 64;

export class DriverShell {
  readonly #options: DriverShellOptions;
  readonly #machine: DriverMachine;
  readonly #ended = Promise.withResolvers<JobEnd>();
  /** Those that were asked for and are not there yet, by id. */
  readonly #savepoints = new Map<number, PromiseWithResolvers<CheckpointManifest>>();
  #savepointIds = 0;
  #timer: NodeJS.Timeout | null = null;
  #stepping = false;
  #lossesMs: number[] = [];

  constructor(options: DriverShellOptions) {
    this.#options = options;
    this.#machine = new DriverMachine(options.driver);
    const dropSavepoints = (): void => {
      for (const { reject } of this.#savepoints.values()) reject(notMade());
      this.#savepoints.clear();
    };
    this.#ended.promise.then(dropSavepoints, dropSavepoints);
  }

  /** Resolves when the job is done; rejects when it failed. */
  get ended(): Promise<JobEnd> {
    return this.#ended.promise;
  }

  /** The number of the newest checkpoint that this run has made; null: none yet. */
  get lastCheckpoint(): number | null {
    return this.#options.storage?.last?.sequence ?? null;
  }

  /** Ends the job behind what is permitted. A savepoint of it: see `savepoint`. */
  stop({ drain, savepoint }: { readonly drain: boolean; readonly savepoint: string | null }): void {
    const wanted = savepoint === null ? null : this.#newSavepoint(savepoint);
    this.step({ kind: 'stop-requested', drain, savepoint: wanted });
  }

  /** Resolves when it is durable; rejects when it could not be made. */
  savepoint(name: string): Promise<CheckpointManifest> {
    const savepoint = this.#newSavepoint(name);
    const { promise } = this.#savepoints.get(savepoint.id)!;
    this.step({ kind: 'savepoint-requested', savepoint });
    return promise;
  }

  #newSavepoint(name: string): { readonly id: number; readonly name: string } {
    const id = this.#savepointIds++;
    const made = Promise.withResolvers<CheckpointManifest>();
    // Who does not wait for it hears of it by the end of the run.
    made.promise.catch(() => {});
    this.#savepoints.set(id, made);
    return { id, name };
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
        this.#ended.resolve(effect);
        break;
      case 'savepoint-made':
        this.#savepoints.get(effect.id)?.resolve(this.#storage().last!);
        this.#savepoints.delete(effect.id);
        break;
      case 'savepoint-failed':
        this.#savepoints.get(effect.id)?.reject(errorFromData(effect.error));
        this.#savepoints.delete(effect.id);
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
      case 'read-log': {
        const { round } = effect;
        this.#whenDone(this.#storage().readLog(effect), (ranges) => {
          this.step({ kind: 'log-read', round, ranges });
        });
        break;
      }
      case 'log-ranges': {
        const { round } = effect;
        this.#whenDone(this.#storage().logRanges(effect.ranges), () => {
          this.step({ kind: 'ranges-logged', round });
        });
        break;
      }
      case 'journal-placement': {
        const { round } = effect;
        this.#whenDone(this.#storage().journalPlacement(effect), () => {
          this.step({ kind: 'placement-journaled', round });
        });
        break;
      }
      case 'journal-drain': {
        const { batch } = effect;
        this.#whenDone(this.#storage().journalDrain(batch), () => {
          this.step({ kind: 'drain-journaled', batch });
        });
        break;
      }
      case 'commit-checkpoint': {
        const { batch } = effect;
        this.#storage()
          .commit(effect)
          .then(
            () => this.step({ kind: 'checkpoint-committed', batch }),
            (error: unknown) => this.#onCheckpointFailed(batch, error),
          );
        break;
      }
      case 'evict-worker':
        this.#onLoss(errorFromData(effect.error));
        monitor.lost(effect.worker);
        this.#options.onEvicted(effect.worker, errorFromData(effect.error));
        break;
      case 'trace':
        monitor.traced(effect.trace);
        break;
      default:
        unreachable(effect);
    }
  }

  /** Without the log nothing can be recovered: what it fails with ends the job. */
  #whenDone<T>(promise: Promise<T>, then: (value: T) => void): void {
    promise.then(then, (error: unknown) => this.fail(error));
  }

  #onCheckpointFailed(batch: BatchNumber, error: unknown): void {
    // Another driver has taken over: whatever this one still does must end.
    if (error instanceof StreamError && error.code === 'fenced') return this.fail(error);
    this.step({ kind: 'checkpoint-failed', batch, error: errorToData(error) });
  }

  /** A job that loses workers again and again has a cause that recovery does not cure. */
  #onLoss(error: StreamError): void {
    const nowMs = this.#options.clock.nowMs();
    this.#lossesMs = this.#lossesMs.filter((lostMs) => nowMs - lostMs < lossWindowMs);
    this.#lossesMs.push(nowMs);
    const { workerCount } = this.#options.driver;
    if (this.#lossesMs.length <= Math.max(lossesMax, lossesPerWorkerMax * workerCount)) return;
    this.fail(
      new StreamError({
        code: 'workers-lost-again',
        message: `lost ${this.#lossesMs.length} workers in a minute; the last: ${error.message}`,
        hint: error.hint ?? 'look for the cause in the output of the workers',
        fields: error.fields,
        cause: error,
      }),
    );
  }

  #storage(): DriverStorage {
    const { storage } = this.#options;
    assert(storage !== null, 'only a durable run recovers');
    return storage;
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

function notMade(): StreamError {
  return new StreamError({
    code: 'job-ending',
    message: 'could not make a savepoint: the job has ended',
    hint: '`mizzle checkpoints list` shows what it has kept',
  });
}
