// A whole simulated cluster: driver and workers as machines, joined by a network, on a virtual
// clock. Runs a job to its end and gives what became visible and what the run decided. A run that
// was suspended is followed by another one, with other workers, that goes on in the same stores.

import { assert, unreachable } from '../base/assert.ts';
import type { StreamErrorData } from '../base/stream-error.ts';
import { Random } from '../base/random.ts';
import type { RecoveryOptions } from '../control/driver/driver-machine.ts';
import type { DriverEffect, DriverEvent, JobEnd } from '../control/driver/events.ts';
import type { Pace } from '../control/driver/planner.ts';
import type { PlanShape } from '../control/driver/placement.ts';
import type { Checkpoint } from '../control/driver/recovery-round.ts';
import { noCheckpoint } from '../control/driver/recovery-round.ts';
import type { ExecutionMode } from '../plan/execution-mode.ts';
import type {
  BatchNumber,
  Incarnation,
  PlacementVersion,
  Term,
  WorkerId,
} from '../control/protocol/ids.ts';
import { noBatch } from '../control/protocol/ids.ts';
import type {
  DriverMessage,
  KnownRanges,
  Place,
  WorkerLife,
} from '../control/protocol/messages.ts';
import { ScheduleChecker } from './checker.ts';
import { lostError } from './fault-injector.ts';
import type { FaultHost, Member } from './fault-injector.ts';
import { FaultInjector } from './fault-injector.ts';
import type { Fault, FaultModel, Moment } from './faults.ts';
import type { NetworkModel } from './network.ts';
import { Network } from './network.ts';
import { RecoveryChecker } from './recovery-checker.ts';
import type { SourceModel } from './simulated-source.ts';
import { SimulatedDriver } from './simulated-driver.ts';
import { SimulatedCommits } from './simulated-commits.ts';
import { SimulatedLog } from './simulated-log.ts';
import { SimulatedLogWriter } from './simulated-log-writer.ts';
import { SimulatedSinks } from './simulated-sinks.ts';
import { SimulatedSources } from './simulated-sources.ts';
import { SimulatedSpill } from './simulated-spill.ts';
import type { CostModel } from './simulated-worker.ts';
import { SimulatedWorker, storeError } from './simulated-worker.ts';
import { StoreConditions } from './store-conditions.ts';
import type { Commit, RanTask, TaskRunner } from './task-runner.ts';
import { Trace } from './trace.ts';
import { VirtualClock } from './virtual-clock.ts';
import type { ClusterWorld, WorkerHost, WorkerIo, WorkerLog } from './worker-io.ts';

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
  readonly interventions: readonly Intervention[];
  /** The same for runs that go on with one that was suspended; absent: nothing. */
  readonly laterInterventions?: readonly Intervention[] | undefined;
  /** What is read and written; absent: the simulator's own. */
  readonly world?: ClusterWorld | undefined;
  /** Gets the trace line by line, as far as the run comes. */
  readonly onTrace?: ((line: string) => void) | undefined;
};

export type Intervention = { readonly afterMs: number; readonly event: DriverEvent };

export type ClusterRun = {
  readonly outcome:
    | ({ readonly kind: 'finished' } & JobEnd)
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
  /** Savepoints among them. */
  readonly savepoints: number;
  /** One, and one more for each time that the job was suspended. */
  readonly runs: number;
  /** Faults that happened, by kind. */
  readonly faults: ReadonlyMap<string, number>;
};

/** Throws an AssertionError as soon as something is wrong, or when the job does not end. */
export function runCluster(options: ClusterOptions): ClusterRun {
  const steps = clusterSteps(options);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same, event by event: in between promises may settle. */
export function* clusterSteps(options: ClusterOptions): Generator<void, ClusterRun> {
  let cluster = new Cluster(options, newStores(options));
  let run = yield* cluster.run();
  for (let runs = 1; options.faults !== undefined && isSuspended(run); runs++) {
    // What it asks of the first run is asked once; what goes wrong may go wrong again.
    const interventions = options.laterInterventions ?? [];
    const again = { ...options, seed: options.seed + runs, interventions };
    cluster = new Cluster(again, cluster.leaves(run));
    run = together(run, yield* cluster.run());
  }
  return run;
}

function isSuspended({ outcome }: ClusterRun): boolean {
  return outcome.kind === 'finished' && !outcome.drained;
}

/** What outlives a run. */
type Stores = {
  /** Of the first driver that finds it. */
  readonly term: Term;
  readonly log: SimulatedLog;
  readonly sinks: SimulatedSinks;
  readonly trace: Trace;
  readonly beganMs: number;
  readonly latest: Checkpoint;
  readonly published: PlacementVersion;
  readonly drainAt: BatchNumber;
  /** The run before this one; null: there is none. */
  readonly suspended: ClusterRun | null;
};

function newStores({ mode, onTrace, world }: ClusterOptions): Stores {
  return {
    term: 1 as Term,
    log: new SimulatedLog(),
    sinks: new SimulatedSinks(mode === 'continuous'),
    trace: new Trace(onTrace),
    beganMs: world?.clock.nowMs ?? startMs,
    latest: noCheckpoint,
    published: -1 as PlacementVersion,
    drainAt: noBatch,
    suspended: null,
  };
}

function together(before: ClusterRun, after: ClusterRun): ClusterRun {
  const faults = new Map(before.faults);
  for (const [kind, count] of after.faults) faults.set(kind, (faults.get(kind) ?? 0) + count);
  return {
    ...after,
    tasks: [...before.tasks, ...after.tasks],
    elapsedMs: before.elapsedMs + after.elapsedMs,
    groups: before.groups + after.groups,
    cuts: before.cuts + after.cuts,
    rounds: before.rounds + after.rounds,
    checkpoints: before.checkpoints + after.checkpoints,
    savepoints: before.savepoints + after.savepoints,
    runs: before.runs + after.runs,
    faults,
  };
}

class Cluster {
  readonly #options: ClusterOptions;
  readonly #kept: Stores;
  readonly #clock: VirtualClock;
  readonly #network: Network;
  /** What holds only where nothing goes wrong. */
  readonly #checker: ScheduleChecker | null;
  readonly #recoveryChecker: RecoveryChecker | null;
  readonly #injector: FaultInjector;
  readonly #stores: StoreConditions;
  readonly #log: SimulatedLog;
  readonly #sinks: SimulatedSinks;
  readonly #random: Random;
  readonly #spillRandom: Random;
  #rounds = 0;
  #checkpoints = 0;
  #savepoints = 0;
  #groups = 0;
  #cuts = 0;
  readonly #trace: Trace;
  /** The one in charge; the one before it may not know yet that it is not. */
  #driver: SimulatedDriver;
  readonly #succession = new Succession();
  /** Drivers that have read the log. */
  readonly #hasRead = new Set<SimulatedDriver>();
  /** What a driver that begins now finds. */
  #latest: Checkpoint;
  #published: PlacementVersion;
  #drainAt: BatchNumber;
  /** Every life of every worker, in the order in which they came. */
  readonly #workers: Member[] = [];
  #workerCount = 0;
  readonly #sourcePlaces: readonly Place[];
  readonly #tasks: {
    readonly task: Omit<RanTask, 'zombie'>;
    readonly by: Member;
    readonly atMs: number;
  }[] = [];
  #outcome: ClusterRun['outcome'] | null = null;

  constructor(options: ClusterOptions, kept: Stores) {
    this.#options = options;
    this.#kept = kept;
    this.#latest = kept.latest;
    this.#published = kept.published;
    this.#drainAt = kept.drainAt;
    const random = new Random(options.seed);
    this.#trace = kept.trace;
    this.#log = kept.log;
    this.#sinks = kept.sinks;
    this.#log.reopen();
    this.#sinks.reopen();
    const clock = new VirtualClock(random.fork(), kept.beganMs);
    this.#clock = options.world?.clock ?? clock;
    this.#network = new Network(this.#clock, random.fork(), options.network);
    const { shape, workerCount, faults } = options;
    this.#checker = faults === undefined ? new ScheduleChecker() : null;
    this.#recoveryChecker =
      faults === undefined ? null : new RecoveryChecker(faults, kept.latest.batch);
    this.#stores = new StoreConditions(this.#clock, options.costs);
    this.#sourcePlaces = shape.stages.flatMap(({ source, partitionCount }, stage) =>
      Array.from({ length: source ? partitionCount : 0 }, (_, partition) => {
        return { stage, partition };
      }),
    );
    this.#random = random.fork();
    // By itself: what older seeds draw stays the same.
    this.#spillRandom = new Random(options.seed + 1);
    this.#driver = this.#newDriver(kept.term, kept.suspended === null ? null : kept.latest);
    for (let id = 1; id <= workerCount; id++) this.#addWorker(null);
    this.#injector = new FaultInjector(this.#faultHost(), faults?.faults ?? []);
  }

  #faultHost(): FaultHost {
    return {
      clock: this.#clock,
      network: this.#network,
      stores: this.#stores,
      driver: () => this.#driver.endpoint,
      skewMsMax: this.#options.skewMsMax,
      living: () => this.#living(),
      ended: () => this.#outcome !== null,
      add: (worker) => {
        if (this.#outcome === null) this.#join(this.#addWorker(worker));
      },
      ensureEnough: () => this.#ensureEnough(),
      tellDriver: (event) => this.#tellDriver(event),
      stallDriver: (forMs) => this.#driver.stall(forMs),
      loseDriver: (loss) => this.#loseDriver(loss),
    };
  }

  *run(): Generator<void, ClusterRun> {
    this.#prepare(() => this.#start());
    for (let steps = 0; !this.#over(); steps++) {
      assert(steps < stepsMax, `the job has not ended after ${stepsMax} steps`);
      const boundMs = this.#injector.overMs + endsWithinMs;
      assert(this.#clock.nowMs < boundMs, 'the job makes no progress');
      assert(this.#clock.advance(), 'everything waits and nothing will come');
      yield;
    }
    if (this.#options.world !== undefined) this.#silence();
    const outcome = this.#outcome;
    assert(outcome !== null, 'a run that is over has an outcome');
    const elapsedMs = this.#clock.nowMs - this.#kept.beganMs;
    if (outcome.kind === 'finished') {
      this.#checker?.finished(outcome.lastBatch, elapsedMs);
      this.#checkSuspended(outcome);
    }
    return {
      outcome,
      visible: this.#sinks.visible,
      differences: this.#sinks.differences,
      tasks: this.#tasks.map(({ task, by, atMs }) => ({ ...task, zombie: atMs >= by.deadSinceMs })),
      trace: this.#trace,
      elapsedMs,
      groups: this.#groups,
      cuts: this.#cuts,
      log: this.#log,
      rounds: this.#rounds,
      checkpoints: this.#checkpoints,
      savepoints: this.#savepoints,
      runs: 1,
      faults: this.#injector.counts,
    };
  }

  #start(): void {
    for (const { afterMs, event } of this.#options.interventions) {
      this.#clock.after(afterMs, () => this.#tellDriver(event));
    }
    this.#injector.start();
    const joinMsMax = this.#options.faults?.joinMsMax ?? 0;
    for (const worker of this.#workers) {
      this.#clock.after(this.#random.float() * joinMsMax, () => this.#join(worker));
    }
  }

  /** As the driver in charge does before it lets anybody come. */
  #prepare(prepared: () => void): void {
    const { world } = this.#options;
    if (world === undefined) prepared();
    else world.begin(this.#driver.term, prepared);
  }

  /** The clock goes on without this run: only what it has sent is still on its way. */
  #silence(): void {
    this.#driver.crash();
    for (const { shell } of this.#workers) if (!shell.crashed) shell.crash();
  }

  /** What the next run finds. */
  leaves(suspended: ClusterRun): Stores {
    return {
      ...this.#kept,
      term: (this.#driver.term + 1) as Term,
      beganMs: this.#clock.nowMs,
      latest: this.#latest,
      published: this.#published,
      drainAt: this.#drainAt,
      suspended,
    };
  }

  /** All output through the end is visible, none is beyond, and the checkpoint is as of the end. */
  #checkSuspended({ lastBatch, drained, kept }: JobEnd): void {
    if (this.#recoveryChecker === null || drained || !kept) return;
    const { batch } = this.#latest;
    if (lastBatch >= 0) assert(batch === lastBatch, `suspended at @${lastBatch}, kept @${batch}`);
    for (const commit of this.#sinks.visible) {
      const name = `${commit.sink}/${commit.partition}@${commit.batch}`;
      assert(commit.batch <= batch, `${name} is visible, and the run was suspended at @${batch}`);
    }
  }

  /** What a suspended run has kept need not be done again. */
  #checkNew({ task, replay }: Omit<RanTask, 'zombie'>): void {
    const outcome = this.#kept.suspended?.outcome;
    if (outcome?.kind !== 'finished' || !outcome.kept || replay !== null) return;
    const { stage, partition, batch } = task;
    const done = batch <= outcome.lastBatch;
    assert(!done, `s${stage}p${partition}@${batch} runs after a stop at @${outcome.lastBatch}`);
  }

  #over(): boolean {
    if (this.#outcome === null) return false;
    return this.#workers.every(({ shell, lost }) => shell.stopped || shell.crashed || lost);
  }

  #living(): readonly Member[] {
    return this.#workers.filter(({ joined, lost, shell }) => {
      return joined && !lost && !shell.crashed && !shell.stopped;
    });
  }

  /** A job that waits for workers gets some. */
  #ensureEnough(): void {
    const enough = this.#driver.machine.state !== 'gathering' && this.#living().length > 0;
    if (enough || this.#outcome !== null || this.#succession.underWay) return;
    this.#clock.after(this.#random.float() * rescueMsMax, () => {
      if (this.#outcome === null) this.#join(this.#addWorker(null));
    });
  }

  #join(member: Member): void {
    const { worker, incarnation } = member;
    if (this.#succession.underWay) {
      if (this.#ended()) member.lost = true;
      else this.#succession.arrivals.push(member);
      return;
    }
    member.joined = true;
    member.shell.driver = this.#driver.endpoint;
    this.#tellDriver({ kind: 'worker-joined', worker, incarnation, host: this.#hostOf(worker) });
  }

  /** Workers of their own hosts, of two, or all of one, where nobody keeps copies for others. */
  #hostOf(worker: WorkerId): number {
    const { seed } = this.#options;
    return [worker, worker % 2, 0][seed % 3]!;
  }

  /** A new worker, or the next life of one that was there before. */
  #addWorker(again: WorkerId | null): Member {
    const { costs, mode, runnerOf, skewMsMax, shape } = this.#options;
    const worker = again ?? (++this.#workerCount as WorkerId);
    const lives = this.#workers.filter((member) => member.worker === worker).length;
    const incarnation = (lives + 1) as Incarnation;
    const random = this.#random.fork();
    const spillRandom = this.#spillRandom.fork();
    const spill = this.#options.faults?.spill ?? null;
    const onMoment = (moment: Moment): void => this.#injector.onMoment(moment, member);
    const shell = new SimulatedWorker({
      worker,
      incarnation,
      clock: this.#clock,
      skewMs: (2 * random.float() - 1) * skewMsMax,
      random,
      costs,
      stores: this.#stores,
      spill: spill === null ? null : new SimulatedSpill(spill, spillRandom),
      onDamaged: () => this.#injector.onDamaged(member),
      network: this.#network,
      checker: this.#checker,
      lifeChecker: this.#recoveryChecker?.lifeOf(worker) ?? null,
      trace: this.#trace,
      backupEvery: 1 + ((this.#options.seed % 7) % 3),
      runner: runnerOf(worker),
      ioOf: (host) => this.#ioOf(host),
      logOf: (host) => this.#logOf(host, { worker, incarnation }),
      isSource: (stage) => shape.stages[stage]?.source === true,
      onTask: (task) => {
        this.#checkNew(task);
        this.#tasks.push({ task, by: member, atMs: this.#clock.nowMs });
      },
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
    const fate = { joined: false, lost: false, deadSinceMs: Infinity, returned: false };
    const member: Member = { worker, incarnation, shell, ...fate };
    this.#workers.push(member);
    return member;
  }

  #ioOf(host: WorkerHost): WorkerIo {
    const { world } = this.#options;
    if (world !== undefined) return world.ioOf(host);
    const { costs, recordCount, sources: model } = this.#options;
    const { commitMsMax } = costs;
    const nothing = (): void => {};
    return {
      sources: new SimulatedSources(host, { model, stores: this.#stores, recordCount }),
      sinks: new SimulatedCommits(host, { sinks: this.#sinks, commitMsMax, trace: this.#trace }),
      crash: nothing,
      pause: nothing,
      close: nothing,
    };
  }

  #logOf(host: WorkerHost, life: WorkerLife): WorkerLog {
    const log = this.#log;
    const { world } = this.#options;
    if (world === undefined || world.log === null) {
      return new SimulatedLogWriter(host, { log, stores: this.#stores });
    }
    // Beside a log that is not its own the simulator's keeps account of what is durable.
    return world.log.writerOf(host, life, (record) => {
      assert(log.append(host.name, record), 'an account is never closed');
    });
  }

  /** What can be seen must never have to be taken back. */
  #checkDurable(batch: number, what: string): void {
    if (this.#recoveryChecker === null) return;
    for (const { stage, partition } of this.#sourcePlaces) {
      const through = this.#log.durableThrough(stage, partition);
      assert(through >= batch, `${what} before the ranges behind it are durable`);
    }
  }

  #newDriver(term: Term, from: Checkpoint | null): SimulatedDriver {
    const { shape, workerCount, mode, partMs, pace, faults } = this.#options;
    const recovery: RecoveryOptions | undefined =
      faults === undefined
        ? undefined
        : {
            checkpointIntervalMs: faults.checkpointIntervalMs,
            from,
            published: this.#published,
            drainAt: this.#drainAt,
          };
    const driver: SimulatedDriver = new SimulatedDriver({
      machine: { shape, workerCount, mode, partMs, pace, term, recovery },
      clock: this.#clock,
      network: this.#network,
      random: this.#random,
      trace: this.#trace,
      onEvent: (event) => this.#beforeStep(event),
      onEffects: (effects) => this.#afterStep(driver, effects),
    });
    return driver;
  }

  #tellDriver(event: DriverEvent): void {
    // A new driver hears of those who come; whoever is lost meanwhile does not.
    if (!this.#succession.hasNext) this.#driver.tell(event);
  }

  #beforeStep(event: DriverEvent): void {
    if (event.kind === 'message-received' && event.message.kind === 'snapshots-stored') {
      this.#injector.onMoment('snapshots-heard', null);
    }
    if (event.kind !== 'worker-joined') return;
    const life = this.#lifeOf(event.worker, event.incarnation);
    if (life !== undefined) this.#network.announce(life.shell.endpoint);
  }

  #afterStep(driver: SimulatedDriver, effects: readonly DriverEffect[]): void {
    const sent = new Set<object>();
    let recovers = false;
    for (const effect of effects) {
      if (effect.kind === 'send-message') {
        const first = !sent.has(effect.message);
        if (first) this.#note(driver, effect.message);
        this.#checker?.driverSent(effect.message, first);
        recovers ||= effect.message.kind === 'recover';
        sent.add(effect.message);
      }
      this.#carryOut(driver, effect);
    }
    if (recovers) this.#injector.onMoment('recover-sent', null);
  }

  #note(driver: SimulatedDriver, message: DriverMessage): void {
    if (message.kind === 'start-group') this.#groups++;
    if (message.kind === 'set-boundary') this.#cuts++;
    if (driver === this.#driver) this.#recoveryChecker?.driverSent(this.#clock.nowMs, message);
    else this.#recoveryChecker?.formerDriverSent(message);
  }

  /**
   * The driver is gone, or does not know that it is not in charge any more; workers finish what is
   * permitted, and come to the next one when it is there and they have given up the old one.
   */
  #loseDriver(loss: DriverLoss): boolean {
    if (this.#succession.underWay || this.#outcome !== null) return false;
    const { backMs, returnMsMax, waitMs, zombieMs } = loss;
    const former = this.#driver;
    const members = this.#living();
    this.#trace.note(`${former.name} is lost`);
    const whenReady = this.#succession.begin();
    if (zombieMs === 0) former.crash();
    else this.#clock.after(zombieMs, () => former.crash());
    const nowMs = this.#clock.nowMs;
    this.#clock.after(backMs, () => this.#succeed());
    for (const member of members) {
      const leavesMs = this.#random.float() * zombieMs;
      this.#clock.after(leavesMs, () => {
        if (member.shell.crashed) return;
        member.shell.driver = null;
        const { worker } = member;
        former.tell({ kind: 'worker-lost', worker, error: lostError });
      });
      const returnsMs = Math.max(leavesMs, backMs) + this.#random.float() * returnMsMax;
      this.#clock.at(nowMs + returnsMs, () => whenReady(() => this.#return(member, members)));
    }
    this.#clock.after(backMs + waitMs, () => whenReady(() => this.#takeOver()));
    return true;
  }

  /** The next driver has the lease and has marked its term: stores listen to nobody before it. */
  #succeed(): void {
    if (this.#ended()) return;
    const term = (this.#driver.term + 1) as Term;
    this.#driver = this.#newDriver(term, this.#latest);
    this.#network.announce(this.#driver.endpoint);
    this.#recoveryChecker?.driverChanged(this.#latest.batch);
    this.#succession.prepare();
    this.#prepare(() => this.#succession.gather());
  }

  #return(member: Member, all: readonly Member[]): void {
    const { shell } = member;
    if (shell.crashed || shell.stopped) return;
    if (this.#ended()) {
      // The job ended while it was away: it finds nobody, and ends.
      member.lost = true;
      return;
    }
    if (!this.#succession.isGathering) {
      // Too late: it has to begin anew, as somebody else.
      shell.crash();
      this.#network.cut(shell.endpoint);
      this.#join(this.#addWorker(null));
      return;
    }
    if (member.lost) return;
    shell.driver = this.#driver.endpoint;
    this.#succession.returned.push(member);
    const isAway = (one: Member): boolean =>
      !this.#succession.returned.includes(one) && !one.lost && !one.shell.crashed;
    if (!all.some(isAway)) this.#takeOver();
  }

  #takeOver(): void {
    if (!this.#succession.isGathering || this.#ended()) return;
    const { returned, arrivals } = this.#succession.end();
    const present = returned.filter(({ lost, shell }) => !lost && !shell.crashed);
    for (const member of this.#workers) {
      if (!member.joined || present.includes(member)) continue;
      // Not back in time: whatever it says from now on, nobody listens.
      member.lost = true;
      this.#bury(member);
    }
    for (const { worker, incarnation } of present) {
      const host = this.#hostOf(worker);
      this.#tellDriver({ kind: 'worker-joined', worker, incarnation, host, returns: true });
    }
    if (present.length > 0) this.#tellDriver({ kind: 'take-over' });
    for (const member of arrivals) this.#join(member);
    if (present.length > 0) return;
    for (let left = this.#options.workerCount - arrivals.length; left > 0; left--) {
      this.#join(this.#addWorker(null));
    }
  }

  #ended(): boolean {
    return this.#outcome !== null;
  }

  /** Nothing becomes durable any more of what a driver decides that another has replaced. */
  #carryOut(driver: SimulatedDriver, effect: DriverEffect): void {
    switch (effect.kind) {
      case 'send-message': {
        const life = this.#workers.findLast(({ joined, worker }) => {
          return joined && worker === effect.to;
        });
        if (life?.shell.driver !== driver.endpoint) return;
        return this.#network.send(driver.endpoint, effect.to, effect.message);
      }
      case 'job-finished':
        if (driver === this.#driver) this.#end({ ...effect, kind: 'finished' });
        return;
      case 'job-failed':
        if (driver === this.#driver) this.#end({ kind: 'failed', error: effect.error });
        return;
      case 'read-log':
        return this.#readLog(driver, effect);
      case 'log-ranges':
        this.#injector.onMoment('ranges-ordered', null);
        return this.#addRanges(driver, effect.ranges, () => {
          if (driver !== this.#driver) return driver.crash();
          this.#log.add(effect.ranges);
          driver.tell({ kind: 'ranges-logged', round: effect.round });
        });
      case 'journal-placement':
        return this.#store(() => {
          if (driver !== this.#driver) return driver.crash();
          this.#published = effect.version;
          this.#drainAt = effect.drainAt;
          driver.tell({ kind: 'placement-journaled', round: effect.round });
        });
      case 'journal-drain':
        return this.#store(() => {
          if (driver !== this.#driver) return driver.crash();
          this.#drainAt = effect.batch;
          driver.tell({ kind: 'drain-journaled', batch: effect.batch });
        });
      case 'commit-checkpoint':
        return this.#commitCheckpoint(driver, effect);
      case 'evict-worker':
        return this.#evict(driver, effect);
      case 'trace':
        if (effect.trace.kind === 'recovered') this.#recovered(driver);
        if (driver === this.#driver) this.#recoveryChecker?.driverTraced(effect.trace);
        if (!this.#trace.wanted) return;
        return this.#trace.note(
          `${driver.name} ${this.#clock.nowMs} ${JSON.stringify(effect.trace)}`,
        );
      case 'job-started':
      case 'savepoint-made':
      case 'savepoint-failed':
      case 'report-received':
      case 'worker-stopped':
        return;
      default:
        unreachable(effect);
    }
  }

  #recovered(driver: SimulatedDriver): void {
    this.#rounds++;
    if (driver !== this.#driver || this.#succession.underWay) return;
    for (const member of this.#living()) member.deadSinceMs = Infinity;
  }

  #addRanges(driver: SimulatedDriver, ranges: readonly KnownRanges[], onAdded: () => void): void {
    const log = this.#options.world?.log ?? null;
    if (log === null) this.#store(onAdded);
    else log.add(driver.term, ranges, onAdded);
  }

  #readLog(driver: SimulatedDriver, order: ReadLog): void {
    const log = this.#options.world?.log ?? null;
    if (log === null) return this.#readOwnLog(driver, order);
    if (driver !== this.#driver) return driver.crash();
    const { after, round } = order;
    const durable = this.#log.read(after);
    log.read(driver.term, order, (ranges) => {
      assertHolds(ranges, durable);
      this.#log.add(ranges);
      driver.tell({ kind: 'log-read', round, ranges });
    });
  }

  #readOwnLog(driver: SimulatedDriver, order: ReadLog): void {
    const { after, closesAll, dead, living, round, version } = order;
    for (const { worker, incarnation } of dead) {
      const life = this.#lifeOf(worker, incarnation);
      if (life !== undefined) this.#log.close(life.shell.name);
    }
    if (!this.#hasRead.has(driver)) {
      this.#hasRead.add(driver);
      // Whoever is not here now wrote for a driver before this one.
      for (const { incarnation, joined, shell, worker } of this.#workers) {
        const isHere = living.some(
          (one) => one.worker === worker && one.incarnation === incarnation,
        );
        if (joined && !isHere) this.#log.close(shell.name);
      }
    }
    if (closesAll) this.#log.closeBefore(version + 1);
    this.#store(() => {
      driver.tell({ kind: 'log-read', round, ranges: this.#log.read(after) });
    });
  }

  #commitCheckpoint(driver: SimulatedDriver, order: CommitCheckpoint): void {
    const { batch, snapshots } = order;
    if (driver === this.#driver) {
      this.#recoveryChecker?.checkpointOrdered(order, (owner, place) => {
        const members = this.#living().filter(({ worker }) => worker === owner);
        return members.some(({ shell }) => shell.hasUncommitted(place, batch));
      });
    }
    this.#injector.onMoment('checkpoint-ordered', null);
    this.#clock.after(this.#stores.callMs(this.#random), () => {
      if (driver !== this.#driver) return driver.crash();
      if (this.#stores.fails(this.#random)) {
        return driver.tell({ kind: 'checkpoint-failed', batch, error: storeError });
      }
      this.#checkpoints++;
      if (order.savepoint !== null) this.#savepoints++;
      this.#log.coverThrough(batch);
      this.#latest = { batch, snapshots };
      this.#options.world?.log?.checkpointed(driver.term, batch);
      this.#injector.onMoment('checkpoint-durable', null);
      driver.tell({ kind: 'checkpoint-committed', batch });
    });
  }

  #bury(member: Member): void {
    member.deadSinceMs = Math.min(member.deadSinceMs, this.#clock.nowMs);
  }

  #evict(
    driver: SimulatedDriver,
    { worker, incarnation }: Extract<DriverEffect, { kind: 'evict-worker' }>,
  ): void {
    const life = this.#lifeOf(worker, incarnation);
    assert(life !== undefined, `worker ${worker} is evicted and was never there`);
    if (this.#succession.underWay || driver !== this.#driver) {
      // It is the next driver's.
      if (life.shell.driver === this.#driver.endpoint && driver !== this.#driver) return;
      // It may come back to the next driver, and count again if nothing was decided without it.
      this.#bury(life);
      if (life.shell.driver !== driver.endpoint) return;
      life.shell.crash();
      this.#network.cut(life.shell.endpoint);
      life.lost = true;
      return;
    }
    life.lost = true;
    this.#bury(life);
    this.#ensureEnough();
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
    // Whoever has left an old driver finds no other.
    for (const member of this.#living()) member.lost ||= member.shell.driver === null;
    for (const member of this.#succession.arrivals) member.lost = true;
    this.#trace.note(`${outcome.kind}`);
  }
}

/** What a worker was told is durable is in the log for whoever reads it later. */
function assertHolds(found: readonly KnownRanges[], durable: readonly KnownRanges[]): void {
  for (const { stage, partition, first, ranges } of durable) {
    const place = found.find((one) => one.stage === stage && one.partition === partition);
    const count = place?.ranges.length ?? 0;
    const lost = `the log has lost s${stage}p${partition}@${first + count}, which was durable`;
    assert(count >= ranges.length, lost);
  }
}

/** From the loss of a driver until the next one goes on. */
class Succession {
  #phase: 'none' | 'vacant' | 'preparing' | 'gathering' = 'none';
  /** What waits for the next driver to be ready. */
  #waiting: (() => void)[] = [];
  /** Workers that have come back to the next driver with what they have. */
  returned: Member[] = [];
  /** Workers that have come meanwhile and have nothing. */
  arrivals: Member[] = [];

  get underWay(): boolean {
    return this.#phase !== 'none';
  }

  /** The next driver is there and waits for those of the one before. */
  get isGathering(): boolean {
    return this.#phase === 'gathering';
  }

  get hasNext(): boolean {
    return this.#phase === 'preparing' || this.#phase === 'gathering';
  }

  /** Gives what lets something happen at once, or as soon as this next driver is ready. */
  begin(): (action: () => void) => void {
    this.#phase = 'vacant';
    const waiting: (() => void)[] = [];
    this.#waiting = waiting;
    return (action) => {
      const mustWait = this.#phase === 'preparing' && this.#waiting === waiting;
      if (mustWait) waiting.push(action);
      else action();
    };
  }

  prepare(): void {
    this.#phase = 'preparing';
  }

  gather(): void {
    this.#phase = 'gathering';
    for (const action of this.#waiting) action();
  }

  end(): { readonly returned: readonly Member[]; readonly arrivals: readonly Member[] } {
    const { returned, arrivals } = this;
    this.#phase = 'none';
    this.returned = [];
    this.arrivals = [];
    return { returned, arrivals };
  }
}

type ReadLog = Extract<DriverEffect, { kind: 'read-log' }>;
type CommitCheckpoint = Extract<DriverEffect, { kind: 'commit-checkpoint' }>;
type DriverLoss = Extract<Fault, { kind: 'driver-loss' }>;

/** Epoch ms at which every simulation starts; small, so that fractions stay exact enough. */
export const startMs = 1_000_000;

/** Bounds of a run: several times what the slowest scenario needs. */
const stepsMax = 2_000_000;
/**
 * Ten minutes: a bulk-synchronous stage waits for six messages, one after another, each of which
 * may stall, and a source may be quiet again and again. A job that waits for ever is found anyway.
 */
const endsWithinMs = 600_000;

/** A job that waits for workers gets one within this time, ms. */
const rescueMsMax = 50;
