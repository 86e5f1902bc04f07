// The driver: gathers workers, installs the template, permits groups of micro-batches, and decides
// where the job ends. It takes no part inside a group. Sans-IO, like the worker machine.
//
// | state      | leaves on                                  | to         | effects             |
// | ---------- | ------------------------------------------ | ---------- | ------------------- |
// | gathering  | the last worker joined                     | installing | install-template    |
// | installing | the last template-installed                | running    | start-group         |
// | running    | all sources ended and all is done          | stopping   | stop                |
// | running    | stop-requested, urgent pace-changed        | cutting    | ask-cut             |
// | cutting    | the last cut-answer                        | running    | set-boundary, group |
// | stopping   | the last stopped                           | finished   | job-finished        |
// | any        | task-failed, worker-lost                   | failed     | stop, job-failed    |

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
import { partMsDefault } from '../limits.ts';
import { noBatch } from '../protocol/ids.ts';
import type { DriverMessage, Report, TaskName, WorkerMessage } from '../protocol/messages.ts';
import type { Template } from '../protocol/template.ts';
import { workersOf } from '../protocol/template.ts';
import type { DriverEffect, DriverEvent } from './events.ts';
import { executionOf, plannerOf } from './modes.ts';
import { LeastProgress } from './least-progress.ts';
import type { PlanShape } from './placement.ts';
import { placeRoundRobin } from './placement.ts';
import type { Pace, PlannedOrder, Planner } from './planner.ts';

export type DriverOptions = {
  readonly shape: PlanShape;
  /** The job starts when this many workers have joined. */
  readonly workerCount: number;
  readonly mode: ExecutionMode;
  /** In `continuous` mode: time between two parts of a source's micro-batch. Default: 10. */
  readonly partMs?: number;
  readonly pace: Pace;
  readonly term: Term;
};

type State =
  | 'gathering'
  | 'installing'
  | 'running'
  | 'cutting'
  | 'stopping'
  | 'finished'
  | 'failed';

type Member = {
  /** Members are numbered from 0 in the order in which they joined. */
  readonly index: number;
  readonly worker: WorkerId;
  readonly incarnation: Incarnation;
  installed: boolean;
  cutAnswered: boolean;
  stopped: boolean;
};

export class DriverMachine {
  readonly #options: DriverOptions;
  readonly #members = new Map<WorkerId, Member>();
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

  #cuts = 0;
  #cutAskedMs = 0;
  #cutAnswers = 0;
  /** The greatest answer. */
  #cutEnd = 0;
  #stopRequested = false;
  /** The last micro-batch has been planned. */
  #closing = false;
  #sourcePartitions = 0;
  /** The micro-batch whose finished stages are counted, and who has finished which. */
  #stagesOf: BatchNumber = noBatch;
  readonly #stageWorkers = new Map<number, Set<WorkerId>>();
  /** By stage: who holds a part of it. */
  #placed: readonly (readonly WorkerId[])[] = [];
  /** Source partitions that ended, and the last micro-batch in which one did. */
  readonly #ended = new Set<string>();
  #endedThrough: BatchNumber = noBatch;

  constructor(options: DriverOptions) {
    assert(options.workerCount >= 1, 'a job needs a worker');
    this.#options = options;
    this.#planner = plannerOf(options.mode, options.shape, options.pace);
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
        this.#onJoined(event.worker, event.incarnation);
        break;
      case 'worker-lost':
        this.#onLost(event.worker, event.error);
        break;
      case 'message-received':
        this.#onMessage(event.from, event.message);
        break;
      case 'stop-requested':
        this.#onStopRequested();
        break;
      case 'pace-changed':
        this.#planner.changePace(event);
        if (event.urgent && this.#state === 'running' && !this.#closing) this.#askCut();
        break;
      case 'time-passed':
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
    if (this.#state !== 'running') return Infinity;
    const deadline = this.#planner.nextDeadlineMs();
    // What is wanted by now but held back by unfinished groups waits for reports, not for time.
    return deadline <= this.#nowMs ? Infinity : deadline;
  }

  #onJoined(worker: WorkerId, incarnation: Incarnation): void {
    if (this.#state === 'finished' || this.#state === 'failed') {
      const message: DriverMessage = { kind: 'stop', term: this.#options.term };
      this.#effects.push({ kind: 'send-message', to: worker, message });
      return;
    }
    if (this.#state !== 'gathering') return this.#ignore('worker-joined', this.#state);
    this.#members.set(worker, {
      index: this.#members.get(worker)?.index ?? this.#members.size,
      worker,
      incarnation,
      installed: false,
      cutAnswered: false,
      stopped: false,
    });
    if (this.#members.size < this.#options.workerCount) return;
    this.#template = placeRoundRobin(this.#options.shape, [...this.#members.keys()], {
      version: 0 as PlacementVersion,
      ...executionOf(this.#options.mode, this.#options.partMs ?? partMsDefault),
    });
    this.#sourcePartitions = sourcePartitionsOf(this.#template);
    this.#placed = this.#template.stages.map(workersOf);
    this.#doneThrough = new LeastProgress(this.#members.size, noBatch);
    this.#state = 'installing';
    this.#installSentMs = this.#nowMs;
    const { term } = this.#options;
    this.#sendAll({ kind: 'install-template', term, template: this.#template });
  }

  #onLost(worker: WorkerId, error: StreamErrorData): void {
    if (this.#state === 'finished' || this.#state === 'failed') return;
    const member = this.#members.get(worker);
    if (this.#state === 'stopping' && member !== undefined) return this.#onStopped(member);
    this.#fail(worker, error, null);
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
        return this.#onStageDone(from, message.stage, message.batch);
      case 'ask-locations':
        return this.#onAskLocations(from, message.batch, message.exchange);
      case 'cut-answer':
        return this.#onCutAnswer(member, message.cut, message.from);
      case 'task-failed':
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
    this.#effects.push({ kind: 'job-started' });
    if (this.#stopRequested) this.#askCut();
  }

  #onReport(member: Member, report: Report): void {
    this.#effects.push({ kind: 'report-received', worker: member.worker, report });
    this.#doneThrough.raise(member.index, report.doneThrough);
    const done = this.#doneThrough.least as BatchNumber;
    this.#planner.progressed(this.#nowMs, report.startedThrough, done);
    for (const { stage, partition, batch } of report.ended) {
      this.#ended.add(`${stage}/${partition}`);
      this.#endedThrough = Math.max(this.#endedThrough, batch) as BatchNumber;
    }
    if (this.#sourcesEnded()) this.#planner.close();
    if (this.#state === 'running' && this.#sourcesEnded() && done >= this.#endedThrough) {
      this.#state = 'stopping';
      this.#sendAll({ kind: 'stop', term: this.#options.term });
    }
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

  #onStopRequested(): void {
    if (this.#stopRequested) return;
    this.#stopRequested = true;
    if (this.#state === 'gathering') {
      this.#state = 'finished';
      this.#sendAll({ kind: 'stop', term: this.#options.term });
      this.#effects.push({ kind: 'job-finished', lastBatch: noBatch });
    } else if (this.#state === 'running') {
      this.#askCut();
    }
  }

  #askCut(): void {
    this.#state = 'cutting';
    this.#cutAskedMs = this.#nowMs;
    this.#cuts++;
    this.#cutAnswers = 0;
    this.#cutEnd = 0;
    for (const member of this.#members.values()) member.cutAnswered = false;
    const { term } = this.#options;
    this.#sendAll({ kind: 'ask-cut', term, cut: this.#cuts, from: 0 as BatchNumber });
  }

  /** The boundary is the maximum of the answers: nobody has started it, nobody will miss it. */
  #onCutAnswer(member: Member, cut: number, from: BatchNumber): void {
    if (this.#state !== 'cutting' || cut !== this.#cuts) return this.#ignore('cut-answer', 'late');
    this.#cutEnd = Math.max(this.#cutEnd, from);
    if (member.cutAnswered) return;
    member.cutAnswered = true;
    this.#cutAnswers++;
    if (this.#cutAnswers < this.#members.size) return;
    const boundary = Math.min(this.#cutEnd, this.#planner.end) as BatchNumber;
    this.#sendAll({ kind: 'set-boundary', term: this.#options.term, cut, end: boundary });
    this.#planner.truncate(this.#nowMs, boundary);
    this.#state = 'running';
    const elapsedMs = this.#nowMs - this.#cutAskedMs;
    this.#trace({ kind: 'boundary-cut', end: boundary, elapsedMs });
    if (!this.#stopRequested || this.#sourcesEnded()) return;
    // All sources end in the same micro-batch, so that a stopped run has a consistent end.
    this.#closing = true;
    this.#planner.finish();
  }

  #giveOrders(): void {
    if (this.#template === null) return;
    const { version } = this.#template;
    const context = { nowMs: this.#nowMs, term: this.#options.term, version };
    while (this.#state === 'running') {
      const planned = this.#planner.next(context);
      if (planned === null) return;
      this.#give(planned);
    }
  }

  #give({ order, reanchoredLateMs }: PlannedOrder): void {
    this.#sendAll(order);
    if (reanchoredLateMs > 0) this.#trace({ kind: 'reanchored', lateMs: reanchoredLateMs });
    const { group, first, count, anchorMs } = order;
    this.#trace({ kind: 'group-permitted', group, first, count, anchorMs });
  }

  #sourcesEnded(): boolean {
    return this.#ended.size === this.#sourcePartitions;
  }

  #onStopped(member: Member): void {
    if (!member.stopped) this.#stopped++;
    member.stopped = true;
    if (this.#state !== 'stopping' || this.#stopped < this.#members.size) return;
    this.#state = 'finished';
    this.#effects.push({ kind: 'job-finished', lastBatch: this.#endedThrough });
  }

  #fail(worker: WorkerId, error: StreamErrorData, task: TaskName | null): void {
    this.#state = 'failed';
    this.#sendAll({ kind: 'stop', term: this.#options.term });
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

function sourcePartitionsOf(template: Template): number {
  let partitions = 0;
  for (const stage of template.stages) if (stage.source) partitions += stage.placement.length;
  return partitions;
}
