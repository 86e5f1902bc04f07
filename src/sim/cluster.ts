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
import type { Place, WorkerMessage } from '../control/protocol/messages.ts';
import { ScheduleChecker } from './checker.ts';
import type { FaultHost, Member } from './fault-injector.ts';
import { FaultInjector } from './fault-injector.ts';
import type { FaultModel, Moment } from './faults.ts';
import type { Endpoint, NetworkModel } from './network.ts';
import { Network } from './network.ts';
import { RecoveryChecker } from './recovery-checker.ts';
import type { SourceModel } from './simulated-source.ts';
import { SimulatedLog } from './simulated-log.ts';
import { SimulatedSinks } from './simulated-sinks.ts';
import { SimulatedSource } from './simulated-source.ts';
import type { CostModel } from './simulated-worker.ts';
import { SimulatedWorker, storeError } from './simulated-worker.ts';
import { StoreConditions } from './store-conditions.ts';
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
  /** Output that came out otherwise the second time: only where late rows explain it. */
  readonly differences: readonly string[];
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
  /** Faults that happened, by kind. */
  readonly faults: ReadonlyMap<string, number>;
};

/** Throws an AssertionError as soon as something is wrong, or when the job does not end. */
export function runCluster(options: ClusterOptions): ClusterRun {
  return new Cluster(options).run();
}

class Cluster {
  readonly #options: ClusterOptions;
  readonly #clock: VirtualClock;
  readonly #network: Network;
  /** What holds only where nothing goes wrong. */
  readonly #checker: ScheduleChecker | null;
  readonly #recoveryChecker: RecoveryChecker | null;
  readonly #injector: FaultInjector;
  readonly #stores: StoreConditions;
  readonly #endpoint: Endpoint;
  readonly #log = new SimulatedLog();
  readonly #sinks: SimulatedSinks;
  readonly #random: Random;
  #rounds = 0;
  #checkpoints = 0;
  #groups = 0;
  #cuts = 0;
  readonly #trace: Trace;
  readonly #driver: DriverMachine;
  /** Every life of every worker, in the order in which they came. */
  readonly #workers: Member[] = [];
  /** While the driver stands still, what it will hear. */
  #backlog: DriverEvent[] | null = null;
  #workerCount = 0;
  readonly #sourcePlaces: readonly Place[];
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
    this.#recoveryChecker =
      faults === undefined ? null : new RecoveryChecker(faults.checkpointIntervalMs);
    this.#stores = new StoreConditions(this.#clock, options.costs);
    this.#sourcePlaces = shape.stages.flatMap(({ source, partitionCount }, stage) =>
      Array.from({ length: source ? partitionCount : 0 }, (_, partition) => {
        return { stage, partition };
      }),
    );
    const recovery: RecoveryOptions | undefined =
      faults === undefined
        ? undefined
        : { checkpointIntervalMs: faults.checkpointIntervalMs, from: null };
    const job = { shape, workerCount, mode, partMs, pace, term: 1 as Term, recovery };
    this.#driver = new DriverMachine(job);
    this.#endpoint = this.#network.attach('driver', (from, message) => {
      assert(from !== 'driver', 'the driver does not speak to itself');
      if (this.#trace.wanted) this.#trace.note(`driver < ${from} ${message.kind}`);
      this.#tellDriver({ kind: 'message-received', from, message: message as WorkerMessage });
    });
    this.#random = random.fork();
    for (let id = 1; id <= workerCount; id++) this.#addWorker(null);
    this.#injector = new FaultInjector(this.#faultHost(), faults?.faults ?? []);
  }

  #faultHost(): FaultHost {
    return {
      clock: this.#clock,
      network: this.#network,
      stores: this.#stores,
      driver: this.#endpoint,
      skewMsMax: this.#options.skewMsMax,
      living: () => this.#living(),
      ended: () => this.#outcome !== null,
      add: (worker) => {
        if (this.#outcome === null) this.#join(this.#addWorker(worker));
      },
      ensureEnough: () => this.#ensureEnough(),
      tellDriver: (event) => this.#tellDriver(event),
      stallDriver: (forMs) => this.#stallDriver(forMs),
    };
  }

  run(): ClusterRun {
    for (const { afterMs, event } of this.#options.interventions) {
      this.#clock.after(afterMs, () => this.#tellDriver(event));
    }
    this.#injector.start();
    const joinMsMax = this.#options.faults?.joinMsMax ?? 0;
    for (const worker of this.#workers) {
      this.#clock.after(this.#random.float() * joinMsMax, () => this.#join(worker));
    }
    for (let steps = 0; !this.#over(); steps++) {
      assert(steps < stepsMax, `the job has not ended after ${stepsMax} steps`);
      const boundMs = this.#injector.overMs + endsWithinMs;
      assert(this.#clock.nowMs < boundMs, 'the job makes no progress');
      assert(this.#clock.advance(), 'everything waits and nothing will come');
    }
    const outcome = this.#outcome;
    assert(outcome !== null, 'a run that is over has an outcome');
    const elapsedMs = this.#clock.nowMs - startMs;
    if (outcome.kind === 'finished') this.#checker?.finished(outcome.lastBatch, elapsedMs);
    return {
      outcome,
      visible: this.#sinks.visible,
      differences: this.#sinks.differences,
      tasks: this.#tasks,
      trace: this.#trace,
      elapsedMs,
      groups: this.#groups,
      cuts: this.#cuts,
      log: this.#log,
      rounds: this.#rounds,
      checkpoints: this.#checkpoints,
      faults: this.#injector.counts,
    };
  }

  #over(): boolean {
    if (this.#outcome === null) return false;
    return this.#workers.every(({ shell, lost }) => shell.stopped || shell.crashed || lost);
  }

  #living(): readonly Member[] {
    return this.#workers.filter(({ joined, lost, shell }) => joined && !lost && !shell.crashed);
  }

  /** A job that waits for workers gets some. */
  #ensureEnough(): void {
    const enough = this.#driver.state !== 'gathering' && this.#living().length > 0;
    if (enough || this.#outcome !== null) return;
    this.#clock.after(rescueMs, () => {
      if (this.#outcome === null) this.#join(this.#addWorker(null));
    });
  }

  #join(member: Member): void {
    const { worker, incarnation } = member;
    member.joined = true;
    this.#tellDriver({ kind: 'worker-joined', worker, incarnation });
  }

  /** A new worker, or the next life of one that was there before. */
  #addWorker(again: WorkerId | null): Member {
    const { costs, mode, runnerOf, skewMsMax, shape } = this.#options;
    const worker = again ?? (++this.#workerCount as WorkerId);
    const lives = this.#workers.filter((member) => member.worker === worker).length;
    const incarnation = (lives + 1) as Incarnation;
    const random = this.#random.fork();
    const onMoment = (moment: Moment): void => this.#injector.onMoment(moment, member);
    const shell = new SimulatedWorker({
      worker,
      incarnation,
      clock: this.#clock,
      skewMs: (2 * random.float() - 1) * skewMsMax,
      random,
      costs,
      stores: this.#stores,
      network: this.#network,
      checker: this.#checker,
      lifeChecker: this.#recoveryChecker?.lifeOf(worker) ?? null,
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
      isDead: () => member.declaredDead,
      onVisible: ({ sink, partition, batch }) => {
        this.#checkDurable(batch, `${sink}/${partition}@${batch} is visible`);
      },
      onBlocks: ({ exchange, batch }) => {
        const { from } = shape.exchanges[exchange]!;
        // Whoever gets blocks of an inner stage does not see the ranges behind them.
        if (mode !== 'drizzle' || shape.stages[from]!.source) return;
        this.#checkDurable(batch, `x${exchange}@${batch} is sent`);
      },
      onMoment,
    });
    const fate = { joined: false, lost: false, declaredDead: false, returned: false };
    const member: Member = { worker, incarnation, shell, ...fate };
    this.#workers.push(member);
    return member;
  }

  /** What can be seen must never have to be taken back. */
  #checkDurable(batch: number, what: string): void {
    if (this.#recoveryChecker === null) return;
    for (const { stage, partition } of this.#sourcePlaces) {
      const through = this.#log.durableThrough(stage, partition);
      assert(through >= batch, `${what} before the ranges behind it are durable`);
    }
  }

  #stallDriver(forMs: number): void {
    if (this.#backlog !== null) return;
    this.#backlog = [];
    this.#clock.after(forMs, () => {
      const backlog = this.#backlog ?? [];
      this.#backlog = null;
      // After a stall a timer may go off before what has come meanwhile is read.
      if (this.#random.chance(0.5)) this.#tellDriver({ kind: 'time-passed' });
      for (const event of backlog) this.#tellDriver(event);
    });
  }

  #tellDriver(event: DriverEvent): void {
    if (this.#backlog !== null) {
      this.#backlog.push(event);
      return;
    }
    if (event.kind === 'worker-joined') {
      const life = this.#lifeOf(event.worker, event.incarnation);
      if (life !== undefined) this.#network.announce(life.shell.endpoint);
    }
    this.#driver.step(this.#clock.nowMs, event);
    const sent = new Set<object>();
    let recovers = false;
    for (const effect of this.#driver.takeEffects()) {
      if (effect.kind === 'send-message') {
        const first = !sent.has(effect.message);
        if (first && effect.message.kind === 'start-group') this.#groups++;
        if (first && effect.message.kind === 'set-boundary') this.#cuts++;
        this.#checker?.driverSent(effect.message, first);
        if (first) this.#recoveryChecker?.driverSent(this.#clock.nowMs, effect.message);
        recovers ||= effect.message.kind === 'recover';
        sent.add(effect.message);
      }
      this.#carryOut(effect);
    }
    if (recovers) this.#injector.onMoment('recover-sent', null);
    this.#arm();
  }

  #carryOut(effect: DriverEffect): void {
    switch (effect.kind) {
      case 'send-message':
        return this.#network.send(this.#endpoint, effect.to, effect.message);
      case 'job-finished':
        return this.#end({ kind: 'finished', lastBatch: effect.lastBatch });
      case 'job-failed':
        return this.#end({ kind: 'failed', error: effect.error });
      case 'read-log':
        for (const { worker, incarnation } of effect.dead) {
          const life = this.#lifeOf(worker, incarnation);
          if (life !== undefined) this.#log.close(life.shell.name);
        }
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
        this.#recoveryChecker?.checkpointOrdered(effect, (owner, place) => {
          const members = this.#living().filter(({ worker }) => worker === owner);
          return members.some(({ shell }) => shell.hasUncommitted(place, batch));
        });
        this.#injector.onMoment('checkpoint-ordered', null);
        this.#clock.after(this.#stores.callMs(this.#random), () => {
          if (this.#stores.fails(this.#random)) {
            return this.#tellDriver({ kind: 'checkpoint-failed', batch, error: storeError });
          }
          this.#checkpoints++;
          this.#log.coverThrough(batch);
          this.#injector.onMoment('checkpoint-durable', null);
          this.#tellDriver({ kind: 'checkpoint-committed', batch });
        });
        return;
      }
      case 'evict-worker': {
        const life = this.#lifeOf(effect.worker, effect.incarnation);
        assert(life !== undefined, `worker ${effect.worker} is evicted and was never there`);
        life.lost = true;
        life.declaredDead = true;
        return this.#ensureEnough();
      }
      case 'trace':
        if (effect.trace.kind === 'recovered') this.#rounds++;
        this.#recoveryChecker?.driverTraced(effect.trace);
        if (!this.#trace.wanted) return;
        return this.#trace.note(`driver ${this.#clock.nowMs} ${JSON.stringify(effect.trace)}`);
      case 'job-started':
      case 'report-received':
      case 'worker-stopped':
        return;
      default:
        unreachable(effect);
    }
  }

  #lifeOf(worker: WorkerId, incarnation: Incarnation): Member | undefined {
    return this.#workers.find((member) => {
      return member.worker === worker && member.incarnation === incarnation;
    });
  }

  /** Until it has succeeded. */
  #store(action: () => void): void {
    this.#clock.after(this.#stores.successMs(this.#random), action);
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
const endsWithinMs = 600_000;

/** A job that waits for workers gets one after this time, ms. */
const rescueMs = 50;
