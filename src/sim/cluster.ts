// A whole simulated cluster: driver and workers as machines, joined by a network, on a virtual
// clock. Runs a job to its end and gives what became visible and what the run decided.

import { assert, unreachable } from '../base/assert.ts';
import type { StreamErrorData } from '../base/stream-error.ts';
import { Random } from '../base/random.ts';
import { DriverMachine } from '../control/driver/driver-machine.ts';
import type { RecoveryOptions } from '../control/driver/driver-machine.ts';
import type { DriverEffect, DriverEvent } from '../control/driver/events.ts';
import type { Pace } from '../control/driver/planner.ts';
import type { PlanShape } from '../control/driver/placement.ts';
import type { ExecutionMode } from '../plan/execution-mode.ts';
import type { Incarnation, Term, WorkerId } from '../control/protocol/ids.ts';
import type { WorkerMessage } from '../control/protocol/messages.ts';
import { ScheduleChecker } from './checker.ts';
import type { Fault, FaultModel } from './faults.ts';
import type { NetworkModel } from './network.ts';
import { Network } from './network.ts';
import type { SourceModel } from './simulated-source.ts';
import { SimulatedLog } from './simulated-log.ts';
import { SimulatedSinks } from './simulated-sinks.ts';
import { SimulatedSource } from './simulated-source.ts';
import type { CostModel } from './simulated-worker.ts';
import { SimulatedWorker, storeError } from './simulated-worker.ts';
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
  /** What goes wrong; absent: nothing does, and nothing is kept for it. */
  readonly faults?: FaultModel | undefined;
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
  /** The range log at the end, where there is one. */
  readonly log: SimulatedLog;
  readonly rounds: number;
  readonly checkpoints: number;
  readonly crashes: number;
  readonly zombies: number;
};

/** Throws an AssertionError as soon as something is wrong, or when the job does not end. */
export function runCluster(options: ClusterOptions): ClusterRun {
  return new Cluster(options).run();
}

type Member = { readonly worker: WorkerId; readonly shell: SimulatedWorker };

class Cluster {
  readonly #options: ClusterOptions;
  readonly #clock: VirtualClock;
  readonly #network: Network;
  /** What holds only where nothing goes wrong. */
  readonly #checker: ScheduleChecker | null;
  readonly #log = new SimulatedLog();
  readonly #sinks: SimulatedSinks;
  readonly #random: Random;
  readonly #dead = new Set<WorkerId>();
  #rounds = 0;
  #checkpoints = 0;
  #crashes = 0;
  #zombies = 0;
  #groups = 0;
  #cuts = 0;
  readonly #trace: Trace;
  readonly #driver: DriverMachine;
  readonly #workers: Member[] = [];
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
    const { shape, workerCount, mode, partMs, pace, faults } = options;
    this.#sinks = new SimulatedSinks(mode === 'continuous');
    this.#checker = faults === undefined ? new ScheduleChecker() : null;
    const recovery: RecoveryOptions | undefined =
      faults === undefined
        ? undefined
        : { checkpointIntervalMs: faults.checkpointIntervalMs, from: null };
    const job = { shape, workerCount, mode, partMs, pace, term: 1 as Term, recovery };
    this.#driver = new DriverMachine(job);
    this.#network.attach('driver', (from, message) => {
      assert(from !== 'driver', 'the driver does not speak to itself');
      this.#trace.note(`driver < ${from} ${message.kind}`);
      this.#tellDriver({ kind: 'message-received', from, message: message as WorkerMessage });
    });
    this.#random = random.fork();
    for (let id = 1; id <= workerCount; id++) this.#addWorker();
  }

  run(): ClusterRun {
    for (const { afterMs, event } of this.#options.interventions) {
      this.#clock.after(afterMs, () => this.#tellDriver(event));
    }
    for (const fault of this.#options.faults?.faults ?? []) {
      this.#clock.after(fault.afterMs, () => this.#befall(fault));
    }
    for (const worker of this.#workers) this.#clock.after(0, () => this.#join(worker));
    for (let steps = 0; !this.#over(); steps++) {
      assert(steps < stepsMax, `the job has not ended after ${stepsMax} steps`);
      assert(this.#clock.nowMs < startMs + elapsedMsMax, 'the job makes no progress');
      assert(this.#clock.advance(), 'everything waits and nothing will come');
    }
    const outcome = this.#outcome;
    assert(outcome !== null, 'a run that is over has an outcome');
    const elapsedMs = this.#clock.nowMs - startMs;
    if (outcome.kind === 'finished') this.#checker?.finished(outcome.lastBatch, elapsedMs);
    return {
      outcome,
      visible: this.#sinks.visible,
      tasks: this.#tasks,
      trace: this.#trace,
      elapsedMs,
      groups: this.#groups,
      cuts: this.#cuts,
      log: this.#log,
      rounds: this.#rounds,
      checkpoints: this.#checkpoints,
      crashes: this.#crashes,
      zombies: this.#zombies,
    };
  }

  #over(): boolean {
    if (this.#outcome === null) return false;
    return this.#workers.every(({ worker, shell }) => {
      return shell.stopped || shell.crashed || this.#dead.has(worker);
    });
  }

  #join({ worker, shell }: Member): void {
    if (shell.crashed) return;
    this.#tellDriver({ kind: 'worker-joined', worker, incarnation: 1 as Incarnation });
  }

  #addWorker(): Member {
    const { costs, runnerOf, skewMsMax, shape } = this.#options;
    const worker = (this.#workers.length + 1) as WorkerId;
    const random = this.#random.fork();
    const shell = new SimulatedWorker({
      worker,
      clock: this.#clock,
      skewMs: (2 * random.float() - 1) * skewMsMax,
      random,
      costs,
      network: this.#network,
      checker: this.#checker,
      trace: this.#trace,
      runner: runnerOf(worker),
      log: this.#log,
      sinks: this.#sinks,
      isSource: (stage) => shape.stages[stage]?.source === true,
      openSource: ({ stage, partition }, from) => {
        const { recordCount, sources: model } = this.#options;
        const options = { random: random.fork(), model, from };
        return new SimulatedSource({ ...options, recordCount: recordCount(stage, partition) });
      },
      onTask: (task) => this.#tasks.push(task),
      isDead: () => this.#dead.has(worker),
    });
    const member = { worker, shell };
    this.#workers.push(member);
    return member;
  }

  #befall(fault: Fault): void {
    if (this.#outcome !== null) return;
    const alive = this.#workers.filter(({ worker, shell }) => {
      return !shell.crashed && !this.#dead.has(worker);
    });
    const victim = alive[Math.floor(fault.victim * alive.length)];
    if (victim === undefined) return;
    const { worker, shell } = victim;
    const lost = (): void => {
      if (this.#dead.has(worker)) return;
      if (fault.kind === 'pause') this.#zombies++;
      this.#tellDriver({ kind: 'worker-lost', worker, error: lostError });
      // Somebody must be there to finish.
      const left = this.#workers.some((one) => !one.shell.crashed && !this.#dead.has(one.worker));
      if (!left) this.#replace(50);
    };
    switch (fault.kind) {
      case 'crash':
        this.#crashes++;
        shell.crash();
        this.#network.cut(worker);
        this.#clock.after(fault.detectMs, lost);
        return this.#replace(fault.backMs);
      case 'pause':
        shell.pause(fault.forMs);
        if (fault.detectMs !== null) this.#clock.after(fault.detectMs, lost);
        return;
      default:
        unreachable(fault);
    }
  }

  #replace(afterMs: number | null): void {
    if (afterMs === null) return;
    this.#clock.after(afterMs, () => {
      if (this.#outcome === null) this.#join(this.#addWorker());
    });
  }

  #tellDriver(event: DriverEvent): void {
    this.#driver.step(this.#clock.nowMs, event);
    const sent = new Set<object>();
    for (const effect of this.#driver.takeEffects()) {
      if (effect.kind === 'send-message') {
        const first = !sent.has(effect.message);
        if (first && effect.message.kind === 'start-group') this.#groups++;
        if (first && effect.message.kind === 'set-boundary') this.#cuts++;
        this.#checker?.driverSent(effect.message, first);
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
      case 'read-log':
        for (const { worker } of effect.dead) this.#log.close(`w${worker}`);
        if (effect.closesAll) this.#log.closeBefore(effect.version + 1);
        return this.#store(() => {
          const ranges = this.#log.read(effect.after);
          this.#tellDriver({ kind: 'log-read', round: effect.round, ranges });
        });
      case 'log-ranges':
        return this.#store(() => {
          this.#log.add(effect.ranges);
          this.#tellDriver({ kind: 'ranges-logged', round: effect.round });
        });
      case 'commit-checkpoint': {
        const { batch } = effect;
        return this.#store(() => {
          const { storeFailChance } = this.#options.costs;
          if (this.#random.chance(storeFailChance)) {
            return this.#tellDriver({ kind: 'checkpoint-failed', batch, error: storeError });
          }
          this.#checkpoints++;
          this.#tellDriver({ kind: 'checkpoint-committed', batch });
        });
      }
      case 'evict-worker':
        this.#dead.add(effect.worker);
        return;
      case 'trace':
        if (effect.trace.kind === 'recovered') this.#rounds++;
        return this.#trace.note(`driver ${this.#clock.nowMs} ${JSON.stringify(effect.trace)}`);
      case 'job-started':
      case 'report-received':
      case 'worker-stopped':
        return;
      default:
        unreachable(effect);
    }
  }

  #store(action: () => void): void {
    this.#clock.after(this.#random.float() * this.#options.costs.storeMsMax, action);
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

const lostError: StreamErrorData = {
  code: 'worker-lost',
  message: 'a worker was lost',
  hint: null,
  fields: {},
  stack: null,
};

/** Bounds of a run: several times what the slowest scenario needs. */
const stepsMax = 2_000_000;
/**
 * Ten minutes: a bulk-synchronous stage waits for six messages, one after another, each of which
 * may stall, and a source may be quiet again and again. A job that waits for ever is found anyway.
 */
const elapsedMsMax = 600_000;
