// A whole simulated cluster: driver and workers as machines, joined by a network, on a virtual
// clock. Runs a job to its end and gives what became visible and what the run decided.

import { assert, unreachable } from '../base/assert.ts';
import { canonicalJson } from '../base/canonical-json.ts';
import type { StreamErrorData } from '../base/stream-error.ts';
import { Random } from '../base/random.ts';
import { DriverMachine } from '../control/driver/driver-machine.ts';
import type { DriverEffect, DriverEvent } from '../control/driver/events.ts';
import type { Pace } from '../control/driver/planner.ts';
import type { PlanShape } from '../control/driver/placement.ts';
import type { ExecutionMode } from '../plan/execution-mode.ts';
import type { Incarnation, Term, WorkerId } from '../control/protocol/ids.ts';
import type { WorkerMessage } from '../control/protocol/messages.ts';
import { ScheduleChecker } from './checker.ts';
import type { NetworkModel } from './network.ts';
import { Network } from './network.ts';
import type { SourceModel } from './simulated-source.ts';
import { SimulatedSource } from './simulated-source.ts';
import type { CostModel } from './simulated-worker.ts';
import { SimulatedWorker } from './simulated-worker.ts';
import type { Commit, RanTask, TaskRunner } from './task-runner.ts';
import { Trace } from './trace.ts';
import type { Timer } from './virtual-clock.ts';
import { VirtualClock } from './virtual-clock.ts';

export type ClusterOptions = {
  readonly seed: number;
  readonly shape: PlanShape;
  readonly workerCount: number;
  readonly mode: ExecutionMode;
  readonly partMs: number;
  readonly pace: Pace;
  readonly network: NetworkModel;
  readonly costs: CostModel;
  readonly sources: SourceModel;
  readonly skewMsMax: number;
  /** By source stage and partition. */
  readonly recordCount: (stage: number, partition: number) => number;
  readonly runnerOf: (worker: WorkerId) => TaskRunner;
  /** What happens to the driver from outside, by time since the start. */
  readonly interventions: readonly { readonly afterMs: number; readonly event: DriverEvent }[];
  /** Gets the trace line by line, as far as the run comes. */
  readonly onTrace?: ((line: string) => void) | undefined;
};

export type ClusterRun = {
  readonly outcome:
    | { readonly kind: 'finished'; readonly lastBatch: number }
    | { readonly kind: 'failed'; readonly error: StreamErrorData };
  /** In the order in which they became visible. */
  readonly visible: readonly Commit[];
  /** Every task that was run, in order. */
  readonly tasks: readonly RanTask[];
  readonly trace: Trace;
  readonly elapsedMs: number;
  readonly groups: number;
  readonly cuts: number;
};

/** Throws an AssertionError as soon as something is wrong, or when the job does not end. */
export function runCluster(options: ClusterOptions): ClusterRun {
  return new Cluster(options).run();
}

class Cluster {
  readonly #options: ClusterOptions;
  readonly #clock: VirtualClock;
  readonly #network: Network;
  readonly #checker = new ScheduleChecker();
  readonly #trace: Trace;
  readonly #driver: DriverMachine;
  readonly #workers: SimulatedWorker[] = [];
  readonly #sources = new Map<string, SimulatedSource>();
  readonly #visible: Commit[] = [];
  readonly #tasks: RanTask[] = [];
  #outcome: ClusterRun['outcome'] | null = null;
  #timer: Timer | null = null;
  #timerAtMs = Infinity;

  constructor(options: ClusterOptions) {
    this.#options = options;
    const random = new Random(options.seed);
    this.#trace = new Trace(options.onTrace);
    this.#clock = new VirtualClock(random.fork(), startMs);
    this.#network = new Network(this.#clock, random.fork(), options.network);
    const { shape, workerCount, mode, partMs, pace } = options;
    this.#driver = new DriverMachine({ shape, workerCount, mode, partMs, pace, term: 1 as Term });
    this.#network.attach('driver', (from, message) => {
      assert(from !== 'driver', 'the driver does not speak to itself');
      this.#trace.note(`driver < ${from} ${message.kind}`);
      this.#tellDriver({ kind: 'message-received', from, message: message as WorkerMessage });
    });
    this.#makeSources(random.fork());
    for (let id = 1; id <= workerCount; id++) this.#workers.push(this.#worker(id, random.fork()));
  }

  run(): ClusterRun {
    for (const { afterMs, event } of this.#options.interventions) {
      this.#clock.after(afterMs, () => this.#tellDriver(event));
    }
    this.#workers.forEach((_, index) => {
      const event = { worker: (index + 1) as WorkerId, incarnation: 1 as Incarnation };
      this.#clock.after(0, () => this.#tellDriver({ kind: 'worker-joined', ...event }));
    });
    for (let steps = 0; !this.#over(); steps++) {
      assert(steps < stepsMax, `the job has not ended after ${stepsMax} steps`);
      assert(this.#clock.nowMs < startMs + elapsedMsMax, 'the job makes no progress');
      assert(this.#clock.advance(), 'everything waits and nothing will come');
    }
    const outcome = this.#outcome;
    assert(outcome !== null, 'a run that is over has an outcome');
    const elapsedMs = this.#clock.nowMs - startMs;
    if (outcome.kind === 'finished') this.#checker.finished(outcome.lastBatch, elapsedMs);
    return {
      outcome,
      visible: this.#visible,
      tasks: this.#tasks,
      trace: this.#trace,
      elapsedMs,
      groups: this.#checker.groups,
      cuts: this.#checker.cuts,
    };
  }

  #over(): boolean {
    return this.#outcome !== null && this.#workers.every((worker) => worker.stopped);
  }

  #makeSources(random: Random): void {
    const { shape, recordCount, sources: model } = this.#options;
    shape.stages.forEach((stage, id) => {
      if (!stage.source) return;
      for (let partition = 0; partition < stage.partitionCount; partition++) {
        const options = { random: random.fork(), model, recordCount: recordCount(id, partition) };
        this.#sources.set(`${id}/${partition}`, new SimulatedSource(options));
      }
    });
  }

  #worker(id: number, random: Random): SimulatedWorker {
    const { costs, runnerOf, skewMsMax } = this.#options;
    const worker = id as WorkerId;
    return new SimulatedWorker({
      worker,
      clock: this.#clock,
      skewMs: (2 * random.float() - 1) * skewMsMax,
      random,
      costs,
      network: this.#network,
      checker: this.#checker,
      trace: this.#trace,
      runner: runnerOf(worker),
      sourceOf: (stage, partition) => {
        const source = this.#sources.get(`${stage}/${partition}`);
        assert(source !== undefined, `no source ${stage}/${partition}`);
        return source;
      },
      onTask: (task) => this.#tasks.push(task),
      onVisible: (commit) => {
        this.#visible.push(commit);
        const { sink, partition, batch, rows } = commit;
        this.#trace.note(`visible ${sink}/${partition}@${batch} ${canonicalJson(rows)}`);
      },
    });
  }

  #tellDriver(event: DriverEvent): void {
    this.#driver.step(this.#clock.nowMs, event);
    const sent = new Set<object>();
    for (const effect of this.#driver.takeEffects()) {
      if (effect.kind === 'send-message') {
        this.#checker.driverSent(effect.message, !sent.has(effect.message));
        sent.add(effect.message);
      }
      this.#carryOut(effect);
    }
    this.#arm();
  }

  #carryOut(effect: DriverEffect): void {
    switch (effect.kind) {
      case 'send-message':
        return this.#network.send('driver', effect.to, effect.message);
      case 'job-finished':
        return this.#end({ kind: 'finished', lastBatch: effect.lastBatch });
      case 'job-failed':
        return this.#end({ kind: 'failed', error: effect.error });
      case 'trace':
        return this.#trace.note(`driver ${this.#clock.nowMs} ${JSON.stringify(effect.trace)}`);
      case 'job-started':
      case 'report-received':
      case 'worker-stopped':
        return;
      default:
        unreachable(effect);
    }
  }

  #end(outcome: ClusterRun['outcome']): void {
    assert(this.#outcome === null, 'a job ends twice');
    this.#outcome = outcome;
    this.#trace.note(`${outcome.kind}`);
  }

  #arm(): void {
    const deadlineMs = this.#driver.nextDeadlineMs();
    if (this.#timer !== null && deadlineMs === this.#timerAtMs) return;
    if (this.#timer !== null) this.#timer.cancelled = true;
    this.#timer = null;
    this.#timerAtMs = deadlineMs;
    if (deadlineMs === Infinity) return;
    this.#timer = this.#clock.at(Math.max(deadlineMs, this.#clock.nowMs), () => {
      this.#timer = null;
      this.#tellDriver({ kind: 'time-passed' });
    });
  }
}

/** Epoch ms at which every simulation starts; small, so that fractions stay exact enough. */
export const startMs = 1_000_000;

/** Bounds of a run: several times what the slowest scenario needs. */
const stepsMax = 2_000_000;
/**
 * Ten minutes: a bulk-synchronous stage waits for six messages, one after another, each of which
 * may stall, and a source may be quiet again and again. A job that waits for ever is found anyway.
 */
const elapsedMsMax = 600_000;
