// The worker's local scheduler: derives tasks from the template and the permitted micro-batches,
// starts each when its last input is there, and tells the other workers itself what is done
// [Drizzle §3.2]. Sans-IO: facts in by `step`, orders out by `takeEffects`.
//
// | event             | effects                                                                |
// | ----------------- | ---------------------------------------------------------------------- |
// | install-template  | template-installed; messages held for it are taken up                  |
// | start-group       | run-task for what can start                                            |
// | blocks            | recorded first, then run-task for a task whose last input that was     |
// | progress          | run-task for a source that had run ahead as far as it may              |
// | task-finished     | blocks to peers when all local producers are done; the next run-task   |
// | output-committed  | the micro-batch may be done: progress to peers, report                 |
// | ask-cut           | cut-answer, and nothing starts from the promised micro-batch on        |
// | set-boundary      | what was permitted beyond is withdrawn                                 |
// | time-passed       | triggers that are due, the periodic report                             |
// | stop              | stopped                                                                |

import { assert, unreachable } from '../../base/assert.ts';
import { Heap } from '../../base/heap.ts';
import type { StreamErrorData } from '../../base/stream-error.ts';
import { heldMessagesMax, inFlightMax, quietSourceWaitMs } from '../limits.ts';
import type { BatchNumber, Incarnation, Term, WorkerId } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type {
  BlockEntry,
  DriverMessage,
  Peer,
  PeerMessage,
  StartGroup,
  TaskName,
  WorkerMessage,
} from '../protocol/messages.ts';
import type { Template } from '../protocol/template.ts';
import { bundleOf, localProducers } from '../protocol/routing.ts';
import { partitionsOn, workersIn } from '../protocol/template.ts';
import { BatchTable } from './batch-table.ts';
import type { DeliveryHost, DeliveryPolicy } from './delivery.ts';
import { deliveryOf } from './delivery.ts';
import { Downstream } from './downstream.ts';
import type { IgnoreReason, InputHandle, WorkerEffect, WorkerEvent } from './events.ts';
import type { LocalPartition } from './local-partition.ts';
import { localPartition, runsBefore } from './local-partition.ts';
import type { PermittedGroup } from './permissions.ts';
import { Permissions } from './permissions.ts';
import { ReportLog } from './report-log.ts';

type Running = {
  readonly run: number;
  readonly task: TaskName;
  readonly part: number;
  readonly last: boolean;
  readonly local: LocalPartition;
};

export class WorkerMachine {
  readonly #worker: WorkerId;
  readonly #incarnation: Incarnation;
  #term = 0 as Term;
  #nowMs = 0;
  #effects: WorkerEffect[] = [];
  #stopped = false;

  #template: Template | null = null;
  #table: BatchTable = new BatchTable({ exchanges: [], taskCounts: [], hasParts: false });
  #locals: LocalPartition[] = [];
  /** By stage: partitions that live here. */
  #localCounts: number[] = [];
  /** By exchange and bundle: producer partitions that live here. */
  #localProducers: readonly Int32Array[] = [];
  #delivery: DeliveryPolicy | null = null;
  /** What came before the template it belongs to, in order. */
  #held: { readonly from: Peer; readonly message: DriverMessage | PeerMessage }[] = [];
  readonly #permissions = new Permissions();
  /** Cuts through this one are decided; what is still said about them is old. */
  #cutsDecided = 0;
  /** The latest life of each peer that has spoken. */
  readonly #incarnations = new Map<WorkerId, Incarnation>();

  readonly #queue = new Heap<LocalPartition>(runsBefore);
  #running: Running | null = null;
  #runs = 0;

  #startedThrough: BatchNumber = noBatch;
  #doneThrough: BatchNumber = noBatch;
  #downstream: Downstream | null = null;
  /** Planned trigger of micro-batches that are not done, for their makespan. */
  readonly #triggers = new Map<BatchNumber, number>();

  readonly #log = new ReportLog();

  constructor(options: { readonly worker: WorkerId; readonly incarnation: Incarnation }) {
    this.#worker = options.worker;
    this.#incarnation = options.incarnation;
  }

  /** Every local task through this micro-batch is done and its output visible. */
  get doneThrough(): BatchNumber {
    return this.#doneThrough;
  }

  /** Micro-batches that the tables still hold. */
  get batchesHeld(): number {
    return this.#table.size;
  }

  step(nowMs: number, event: WorkerEvent): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    if (this.#stopped) return this.#ignore(event.kind, 'stopped');
    switch (event.kind) {
      case 'message-received':
        this.#onMessage(event.from, event.message);
        break;
      case 'task-finished':
        this.#onTaskFinished(event);
        break;
      case 'task-failed':
        this.#onTaskFailed(event.run, event.error);
        break;
      case 'output-committed':
        this.#table.committed(event.task.batch, event.task.stage);
        this.#onVisible(event.task);
        break;
      case 'commit-failed':
        this.#sendFailure(event.task, event.error);
        break;
      case 'source-ready':
        this.#onSourceReady(event.stage, event.partition);
        break;
      case 'gauges-measured':
        this.#log.gauges = event.gauges;
        break;
      case 'time-passed':
        this.#wakeSources();
        break;
      default:
        unreachable(event);
    }
    this.#runNext();
    this.#reportIfDue();
  }

  takeEffects(): WorkerEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** When `time-passed` is wanted, ms; Infinity when only events matter. */
  nextDeadlineMs(): number {
    if (this.#stopped || this.#template === null) return Infinity;
    let deadline = this.#log.nextDeadlineMs();
    for (const local of this.#locals) deadline = Math.min(deadline, local.lookAgainMs);
    return deadline;
  }

  #onMessage(from: Peer, message: DriverMessage | PeerMessage): void {
    if (message.term < this.#term) return this.#ignore(message.kind, 'old-term');
    this.#term = message.term;
    if (message.kind === 'install-template') return this.#onTemplate(message.template);
    if (message.kind === 'stop') return this.#onStop();
    if (this.#template === null) {
      if (this.#held.length >= heldMessagesMax) return this.#ignore(message.kind, 'no-room');
      this.#held.push({ from, message });
      return;
    }
    switch (message.kind) {
      case 'start-group':
        return this.#onStartGroup(message);
      case 'ask-cut': {
        if (message.cut <= this.#cutsDecided) return this.#ignore('ask-cut', 'duplicate');
        const promised = Math.max(this.#startedThrough + 1, message.from) as BatchNumber;
        this.#permissions.promiseFrom(promised);
        this.#closeOpenSources();
        return this.#tellDriver({
          kind: 'cut-answer',
          term: this.#term,
          incarnation: this.#incarnation,
          cut: message.cut,
          from: promised,
        });
      }
      case 'set-boundary':
        if (message.cut <= this.#cutsDecided) return this.#ignore('set-boundary', 'duplicate');
        this.#cutsDecided = message.cut;
        assert(message.end > this.#startedThrough, 'a boundary withdraws what was started');
        this.#permissions.truncate(message.end);
        this.#forgetGroups();
        return this.#wakeAll();
      case 'locations':
        return this.#delivery!.located(message.batch, message.exchange, message.workers);
      case 'blocks':
      case 'progress':
      case 'pull':
        assert(from !== 'driver', 'blocks never come from the driver');
        return this.#onPeerMessage(from, message);
      default:
        unreachable(message);
    }
  }

  /** Nothing waits for an open task's time when a boundary is wanted. */
  #closeOpenSources(): void {
    for (const local of this.#locals) if (local.source && local.part > 0) local.closing = true;
    this.#wakeSources();
  }

  #onStop(): void {
    this.#stopped = true;
    this.#tellDriver({
      kind: 'stopped',
      term: this.#term,
      incarnation: this.#incarnation,
      gauges: this.#log.gauges,
    });
    this.#effects.push({ kind: 'stop' });
  }

  #onTemplate(template: Template): void {
    if (this.#template !== null) return this.#ignore('install-template', 'duplicate');
    this.#template = template;
    const placementOf = (stage: number): readonly WorkerId[] => template.stages[stage]!.placement;
    const exchanges = template.exchanges.map((exchange) => {
      return { ...exchange, producerCount: placementOf(exchange.from).length };
    });
    this.#localProducers = template.exchanges.map((exchange) =>
      localProducers(exchange, placementOf(exchange.from), this.#worker),
    );
    template.stages.forEach((stage, id) => {
      const partitions = partitionsOn(stage, this.#worker);
      this.#localCounts.push(partitions.length);
      for (const partition of partitions) {
        this.#locals.push(localPartition(id, partition, stage.source));
      }
    });
    const hasParts = template.partMs !== null;
    this.#table = new BatchTable({ exchanges, taskCounts: this.#localCounts, hasParts });
    this.#delivery = deliveryOf(this.#deliveryHost(template));
    this.#downstream = new Downstream(template, this.#worker);
    this.#log.restart(this.#nowMs, workersIn(template));
    this.#tellDriver({
      kind: 'template-installed',
      term: this.#term,
      incarnation: this.#incarnation,
      version: template.version,
    });
    const held = this.#held;
    this.#held = [];
    for (const { from, message } of held) this.#onMessage(from, message);
  }

  #onStartGroup(order: StartGroup): void {
    const beginning = this.#permissions.end === noBatch;
    if (!this.#permissions.permit(order)) return this.#ignore('start-group', 'duplicate');
    if (beginning) {
      for (const local of this.#locals) local.next = order.first;
      this.#doneThrough = (order.first - 1) as BatchNumber;
      this.#startedThrough = this.#doneThrough;
      this.#downstream!.begin(this.#doneThrough);
    }
    this.#table.retireThrough(Math.min(order.retireThrough, this.#doneThrough) as BatchNumber);
    this.#delivery!.launched(order);
    this.#wakeAll();
    this.#advanceDone();
  }

  #onPeerMessage(from: WorkerId, message: PeerMessage): void {
    const life = this.#incarnations.get(from);
    if (life !== undefined && message.incarnation < life) {
      return this.#ignore(message.kind, 'old-incarnation');
    }
    this.#incarnations.set(from, message.incarnation);
    if (message.kind === 'progress') {
      this.#downstream!.heard(from, message.doneThrough);
      return this.#wakeSources();
    }
    if (message.kind === 'pull') {
      return this.#delivery!.pulled(from, message.batch, message.exchange);
    }
    this.#onBlocks(message.batch, message.exchange, message.entries);
  }

  /** Records first, then looks who waits: in one turn, so no wake-up is lost. */
  #onBlocks(batch: BatchNumber, exchange: number, entries: readonly BlockEntry[]): void {
    if (batch <= this.#doneThrough) return this.#ignore('blocks', 'already-done');
    for (const entry of entries) {
      if (!this.#table.arrive(batch, exchange, entry)) this.#ignore('blocks', 'duplicate');
    }
    const { to: consumer, fanIn } = this.#template!.exchanges[exchange]!;
    const isWhole = this.#template!.partMs === null;
    // All consumers of an all-to-all exchange miss the same.
    if (isWhole && fanIn === undefined && !this.#table.complete(batch, exchange, 0)) return;
    for (const local of this.#locals) if (local.stage === consumer) this.#wake(local);
  }

  #onSourceReady(stage: number, partition: number): void {
    for (const local of this.#locals) {
      if (local.stage !== stage || local.partition !== partition) continue;
      local.ready = true;
      this.#wake(local);
    }
  }

  #onTaskFinished(event: Extract<WorkerEvent, { kind: 'task-finished' }>): void {
    const running = this.#running;
    if (running === null || running.run !== event.run) {
      return this.#ignore('task-finished', 'unknown-run');
    }
    const { task, local, part, last } = running;
    this.#running = null;
    this.#log.taskRun(event.elapsedMs);
    local.state = 'waiting';
    local.quietSinceMs = Infinity;
    if (last) this.#closeTask(local, event.commitPending);
    else local.part = part + 1;
    const stage = this.#template!.stages[task.stage]!;
    stage.outputs.forEach((exchange, index) => {
      const output = event.outputs[index];
      this.#onProduced(task, exchange, { producer: task.partition, part, last, output });
    });
    if (stage.source) {
      local.ready = event.sourceReady;
      if (event.ended && !local.ended) this.#onSourceEnded(local, task);
    }
    if (last && !event.commitPending) this.#onVisible(task);
    this.#wake(local);
  }

  #closeTask(local: LocalPartition, commitPending: boolean): void {
    this.#table.taskDone(local.next, local.stage, commitPending);
    local.next = (local.next + 1) as BatchNumber;
    local.part = 0;
    local.taken = [];
    local.closing = false;
  }

  /**
   * One frame a (peer, micro-batch, exchange), when the last local producer is done, with a fan-in
   * the last of those with the same consumer; a part is sent by itself at once.
   */
  #onProduced({ batch }: TaskName, exchange: number, entry: BlockEntry): void {
    if (this.#template!.partMs !== null) {
      return this.#delivery!.produced({ batch, exchange, entries: [entry] });
    }
    const bundle = bundleOf(this.#template!.exchanges[exchange]!, entry.producer);
    const entries = this.#table.produce(batch, exchange, entry);
    if (entries.length < this.#localProducers[exchange]![bundle]!) return;
    this.#delivery!.produced({ batch, exchange, entries });
    if (!this.#delivery!.keeps) this.#table.dropOutputs(batch, exchange, bundle);
  }

  /** A task is done and its output can be seen. */
  #onVisible({ batch, stage }: TaskName): void {
    if (this.#table.stageDone(batch, stage)) this.#delivery!.stageDone(stage, batch);
    this.#advanceDone();
  }

  #deliveryHost(template: Template): DeliveryHost {
    const own = { incarnation: this.#incarnation };
    return {
      worker: this.#worker,
      template,
      outputs: (batch, exchange) => this.#table.outputs(batch, exchange),
      sendBlocks: (to, blocks) => {
        const { version } = template;
        this.#send(to, { kind: 'blocks', term: this.#term, ...own, version, ...blocks });
      },
      deliver: ({ batch, exchange, entries }) => this.#onBlocks(batch, exchange, entries),
      pull: (from, batch, exchange) => {
        this.#send(from, { kind: 'pull', term: this.#term, ...own, batch, exchange });
      },
      askLocations: (batch, exchange) => {
        const ask = { kind: 'ask-locations', term: this.#term, ...own, batch, exchange } as const;
        this.#tellDriver(ask);
      },
      tellStageDone: (stage, batch) => {
        this.#tellDriver({ kind: 'stage-done', term: this.#term, ...own, stage, batch });
      },
    };
  }

  #onSourceEnded(local: LocalPartition, task: TaskName): void {
    local.ended = true;
    this.#log.sourceEnded(task);
    if (this.#locals.every((other) => !other.source || other.ended)) this.#log.request();
  }

  #onTaskFailed(run: number, error: StreamErrorData): void {
    if (this.#running === null || this.#running.run !== run) {
      return this.#ignore('task-failed', 'unknown-run');
    }
    const { task } = this.#running;
    // The partition stays marked as running: without its state nothing of it may run again.
    this.#sendFailure(task, error);
  }

  #sendFailure(task: TaskName, error: StreamErrorData): void {
    this.#tellDriver({
      kind: 'task-failed',
      term: this.#term,
      incarnation: this.#incarnation,
      task,
      error,
    });
  }

  #advanceDone(): void {
    const before = this.#doneThrough;
    for (;;) {
      const batch = (this.#doneThrough + 1) as BatchNumber;
      if (batch >= this.#permissions.end) break;
      if (!this.#table.done(batch)) break;
      this.#doneThrough = batch;
      this.#table.dropInputs(batch);
      this.#traceDone(batch);
    }
    if (this.#doneThrough === before) return;
    this.#forgetGroups();
    for (const producer of this.#downstream!.producers) {
      this.#send(producer, {
        kind: 'progress',
        term: this.#term,
        incarnation: this.#incarnation,
        doneThrough: this.#doneThrough,
      });
    }
    this.#wakeSources();
  }

  /** The end of a group is reported at once: without look-ahead the driver waits for it. */
  #forgetGroups(): void {
    const ended = this.#permissions.forgetBefore((this.#doneThrough + 1) as BatchNumber);
    if (ended) this.#log.request();
  }

  #traceDone(batch: BatchNumber): void {
    const trigger = this.#triggers.get(batch);
    this.#triggers.delete(batch);
    if (trigger === undefined) return;
    const makespanMs = this.#nowMs - trigger;
    this.#log.batchDone(makespanMs);
    this.#effects.push({ kind: 'trace', trace: { kind: 'batch-done', batch, makespanMs } });
  }

  #wakeAll(): void {
    for (const local of this.#locals) this.#wake(local);
  }

  #wakeSources(): void {
    for (const local of this.#locals) if (local.source) this.#wake(local);
  }

  /** Queues the partition's next task if it can run. */
  #wake(local: LocalPartition): void {
    if (local.state !== 'waiting') return;
    local.lookAgainMs = Infinity;
    if (!this.#runnable(local)) return;
    local.state = 'queued';
    this.#queue.push(local);
  }

  #runnable(local: LocalPartition): boolean {
    const group = this.#permissions.groupOf(local.next, local.stage);
    if (group === null) return false;
    if (!local.source) return this.#inputsReady(local);
    if (local.part > 0) return this.#partDue(local, group);
    if (local.next > this.#downstream!.finished(this.#doneThrough) + inFlightMax) return false;
    const trigger = Permissions.triggerMs(group, local.next);
    if (trigger > this.#nowMs) {
      local.lookAgainMs = trigger;
      return false;
    }
    if (group.intervalMs > 0 || local.ready || local.ended || group.final) return true;
    local.quietSinceMs = Math.min(local.quietSinceMs, this.#nowMs);
    const waitedEnoughMs = local.quietSinceMs + quietSourceWaitMs;
    if (waitedEnoughMs <= this.#nowMs) return true;
    local.lookAgainMs = waitedEnoughMs;
    return false;
  }

  /** All inputs are complete; or, where tasks have parts, something new has come. */
  #inputsReady({ stage, partition, next, taken }: LocalPartition): boolean {
    const { inputs } = this.#template!.stages[stage]!;
    if (this.#template!.partMs === null) {
      return inputs.every((exchange) => this.#table.complete(next, exchange, partition));
    }
    return inputs.some((exchange, index) => {
      const arrived = this.#table.inputs(next, exchange, partition);
      return arrived.length > (taken[index] ?? 0);
    });
  }

  /** An open source task gives a part every so often, and its last when the next one's time is. */
  #partDue(local: LocalPartition, group: PermittedGroup): boolean {
    if (local.ended || local.closing) return true;
    const { partMs } = this.#template!;
    const due = Math.min(local.partedMs + (partMs ?? 0), closesMs(group, local.next));
    if (due <= this.#nowMs) return true;
    local.lookAgainMs = due;
    return false;
  }

  #runNext(): void {
    while (this.#running === null) {
      const local = this.#queue.pop();
      if (local === undefined) return;
      const group = this.#permissions.groupOf(local.next, local.stage);
      if (group === null) {
        // Withdrawn by a cut while it waited for the processor.
        local.state = 'waiting';
        continue;
      }
      this.#start(local, group);
    }
  }

  #start(local: LocalPartition, group: PermittedGroup): void {
    const { stage, partition, next: batch, part } = local;
    local.state = 'running';
    if (batch > this.#startedThrough) {
      this.#startedThrough = batch;
      if (batch === group.reportAt) this.#log.request();
    }
    const planned = Permissions.triggerMs(group, batch);
    const now = planned === -Infinity || part > 0;
    // A changed pace may plan a trigger before the last one's; time of a partition never goes back.
    const triggerMs = Math.max(now ? this.#nowMs : planned, local.triggeredMs);
    local.triggeredMs = triggerMs;
    if (!this.#triggers.has(batch)) this.#triggers.set(batch, triggerMs);
    const inputs = local.source ? null : this.#takeInputs(local);
    const last = local.source ? this.#isLastPart(local, group) : this.#allTaken(local);
    const run = this.#runs++;
    const task: TaskName = { stage, partition, batch };
    this.#running = { run, task, part, last, local };
    local.partedMs = this.#nowMs;
    const final = group.final && batch === group.end - 1;
    this.#effects.push({ kind: 'run-task', run, task, part, last, inputs, triggerMs, final });
  }

  #takeInputs(local: LocalPartition): readonly (readonly InputHandle[])[] {
    return this.#template!.stages[local.stage]!.inputs.map((exchange, index) => {
      const arrived = this.#table.inputs(local.next, exchange, local.partition);
      const taken = local.taken[index] ?? 0;
      local.taken[index] = arrived.length;
      // What comes until the task runs is for the next part.
      return this.#template!.partMs === null ? arrived : arrived.slice(taken);
    });
  }

  #allTaken({ stage, partition, next }: LocalPartition): boolean {
    const { inputs } = this.#template!.stages[stage]!;
    return inputs.every((exchange) => this.#table.complete(next, exchange, partition));
  }

  #isLastPart({ ended, closing, next }: LocalPartition, group: PermittedGroup): boolean {
    if (this.#template!.partMs === null || ended || closing || group.final) return true;
    return closesMs(group, next) <= this.#nowMs;
  }

  #reportIfDue(): void {
    if (this.#template === null || this.#stopped) return;
    const report = this.#log.take(this.#nowMs, {
      startedThrough: this.#startedThrough,
      doneThrough: this.#doneThrough,
      queued: this.#queue.size,
    });
    if (report === null) return;
    const incarnation = this.#incarnation;
    this.#tellDriver({ kind: 'report', term: this.#term, incarnation, report });
  }

  #tellDriver(message: WorkerMessage): void {
    this.#effects.push({ kind: 'send-message', to: 'driver', message });
  }

  #send(to: WorkerId, message: PeerMessage): void {
    this.#effects.push({ kind: 'send-message', to, message });
  }

  #ignore(what: string, why: IgnoreReason): void {
    this.#effects.push({ kind: 'trace', trace: { kind: 'ignored', what, why } });
  }
}

/** When the next micro-batch of a group starts, which ends an open task of this one, ms. */
function closesMs(group: PermittedGroup, batch: BatchNumber): number {
  return Permissions.triggerMs(group, batch) + group.intervalMs;
}
