// The driver: gathers workers, installs the template, permits groups of micro-batches, and decides
// where the job ends. It takes no part inside a group. Sans-IO, like the worker machine.
//
// | state      | leaves on                                  | to         | effects             |
// | ---------- | ------------------------------------------ | ---------- | ------------------- |
// | gathering  | the last worker joined                     | installing | install-template    |
// | gathering  | take-over, or the last joined, with state  | asking     | ask-status, read-log|
// | installing | the last template-installed                | running    | start-group         |
// | running    | stop-requested, savepoint-requested,       | cutting    | ask-cut             |
// |            | urgent pace-changed; all sources ended     |            |                     |
// | cutting    | the last cut-answer                        | running    | set-boundary, group |
// | running    | the last micro-batch is done, and kept     | stopping   | stop                |
// | stopping   | the last stopped                           | finished   | job-finished        |
// | any        | task-failed                                | failed     | stop, job-failed    |
// | any        | worker-lost, without recovery              | failed     | stop, job-failed    |
// | any        | worker-lost, with recovery                 | asking     | ask-status, read-log|
// | asking     | the last status, log-read                  | logging    | log-ranges, journal |
// | asking     | no answer in time                          | asking     | evict-worker, again |
// | logging    | ranges-logged and placement-journaled      | running    | recover             |

import { assert, unreachable } from '../../base/assert.ts';
import type { StreamErrorData } from '../../base/stream-error.ts';
import type { ExecutionMode } from '../../plan/execution-mode.ts';
import type {
  BatchNumber,
  Incarnation,
  PlacementVersion,
  Term,
  WorkerId,
} from '../protocol/ids.ts';
import { answerTimeoutMs, heldBackAheadMax, partMsDefault } from '../limits.ts';
import { firstVersionOf, noBatch } from '../protocol/ids.ts';
import type {
  DriverMessage,
  KnownRanges,
  Pressure,
  Report,
  TaskName,
  WorkerLife,
  WorkerMessage,
  WorkerStatus,
} from '../protocol/messages.ts';
import type { Recovery } from '../protocol/recovery.ts';
import type { Template } from '../protocol/template.ts';
import { workersIn, workersOf } from '../protocol/template.ts';
import { CutRound } from './cut-round.ts';
import { endingError, notNowError, outdatedError, silentError } from './driver-errors.ts';
import { SourceEnds } from './source-ends.ts';
import type { Savepoint } from './checkpoint-schedule.ts';
import { CheckpointSchedule } from './checkpoint-schedule.ts';
import type { DriverEffect, DriverEvent, JobEnd } from './events.ts';
import type { Execution } from './modes.ts';
import { executionOf, plannerOf } from './modes.ts';
import { LeastProgress } from './least-progress.ts';
import type { PlanShape } from './placement.ts';
import { placeRoundRobin } from './placement.ts';
import type { Pace, PlannedOrder, Planner } from './planner.ts';
import type { Checkpoint } from './recovery-round.ts';
import { noCheckpoint, planRecovery } from './recovery-round.ts';

export type DriverOptions = {
  readonly shape: PlanShape;
  /** The job starts when this many workers have joined. */
  readonly workerCount: number;
  readonly mode: ExecutionMode;
  /** In `continuous` mode: time between two parts of a source's micro-batch. Default: 10. */
  readonly partMs?: number;
  readonly pace: Pace;
  readonly term: Term;
  /** Absent: the loss of a worker ends the job. */
  readonly recovery?: RecoveryOptions | undefined;
};

export type RecoveryOptions = {
  /** From one checkpoint to the next, ms; Infinity: none are taken. */
  readonly checkpointIntervalMs: number;
  /** Where the job goes on; null: at its very beginning. */
  readonly from: Checkpoint | null;
  /** The newest placement that a driver before this one may have published; -1: none. */
  readonly published: PlacementVersion;
  /** The micro-batch in which such a driver wanted all sources to end; -1: none. */
  readonly drainAt: BatchNumber;
};

type State =
  | 'gathering'
  | 'installing'
  | 'running'
  | 'cutting'
  | 'asking'
  | 'logging'
  | 'stopping'
  | 'finished'
  | 'failed';

type Member = {
  /** Once all are there, members are numbered from 0 in the order in which they joined. */
  readonly index: number;
  readonly worker: WorkerId;
  readonly incarnation: Incarnation;
  readonly host: number;
  /** It has worked for a driver before this one. */
  readonly returns: boolean;
  installed: boolean;
  stopped: boolean;
};

export class DriverMachine {
  readonly #options: DriverOptions;
  readonly #members = new Map<WorkerId, Member>();
  /** They have joined and have no part yet. */
  readonly #spares = new Map<WorkerId, Member>();
  readonly #planner: Planner;
  #state: State = 'gathering';
  #template: Template | null = null;
  #effects: DriverEffect[] = [];
  #nowMs = 0;
  #installSentMs = 0;

  #doneThrough = new LeastProgress(1, noBatch);
  /** Members of whom it is true; counted, because every one of many workers tells it once. */
  #installed = 0;
  #stopped = 0;

  readonly #cut = new CutRound();
  /** How the job is to end before its sources do; null: it is not. */
  #stop: { readonly drain: boolean } | null = null;
  /** No micro-batch follows but the last one, which is wanted or planned. */
  #closing = false;
  /** The last micro-batch has been cut off for; it is planned once no checkpoint is under way. */
  #last: 'none' | 'wanted' | 'journaling' | 'given' = 'none';
  /** The micro-batch in which all sources end, as the journal has it; -1: none. */
  #drainAt: BatchNumber = noBatch;
  /** There will be no checkpoint as of the last micro-batch. */
  #lastFailed = false;
  /** The micro-batch whose finished stages are counted, and who has finished which. */
  #stagesOf: BatchNumber = noBatch;
  readonly #stageWorkers = new Map<number, Set<WorkerId>>();
  /** By stage: who holds a part of it. */
  #placed: readonly (readonly WorkerId[])[] = [];
  readonly #sources = new SourceEnds();

  readonly #execution: Execution;
  readonly #checkpoints: CheckpointSchedule;
  /** Rounds of recovery so far. */
  #rounds = 0;
  #roundStartedMs = 0;
  /** The round moves partitions of the living, too. */
  #rebalances = false;
  #answerByMs = Infinity;
  #version: PlacementVersion;
  /** Buried, and their logs may still be open. */
  #dead: readonly WorkerLife[] = [];
  readonly #statuses = new Map<WorkerId, WorkerStatus>();
  #logged: readonly KnownRanges[] | null = null;
  /** Ranges that only survivors knew are on their way into the log. */
  #writesLog = false;
  /** What must be durable before the order of the round is given. */
  readonly #unwritten = new Set<'ranges' | 'placement'>();
  #recovery: Recovery | null = null;
  /** Members without room for further input, and what was said about it. */
  readonly #short = new Set<WorkerId>();
  #holdsBack = false;
  #holdChanges = 0;
  #started = false;
  /** Micro-batches through here have ranges that are read again. */
  #knownThrough: BatchNumber = noBatch;

  constructor(options: DriverOptions) {
    assert(options.workerCount >= 1, 'a job needs a worker');
    const { mode, shape, pace, recovery, partMs = partMsDefault } = options;
    this.#options = options;
    this.#version = (firstVersionOf(options.term) - 1) as PlacementVersion;
    this.#drainAt = options.recovery?.drainAt ?? noBatch;
    this.#planner = plannerOf(mode, shape, pace);
    this.#execution = executionOf(mode, { partMs, recovers: recovery !== undefined });
    const interval = recovery?.checkpointIntervalMs ?? Infinity;
    this.#checkpoints = new CheckpointSchedule(interval, recovery?.from ?? noCheckpoint);
  }

  get state(): State {
    return this.#state;
  }

  get pace(): Pace {
    return this.#planner.pace;
  }

  /** Where partitions live, once all workers have joined. */
  get template(): Template | null {
    return this.#template;
  }

  step(nowMs: number, event: DriverEvent): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    switch (event.kind) {
      case 'worker-joined':
        this.#onJoined(event);
        break;
      case 'worker-lost':
        this.#onLost(event.worker, event.error);
        break;
      case 'message-received':
        this.#onMessage(event.from, event.message);
        break;
      case 'take-over':
        this.#onTakeOver();
        break;
      case 'stop-requested':
        this.#onStopRequested(event);
        break;
      case 'savepoint-requested':
        this.#onSavepointRequested(event.savepoint);
        break;
      case 'pace-changed':
        this.#planner.changePace(event);
        if (event.urgent && this.#mayCut()) this.#askCut();
        break;
      case 'log-read':
        if (this.#state !== 'asking' || event.round !== this.#rounds) {
          this.#ignore('log-read', 'old-round');
          break;
        }
        this.#logged = event.ranges;
        this.#dead = [];
        this.#planRecovery();
        break;
      case 'ranges-logged':
        this.#writesLog = false;
        this.#written('ranges', event);
        if (this.#state === 'asking' && this.#members.size > 0) this.#readLog();
        break;
      case 'placement-journaled':
        this.#written('placement', event);
        break;
      case 'drain-journaled':
        this.#onDrainJournaled(event.batch);
        break;
      case 'checkpoint-committed':
        this.#onCheckpointCommitted(event.batch);
        break;
      case 'checkpoint-failed':
        this.#onCheckpointFailed(event.batch, event.error);
        break;
      case 'time-passed':
        if (this.#state === 'asking' && this.#nowMs >= this.#answerByMs) this.#evictSilent();
        break;
      default:
        unreachable(event);
    }
    this.#giveOrders();
  }

  takeEffects(): DriverEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  nextDeadlineMs(): number {
    if (this.#state === 'asking') return this.#answerByMs;
    if (this.#state !== 'running') return Infinity;
    const deadline = this.#planner.nextDeadlineMs();
    // What is wanted by now but held back by unfinished groups waits for reports, not for time.
    return deadline <= this.#nowMs ? Infinity : deadline;
  }

  #onJoined({ worker, incarnation, host, returns = false }: Joined): void {
    if (this.#state === 'stopping' || this.#state === 'finished' || this.#state === 'failed') {
      const message: DriverMessage = { kind: 'stop', term: this.#options.term };
      this.#effects.push({ kind: 'send-message', to: worker, message });
      return;
    }
    const mayJoin = this.#state === 'gathering' || this.#options.recovery !== undefined;
    if (!mayJoin) return this.#ignore('worker-joined', this.#state);
    const index = this.#members.get(worker)?.index ?? this.#members.size;
    const ends = { installed: false, stopped: false };
    const member: Member = { index, worker, incarnation, host, returns, ...ends };
    if (returns && this.#state !== 'gathering') return this.#bury(member, outdatedError(worker));
    if (this.#state !== 'gathering') {
      // One that joins later is given partitions in the next round.
      this.#spares.set(worker, member);
      if (this.#members.size === 0) this.#startRound();
      return;
    }
    this.#members.set(worker, member);
    if (returns || this.#members.size < this.#options.workerCount) return;
    if (this.#options.recovery !== undefined && this.#options.recovery.from !== null) {
      return this.#startRound();
    }
    this.#version = firstVersionOf(this.#options.term);
    const order = { version: this.#version, ...this.#execution, hosts: this.#hosts() };
    this.#placeAt(placeRoundRobin(this.#options.shape, [...this.#members.keys()], order));
    // Some may have left before all were there.
    [...this.#members.values()].forEach((one, at) => {
      this.#members.set(one.worker, { ...one, index: at });
    });
    this.#doneThrough = new LeastProgress(this.#members.size, noBatch);
    this.#state = 'installing';
    this.#installSentMs = this.#nowMs;
    const { term } = this.#options;
    this.#sendAll({ kind: 'install-template', term, template: this.#template! });
  }

  #hosts(): ReadonlyMap<WorkerId, number> {
    return new Map(Array.from(this.#members.values(), ({ worker, host }) => [worker, host]));
  }

  #placeAt(template: Template): void {
    this.#template = template;
    this.#sources.placedBy(template);
    this.#placed = template.stages.map(workersOf);
  }

  #onLost(worker: WorkerId, error: StreamErrorData): void {
    if (this.#state === 'finished' || this.#state === 'failed') return;
    const member = this.#members.get(worker);
    if (this.#state === 'stopping' && member !== undefined) return this.#onStopped(member);
    if (this.#options.recovery === undefined) return this.#fail(worker, error, null);
    const spare = this.#spares.get(worker);
    if (spare !== undefined) return this.#bury(spare, error);
    if (member === undefined) return this.#ignore('worker-lost', 'unknown-worker');
    this.#bury(member, error);
    if (this.#state !== 'gathering') this.#startRound();
  }

  /** From now on nobody listens to it. */
  #bury({ worker, incarnation }: Member, error: StreamErrorData): void {
    this.#members.delete(worker);
    this.#spares.delete(worker);
    this.#short.delete(worker);
    this.#dead = [...this.#dead, { worker, incarnation }];
    this.#effects.push({ kind: 'evict-worker', worker, incarnation, error });
    this.#trace({ kind: 'worker-dead', worker, round: this.#rounds + 1, why: error.code });
  }

  /** Gives those who have come their share: state is fresh now, so little has to be redone. */
  #rebalance(): void {
    if (this.#state !== 'running' || this.#closing || this.#spares.size === 0) return;
    this.#startRound(true);
  }

  /** Asks everybody what there is; whoever had been asked before is asked again. */
  #startRound(rebalances = false): void {
    this.#rebalances = rebalances;
    if (this.#state !== 'asking' && this.#state !== 'logging') this.#roundStartedMs = this.#nowMs;
    this.#state = 'asking';
    this.#rounds++;
    for (const [worker, member] of this.#spares) this.#members.set(worker, member);
    this.#spares.clear();
    this.#statuses.clear();
    this.#logged = null;
    this.#recovery = null;
    this.#checkpoints.giveUp();
    this.#answerByMs = this.#nowMs + answerTimeoutMs;
    const round = this.#rounds;
    if (this.#members.size === 0) {
      this.#answerByMs = Infinity;
      this.#trace({ kind: 'waiting-for-workers', have: 0, want: 1 });
      return this.#endWithoutWorkers();
    }
    const moves = this.#rebalances;
    const members = this.#lives();
    this.#sendAll({ kind: 'ask-status', term: this.#options.term, round, members, moves });
    // What a round before this one adds to the log must not come behind what is read.
    if (!this.#writesLog) this.#readLog();
  }

  #readLog(): void {
    const round = this.#rounds;
    const dead = this.#dead;
    const after = this.#checkpoints.last.batch;
    const closesAll = this.#execution.reach === 'all';
    const living = this.#lives();
    const returned = [...this.#members.values()].filter(({ returns }) => returns).map(lifeOf);
    const version = this.#version;
    const lives = { dead, living, returned };
    this.#effects.push({ kind: 'read-log', round, closesAll, ...lives, version, after });
  }

  #lives(): readonly WorkerLife[] {
    return Array.from(this.#members.values(), lifeOf);
  }

  #onStatus(member: Member, round: number, status: WorkerStatus): void {
    if (this.#state !== 'asking' || round !== this.#rounds) {
      return this.#ignore('status', 'old-round');
    }
    this.#statuses.set(member.worker, status);
    this.#planRecovery();
  }

  /** Who does not answer in time is dead, too. */
  #evictSilent(): void {
    for (const member of this.#members.values()) {
      if (!this.#statuses.has(member.worker)) this.#bury(member, silentError(member.worker));
    }
    this.#startRound();
  }

  #planRecovery(): void {
    if (this.#state !== 'asking' || this.#logged === null) return;
    // A checkpoint on its way counts or does not: blocks are dropped by it.
    if (this.#checkpoints.committing) return;
    for (const worker of this.#members.keys()) if (!this.#statuses.has(worker)) return;
    // In the order of members, and of nobody who has left.
    const statuses = new Map<WorkerId, WorkerStatus>();
    for (const worker of this.#members.keys()) statuses.set(worker, this.#statuses.get(worker)!);
    if (this.#execution.reach === 'lost' && this.#evictOutdated(statuses))
      return this.#startRound();
    const finalBatch = this.#finalBatch(statuses);
    this.#version = (this.#version + 1) as PlacementVersion;
    const { recovery, unlogged } = planRecovery({
      round: this.#rounds,
      shape: this.#options.shape,
      execution: this.#execution,
      version: this.#version,
      checkpoint: this.#checkpoints.last,
      statuses,
      hosts: this.#hosts(),
      logged: this.#logged,
      rebalances: this.#rebalances,
      finalBatch,
      cut: this.#cut.number,
    });
    this.#recovery = recovery;
    this.#answerByMs = Infinity;
    this.#state = 'logging';
    this.#unwritten.clear();
    const round = this.#rounds;
    if (unlogged.length > 0) {
      this.#unwritten.add('ranges');
      this.#writesLog = true;
      this.#effects.push({ kind: 'log-ranges', round, ranges: unlogged });
    }
    const drainAt = drainOf(recovery);
    // Where everybody rolls back, nobody can have missed anything.
    if (this.#execution.reach === 'lost' || this.#drainAt !== drainAt) {
      this.#unwritten.add('placement');
      const version = this.#version;
      this.#effects.push({ kind: 'journal-placement', round, version, drainAt });
    }
    if (this.#unwritten.size === 0) this.#publish();
  }

  #written(what: 'ranges' | 'placement', { kind, round }: DriverEvent & { round: number }): void {
    if (this.#state !== 'logging' || round !== this.#rounds) return this.#ignore(kind, 'old-round');
    this.#unwritten.delete(what);
    if (what === 'placement') this.#drainAt = drainOf(this.#recovery!);
    if (this.#unwritten.size === 0) this.#publish();
  }

  /**
   * A driver before this one may have died in a round. Whoever did not get a placement that others
   * work by, or was not listened to meanwhile, lacks messages that nobody sends again: it begins
   * anew. True when there was one.
   */
  #evictOutdated(statuses: ReadonlyMap<WorkerId, WorkerStatus>): boolean {
    const newest = Math.max(
      this.#options.recovery!.published,
      ...Array.from(statuses.values(), ({ version }) => version),
    );
    const outdated = new Set<WorkerId>();
    for (const [worker, { refused, version }] of statuses) {
      if (version >= 0 && version < newest) outdated.add(worker);
      if (version !== newest) continue;
      for (const life of refused) {
        const member = this.#members.get(life.worker);
        if (member?.incarnation === life.incarnation) outdated.add(life.worker);
      }
    }
    for (const worker of outdated) this.#bury(this.#members.get(worker)!, outdatedError(worker));
    return outdated.size > 0;
  }

  /** A driver before this one may have planned the last micro-batch; then the job is to stop. */
  #finalBatch(statuses: ReadonlyMap<WorkerId, WorkerStatus>): BatchNumber {
    let last: BatchNumber = this.#planner.finalBatch;
    // What a checkpoint covers has come to its end.
    if (this.#drainAt > this.#checkpoints.last.batch && this.#drainAt > last) last = this.#drainAt;
    for (const { finalBatch } of statuses.values()) {
      if (finalBatch > last) last = finalBatch;
    }
    if (last !== noBatch) this.#stop ??= { drain: true };
    return last;
  }

  #publish(): void {
    const recovery = this.#recovery!;
    const { template, checkpoint, end, final, moved, known, round } = recovery;
    this.#placeAt(template);
    this.#sendAll({ kind: 'recover', term: this.#options.term, recovery });
    this.#restartCounts(recovery);
    this.#planner.restart(this.#nowMs, end);
    this.#checkpoints.restart(end);
    this.#closing = final;
    this.#last = 'none';
    this.#lastFailed = false;
    if (final || this.#sources.all) this.#planner.close();
    this.#state = 'running';
    // Some are new here.
    if (this.#holdsBack) this.#tellHoldBack();
    const elapsedMs = this.#nowMs - this.#roundStartedMs;
    const movedPartitions = moved.length;
    this.#trace({ kind: 'recovered', round, checkpoint, end, movedPartitions, elapsedMs });
    if (!this.#started) this.#effects.push({ kind: 'job-started' });
    this.#started = true;
    this.#knownThrough = Math.max(
      noBatch,
      ...known.map(({ first, ranges }) => first + ranges.length - 1),
    ) as BatchNumber;
    this.#finishIfWanted();
  }

  /** What was read before is read again first: it cannot be cut off. */
  #mayCut(): boolean {
    return this.#state === 'running' && !this.#closing && this.#planner.end > this.#knownThrough;
  }

  #finishIfWanted(): void {
    if (this.#stop !== null && this.#mayCut() && !this.#sources.all) this.#askCut();
  }

  /** Progress is counted anew: what moved begins at the checkpoint again. */
  #restartCounts({ template, checkpoint, moved, end }: Recovery): void {
    this.#doneThrough = new LeastProgress(this.#members.size, checkpoint);
    let index = 0;
    for (const [worker, member] of this.#members) {
      this.#members.set(worker, { ...member, index, installed: true });
      const adopts = moved.some(
        ({ stage, partition }) => template.stages[stage]!.placement[partition] === worker,
      );
      const { doneThrough } = this.#statuses.get(worker)!;
      const isNew = this.#statuses.get(worker)!.version < 0;
      if (!adopts) this.#doneThrough.raise(index, isNew ? end - 1 : doneThrough);
      index++;
    }
    this.#stagesOf = noBatch;
    this.#stageWorkers.clear();
    for (const place of moved) this.#sources.goesOn(place);
    for (const { owned } of this.#statuses.values()) {
      for (const { stage, partition, endedAt } of owned) {
        if (endedAt === noBatch) continue;
        if (moved.some((place) => place.stage === stage && place.partition === partition)) continue;
        this.#sources.ended({ stage, partition }, endedAt);
      }
    }
  }

  #onCheckpointCommitted(batch: BatchNumber): void {
    const committed = this.#checkpoints.committed(this.#nowMs, batch);
    if (committed === null) return this.#ignore('checkpoint-committed', 'old-round');
    const { elapsedMs, savepoint } = committed;
    this.#trace({ kind: 'checkpointed', batch, elapsedMs });
    if (savepoint !== null) this.#effects.push({ kind: 'savepoint-made', id: savepoint.id, batch });
    this.#planRecovery();
    this.#rebalance();
    this.#cutForSavepoint();
    this.#endIfOver();
  }

  #onCheckpointFailed(batch: BatchNumber, error: StreamErrorData): void {
    const savepoint = this.#checkpoints.failed(this.#nowMs, batch);
    this.#trace({ kind: 'checkpoint-failed', batch, code: error.code });
    if (savepoint !== null) this.#refuseSavepoint(savepoint, error);
    // The run ends anyway: the next one repeats what came since the checkpoint before.
    if (batch === this.#planner.lastBatch) this.#lastFailed = true;
    this.#planRecovery();
    this.#cutForSavepoint();
    this.#endIfOver();
  }

  #onSavepointRequested(savepoint: Savepoint): void {
    const ends = this.#stop !== null || this.#closing || this.#isOver();
    if (ends || !this.#checkpoints.takes || !this.#checkpoints.want(savepoint)) {
      return this.#refuseSavepoint(savepoint, ends ? endingError : notNowError);
    }
    this.#cutForSavepoint(true);
  }

  /**
   * Groups may be long, and somebody waits. `always`: also while a checkpoint is under way, which
   * may be one as of the end of a long group.
   */
  #cutForSavepoint(always = false): void {
    const { wantsSavepoint } = this.#checkpoints;
    if ((always || wantsSavepoint) && this.#mayCut() && !this.#sources.all) this.#askCut();
  }

  #refuseSavepoint({ id }: Savepoint, error: StreamErrorData): void {
    this.#effects.push({ kind: 'savepoint-failed', id, error });
  }

  #commitCheckpoint(): void {
    if (this.#state === 'asking' || this.#state === 'logging') return;
    const complete = this.#checkpoints.complete(this.#doneThrough.least as BatchNumber);
    if (complete === null) return;
    const template = this.#template!;
    this.#effects.push({ kind: 'commit-checkpoint', template, ...complete });
  }

  #onMessage(from: WorkerId, message: WorkerMessage): void {
    const member = this.#members.get(from);
    if (member === undefined) return this.#ignore(message.kind, 'unknown-worker');
    if (message.incarnation !== member.incarnation) return this.#ignore(message.kind, 'old-life');
    if (message.term !== this.#options.term) return this.#ignore(message.kind, 'old-term');
    if (this.#state === 'failed' || this.#state === 'finished') return;
    switch (message.kind) {
      case 'template-installed':
        return this.#onInstalled(member);
      case 'report':
        return this.#onReport(member, message.report);
      case 'stage-done':
        if (message.version !== this.#version) return this.#ignore('stage-done', 'old-placement');
        return this.#onStageDone(from, message.stage, message.batch);
      case 'ask-locations':
        return this.#onAskLocations(from, message.batch, message.exchange);
      case 'cut-answer':
        return this.#onCutAnswer(member, message.cut, message.from);
      case 'status':
        return this.#onStatus(member, message.round, message.status);
      case 'snapshots-stored':
        // After a rollback the same micro-batch is run once more.
        if (message.version !== this.#version) {
          return this.#ignore('snapshots-stored', 'old-placement');
        }
        this.#checkpoints.stored(from, message.batch, message.snapshots);
        return this.#commitCheckpoint();
      case 'snapshot-failed':
        if (message.version !== this.#version) {
          return this.#ignore('snapshot-failed', 'old-placement');
        }
        return this.#onCheckpointFailed(message.batch, message.error);
      case 'task-failed':
        // Of two drivers each may take the other's workers for dead. The next placement outranks.
        if (this.#options.recovery !== undefined && message.error.code === 'fenced') {
          return this.#onLost(from, message.error);
        }
        return this.#fail(from, message.error, message.task);
      case 'stopped':
        this.#effects.push({ kind: 'worker-stopped', worker: from, gauges: message.gauges });
        return this.#onStopped(member);
      default:
        unreachable(message);
    }
  }

  #onInstalled(member: Member): void {
    if (member.installed) return;
    member.installed = true;
    this.#installed++;
    if (this.#state !== 'installing' || this.#installed < this.#members.size) return;
    this.#planner.measuredBoundary(this.#nowMs - this.#installSentMs);
    this.#state = 'running';
    this.#started = true;
    this.#effects.push({ kind: 'job-started' });
    if (this.#stop !== null) this.#askCut();
  }

  #onReport(member: Member, report: Report): void {
    this.#effects.push({ kind: 'report-received', worker: member.worker, report });
    // What was done under an older placement says nothing of this one.
    if (report.version !== this.#version) return this.#ignore('report', 'old-placement');
    if (this.#state === 'asking' || this.#state === 'logging') return;
    this.#doneThrough.raise(member.index, report.doneThrough);
    const done = this.#doneThrough.least as BatchNumber;
    this.#planner.progressed(this.#nowMs, report.startedThrough, done);
    this.#onPressure(member.worker, report.pressure, done);
    for (const { batch, ...place } of report.ended) this.#sources.ended(place, batch);
    if (this.#sources.all && !this.#closing) this.#planner.close();
    this.#commitCheckpoint();
    this.#endIfOver();
  }

  #keepsEnd(): boolean {
    return this.#options.recovery !== undefined && this.#checkpoints.takes;
  }

  /** What is done everywhere, and kept where anything is, need not go on. */
  #endIfOver(): void {
    if (this.#state !== 'running') return;
    const ended = this.#sources.all;
    const through = ended ? this.#sources.through : this.#planner.lastBatch;
    if (through === noBatch && !ended) return;
    if (this.#waitsForLast(through) || this.#doneThrough.least < through) return;
    this.#state = 'stopping';
    this.#stopAll();
  }

  /**
   * A checkpoint as of the end lets the next start begin there. Where the sources have ended by
   * themselves, nothing has asked for it yet.
   */
  #waitsForLast(through: BatchNumber): boolean {
    if (!this.#keepsEnd() || this.#lastFailed) return false;
    if (this.#checkpoints.last.batch >= through) return false;
    if (this.#last === 'none') this.#askCut();
    return true;
  }

  /** What a worker keeps is released by a checkpoint; until then there may be no room for input. */
  #onPressure(worker: WorkerId, pressure: Pressure, done: BatchNumber): void {
    if (pressure !== 'none') this.#checkpoints.press(this.#nowMs);
    if (pressure === 'hold-back') this.#short.add(worker);
    else this.#short.delete(worker);
    if (this.#holdsBack) this.#shorten(done);
    if (this.#holdsBack === this.#short.size > 0) return;
    this.#holdsBack = !this.#holdsBack;
    this.#trace({ kind: 'input-held-back', holdsBack: this.#holdsBack, worker });
    this.#tellHoldBack();
  }

  /** A long group would put off the checkpoint that input waits for. */
  #shorten(done: BatchNumber): void {
    const isLong = this.#planner.end - 1 - done > heldBackAheadMax;
    if (isLong && this.#mayCut() && !this.#sources.all) this.#askCut();
  }

  #tellHoldBack(): void {
    const { term } = this.#options;
    const change = this.#holdChanges++;
    this.#sendAll({ kind: 'hold-back', term, change, holdsBack: this.#holdsBack });
  }

  /** A stage is done when every worker that has a part of it says so. */
  #onStageDone(worker: WorkerId, stage: number, batch: BatchNumber): void {
    if (batch < this.#stagesOf) return this.#ignore('stage-done', 'already-done');
    if (batch > this.#stagesOf) {
      this.#stagesOf = batch;
      this.#stageWorkers.clear();
    }
    const workers = this.#stageWorkers.get(stage) ?? new Set<WorkerId>();
    this.#stageWorkers.set(stage, workers.add(worker));
    if (workers.size === this.#placed[stage]!.length) this.#planner.stageDone(stage, batch);
  }

  #onAskLocations(worker: WorkerId, batch: BatchNumber, exchange: number): void {
    const workers = this.#placed[this.#template!.exchanges[exchange]!.from]!;
    const { term } = this.#options;
    const message: DriverMessage = { kind: 'locations', term, batch, exchange, workers };
    this.#effects.push({ kind: 'send-message', to: worker, message });
  }

  /** Workers of a driver before this one have come back; nobody waits for more. */
  #onTakeOver(): void {
    if (this.#state !== 'gathering' || this.#members.size === 0) {
      return this.#ignore('take-over', this.#state);
    }
    assert(this.#options.recovery !== undefined, 'only a durable job has a driver after another');
    this.#startRound();
  }

  #onStopRequested({ drain, savepoint }: Extract<DriverEvent, { kind: 'stop-requested' }>): void {
    if (this.#stop !== null || this.#isOver()) {
      if (savepoint !== null) this.#refuseSavepoint(savepoint, endingError);
      return this.#ignore('stop-requested', 'duplicate');
    }
    if (savepoint !== null) {
      // There is one checkpoint as of the end, and one name for it.
      for (const other of this.#checkpoints.forgetWanted()) {
        this.#refuseSavepoint(other, endingError);
      }
      this.#onSavepointRequested(savepoint);
    }
    // What is kept nowhere could not go on.
    this.#stop = { drain: drain || this.#options.recovery === undefined };
    if (this.#state === 'gathering') {
      this.#sendAll({ kind: 'stop', term: this.#options.term });
      this.#finish();
    } else {
      this.#endWithoutWorkers();
      this.#finishIfWanted();
    }
  }

  #isOver(): boolean {
    return this.#state === 'stopping' || this.#state === 'finished' || this.#state === 'failed';
  }

  /** A job that waits for workers and is to go on some other time need not wait for them. */
  #endWithoutWorkers(): void {
    if (this.#state !== 'asking' || this.#members.size > 0) return;
    if (this.#stop !== null && !this.#stop.drain) this.#finish();
  }

  #askCut(): void {
    this.#state = 'cutting';
    this.#cut.ask(this.#nowMs, this.#members.size);
    const { term } = this.#options;
    const from = (this.#knownThrough + 1) as BatchNumber;
    this.#sendAll({ kind: 'ask-cut', term, cut: this.#cut.number, from });
  }

  #onCutAnswer({ worker }: Member, cut: number, from: BatchNumber): void {
    const isLate = this.#state !== 'cutting' || cut !== this.#cut.number;
    if (isLate) return this.#ignore('cut-answer', 'late');
    const end = this.#cut.answer(worker, from);
    if (end === null) return;
    const boundary = Math.min(end, this.#planner.end) as BatchNumber;
    this.#sendAll({ kind: 'set-boundary', term: this.#options.term, cut, end: boundary });
    this.#planner.truncate(this.#nowMs, boundary);
    this.#checkpoints.truncate(boundary);
    this.#state = 'running';
    const elapsedMs = this.#nowMs - this.#cut.askedMs;
    this.#trace({ kind: 'boundary-cut', end: boundary, elapsedMs });
    if (this.#sources.all ? !this.#keepsEnd() : this.#stop === null) return;
    this.#closing = true;
    this.#last = 'wanted';
    this.#planner.close();
  }

  /**
   * All sources end in the same micro-batch, or none does, so that a stopped run has a consistent
   * end. It is the micro-batch as of which state is kept, so no other checkpoint may be under way.
   */
  #planLast(): void {
    if (this.#state !== 'running' || this.#last !== 'wanted' || this.#checkpoints.pending) return;
    if (this.#stop?.drain !== true || this.#sources.all) {
      this.#last = 'given';
      this.#planner.finish({ ends: false });
    } else if (this.#options.recovery === undefined) {
      this.#last = 'given';
      this.#planner.finish({ ends: true });
    } else {
      // If everybody is lost then, some sources would have ended, and nobody know why.
      this.#last = 'journaling';
      this.#effects.push({ kind: 'journal-drain', batch: this.#planner.end });
    }
  }

  #onDrainJournaled(batch: BatchNumber): void {
    const isWanted = this.#last === 'journaling' && batch === this.#planner.end;
    if (this.#state !== 'running' || !isWanted) return this.#ignore('drain-journaled', 'late');
    this.#drainAt = batch;
    this.#last = 'given';
    this.#planner.finish({ ends: !this.#sources.all });
  }

  #giveOrders(): void {
    if (this.#template === null) return;
    this.#planLast();
    const { version } = this.#template;
    const recovers = this.#options.recovery !== undefined;
    while (this.#state === 'running') {
      const single = this.#checkpoints.wantsSavepoint;
      const due = this.#closing ? this.#checkpoints.takes : this.#checkpoints.due(this.#nowMs);
      const context = {
        nowMs: this.#nowMs,
        term: this.#options.term,
        version,
        checkpoint: recovers && (due || single),
        single,
        checkpointed: recovers ? this.#checkpoints.last.batch : null,
        holdsBack: this.#holdsBack,
      };
      const planned = this.#planner.next(context);
      if (planned === null) return;
      this.#give(planned);
      this.#finishIfWanted();
    }
  }

  #give({ order, reanchoredLateMs }: PlannedOrder): void {
    this.#sendAll(order);
    this.#checkpoints.ordered(this.#nowMs, order.checkpointAt, workersIn(this.#template!));
    if (reanchoredLateMs > 0) this.#trace({ kind: 'reanchored', lateMs: reanchoredLateMs });
    const { group, first, count, anchorMs } = order;
    this.#trace({ kind: 'group-permitted', group, first, count, anchorMs });
  }

  #onStopped(member: Member): void {
    if (!member.stopped) this.#stopped++;
    member.stopped = true;
    if (this.#state === 'stopping' && this.#stopped >= this.#members.size) this.#finish();
  }

  #finish(): void {
    const hasRun = this.#state === 'stopping';
    const drained = hasRun && this.#sources.all;
    const lastBatch = drained ? this.#sources.through : this.#planner.lastBatch;
    const { batch } = this.#checkpoints.last;
    // What drivers before this one have done is known to nobody who has not begun.
    const isNew = this.#state === 'gathering' && this.#options.recovery?.from === null;
    const kept = isNew || (hasRun && batch >= lastBatch);
    this.#state = 'finished';
    const end: JobEnd = { lastBatch, drained, kept };
    this.#effects.push({ kind: 'job-finished', ...end });
  }

  /** Workers without a part stop, too. */
  #stopAll(): void {
    this.#sendAll({ kind: 'stop', term: this.#options.term });
    for (const worker of this.#spares.keys()) {
      const message: DriverMessage = { kind: 'stop', term: this.#options.term };
      this.#effects.push({ kind: 'send-message', to: worker, message });
    }
  }

  #fail(worker: WorkerId, error: StreamErrorData, task: TaskName | null): void {
    this.#state = 'failed';
    this.#stopAll();
    this.#effects.push({ kind: 'job-failed', error, worker, task });
  }

  #sendAll(message: DriverMessage): void {
    for (const worker of this.#members.keys()) {
      this.#effects.push({ kind: 'send-message', to: worker, message });
    }
  }

  #ignore(what: string, why: string): void {
    this.#trace({ kind: 'ignored', what, why });
  }

  #trace(trace: Extract<DriverEffect, { kind: 'trace' }>['trace']): void {
    this.#effects.push({ kind: 'trace', trace });
  }
}

/** The micro-batch in which all sources end by a round's order; -1: by none. */
function drainOf({ end, final }: Recovery): BatchNumber {
  return (final ? end - 1 : noBatch) as BatchNumber;
}

type Joined = Extract<DriverEvent, { kind: 'worker-joined' }>;

function lifeOf({ worker, incarnation }: Member): WorkerLife {
  return { worker, incarnation };
}
