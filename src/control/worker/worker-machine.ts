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
// | frontier          | commit-output and blocks that waited for durable ranges                |
// | task-finished     | blocks to peers when all local producers are done; the next run-task   |
// | output-committed  | the micro-batch may be done: progress to peers, report                 |
// | range-logged      | frontier to peers, and as for `frontier`                               |
// | snapshot-stored   | snapshots-stored when it was the last partition's                      |
// | blocks-spilled    | spill-blocks while there is more to move to the disk                   |
// | blocks-read       | blocks to those who took partitions over; the next read-blocks         |
// | hold-back         | run-task of sources takes a record at most, until it is taken back     |
// | ask-cut           | cut-answer, and nothing starts from the promised micro-batch on        |
// | set-boundary      | what was permitted beyond is withdrawn                                 |
// | ask-status        | the dead are refused from now on; then status                          |
// | recover           | restore-state for what it takes over; kept blocks to new owners        |
// | time-passed       | triggers that are due, the periodic report                             |
// | stop              | stopped                                                                |

import { assert, unreachable } from '../../base/assert.ts';
import { Heap } from '../../base/heap.ts';
import type { StreamErrorData } from '../../base/stream-error.ts';
import { backupEveryDefault, catchUpToldEvery, heldMessagesMax, inFlightMax } from '../limits.ts';
import { quietSourceWaitMs, resendAheadMax } from '../limits.ts';
import type {
  BatchNumber,
  Incarnation,
  PlacementVersion,
  Term,
  WorkerId,
} from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type {
  BlockCopy,
  BlockEntry,
  DriverMessage,
  Handle,
  Peer,
  PeerMessage,
  Place,
  Pressure,
  StartGroup,
  TaskName,
  WorkerLife,
  WorkerMessage,
} from '../protocol/messages.ts';
import type { Recovery } from '../protocol/recovery.ts';
import { replaysInOrder } from '../protocol/recovery.ts';
import { bundleFor, bundleOf, producersOf } from '../protocol/routing.ts';
import type { Template } from '../protocol/template.ts';
import { partitionsOn, workerCountOf } from '../protocol/template.ts';
import { Backups } from './backups.ts';
import type { Blocks, DeliveryHost, DeliveryPolicy } from './delivery.ts';
import { deliveryOf } from './delivery.ts';
import { Downstream } from './downstream.ts';
import type { IgnoreReason, InputHandle, Replay, WorkerEffect, WorkerEvent } from './events.ts';
import { Frontier } from './frontier.ts';
import type { KeptEntry } from './kept-blocks.ts';
import { KeptBlocks } from './kept-blocks.ts';
import type { LocalPartition, Rerun, Runnable } from './local-partition.ts';
import { advanceDone, inboxOf, localPartition, runsBefore } from './local-partition.ts';
import type { PermittedGroup } from './permissions.ts';
import { Permissions } from './permissions.ts';
import { ReportLog } from './report-log.ts';
import { Resending } from './resending.ts';
import { Resends } from './resends.ts';
import { Membership } from './membership.ts';
import { Reruns, rerunsOn } from './reruns.ts';
import { SnapshotRound } from './snapshot-round.ts';
import type { KeptLimits } from './spill-policy.ts';
import { keptLimitsDefault, SpillPolicy } from './spill-policy.ts';

type Running = {
  readonly run: number;
  readonly task: TaskName;
  readonly part: number;
  readonly last: boolean;
  readonly of: Runnable;
  readonly replay: Replay | null;
};

export class WorkerMachine {
  readonly #worker: WorkerId;
  readonly #incarnation: Incarnation;
  #term = 0 as Term;
  #nowMs = 0;
  #effects: WorkerEffect[] = [];
  #stopped = false;

  #template: Template | null = null;
  #kept = new KeptBlocks(0);
  #locals: LocalPartition[] = [];
  /** By stage: partitions that live here. */
  #localsOf: LocalPartition[][] = [];
  #delivery: DeliveryPolicy | null = null;
  #frontier: Frontier | null = null;
  #resending: Resending | null = null;
  #backups: Backups | null = null;
  /** What came before the placement it belongs to, in order. */
  #held: { readonly from: Peer; readonly message: DriverMessage | PeerMessage }[] = [];
  readonly #permissions = new Permissions();
  /** Cuts through this one are decided; what is still said about them is old. */
  #cutsDecided = 0;
  readonly #membership = new Membership();
  /** Told again to every new driver. */
  #failure: { readonly task: TaskName; readonly error: StreamErrorData } | null = null;
  #round = -1;
  /** The last round whose order was carried out. */
  #recoveredRound = -1;
  /** A question that waits for the running task to end. */
  #asked: AskStatus | null = null;
  /** Sources read nothing new until it is known where they are to be. */
  #sourcesWait = false;
  /** A recovery that waits for the running task to end. */
  #recovery: Recovery | null = null;
  /** Blocks of older placements are of a history that was rolled back. */
  #acceptsSince = 0 as PlacementVersion;

  readonly #queue = new Heap<Runnable>(runsBefore);
  #running: Running | null = null;
  #runs = 0;
  #reruns = new Reruns([]);

  #startedThrough: BatchNumber = noBatch;
  #doneThrough: BatchNumber = noBatch;
  /** A checkpoint covers everything through here. */
  #retiredThrough: BatchNumber = noBatch;
  #downstream: Downstream | null = null;
  /** Planned trigger of micro-batches that are not done, for their makespan. */
  readonly #triggers = new Map<BatchNumber, number>();
  /** Output that waits for the frontier, in the order in which tasks gave it. */
  #gatedCommits: { readonly local: LocalPartition; readonly task: TaskName }[] = [];
  #gatedBlocks: Bundle[] = [];
  #snapshots: SnapshotRound | null = null;
  /** The last micro-batch as of which state was wanted. */
  #checkpointAt: BatchNumber = noBatch;
  /** By stage, where the driver launches each: done through here, and told. */
  #stagesDone: BatchNumber[] = [];

  readonly #spills: SpillPolicy;
  readonly #backupEvery: number;
  readonly #resends: Resends;
  /** It repeats micro-batches up to here: who sends blocks again is told how far it is. */
  #catchesUp: { readonly end: BatchNumber; readonly tell: readonly WorkerId[] } | null = null;
  #takenToldThrough: BatchNumber = noBatch;
  /** The last such order, and what it said. */
  #holdChange = -1;
  #holdsBack = false;

  readonly #log = new ReportLog();

  constructor(options: {
    readonly worker: WorkerId;
    readonly incarnation: Incarnation;
    readonly keptLimits?: KeptLimits | undefined;
    /** Micro-batches whose copies are sent at once. */
    readonly backupEvery?: number | undefined;
  }) {
    this.#worker = options.worker;
    this.#incarnation = options.incarnation;
    const limits = options.keptLimits ?? keptLimitsDefault;
    this.#backupEvery = options.backupEvery ?? backupEveryDefault;
    this.#spills = new SpillPolicy(limits);
    this.#resends = new Resends({
      loadBytesMax: limits.loadBytesMax,
      retiredThrough: () => this.#retiredThrough,
      give: (to, blocks, only) => this.#giveTo(to, blocks, only),
      read: (read, stored) => this.#effects.push({ kind: 'read-blocks', read, stored }),
    });
  }

  /** Every local task through this micro-batch is done and its output visible. */
  get doneThrough(): BatchNumber {
    return this.#doneThrough;
  }

  /** The placement it works by; null before the first. */
  get template(): Template | null {
    return this.#template;
  }

  /** Micro-batches of which blocks or ranges are kept. */
  get batchesHeld(): number {
    return this.#kept.size;
  }

  /** What it keeps through this micro-batch was released: a checkpoint covers it. */
  get retiredThrough(): BatchNumber {
    return this.#retiredThrough;
  }

  /** What kept blocks take of memory and of the spill disk. */
  get kept(): { readonly memoryBytes: number; readonly diskBytes: number } {
    return this.#kept;
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
        this.#onCommitted(event.task, event.since);
        break;
      case 'commit-failed':
      case 'log-failed':
        this.#onRefused(event);
        break;
      case 'source-ready':
        this.#onSourceReady(event);
        break;
      case 'state-restored':
        this.#onRestored(event);
        break;
      case 'restore-failed':
        if (this.#localAt(event)?.since !== event.since) break;
        this.#sendFailure({ ...place(event), batch: this.#retiredThrough }, event.error);
        break;
      case 'range-read':
        this.#onRangeRead(event.task);
        break;
      case 'range-logged':
        this.#onRangeLogged(event.task, event.since);
        break;
      case 'snapshot-stored':
        this.#onSnapshotStored(event);
        break;
      case 'snapshot-failed':
        this.#onSnapshotFailed(event);
        break;
      case 'blocks-spilled':
        if (this.#spills.stored(event.spill, this.#kept, event.stored)) break;
        this.#ignore('blocks-spilled', 'unknown-run');
        break;
      case 'spill-failed':
        if (this.#spills.failed(this.#nowMs, event.spill, this.#kept)) break;
        this.#ignore('spill-failed', 'unknown-run');
        break;
      case 'blocks-read':
        if (this.#resends.blocksRead(event.read, event.outputs)) break;
        this.#ignore('blocks-read', 'unknown-run');
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
    this.#spill();
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
    if (from !== 'driver') return this.#onPeerMessage(from, message as PeerMessage);
    const order = message as DriverMessage;
    if (order.term < this.#term) return this.#ignore(order.kind, 'old-term');
    // A recovery waits for the running task, and everything that follows it waits, too: also what
    // another driver says, for rounds and cuts of the recovery's are none of its own.
    const waits = this.#recovery !== null && order.kind !== 'stop';
    if (waits) return this.#hold(from, order);
    if (order.term > this.#term) this.#enter(order.term);
    if (order.kind === 'stop') return this.#onStop();
    if (order.kind === 'ask-status') return this.#onAskStatus(order);
    if (order.kind === 'install-template') return this.#onTemplate(order.template);
    if (order.kind === 'recover') return this.#onRecover(order.recovery);
    if (this.#template === null) return this.#hold(from, order);
    switch (order.kind) {
      case 'start-group':
        return this.#onStartGroup(order);
      case 'ask-cut':
        return this.#onAskCut(order.cut, order.from);
      case 'set-boundary':
        return this.#onBoundary(order.cut, order.end);
      case 'locations':
        return this.#delivery!.located(order.batch, order.exchange, order.workers);
      case 'hold-back':
        return this.#onHoldBack(order.change, order.holdsBack);
      default:
        unreachable(order);
    }
  }

  /** Another driver: its cuts and rounds are counted anew. */
  #enter(term: Term): void {
    this.#term = term;
    this.#cutsDecided = 0;
    this.#round = -1;
    this.#recoveredRound = -1;
    this.#holdChange = -1;
    this.#holdsBack = false;
  }

  #onPeerMessage(from: WorkerId, message: PeerMessage): void {
    const refusal = this.#membership.refusal(from, message, this.#version);
    if (refusal !== null) return this.#ignore(message.kind, refusal);
    const { version } = message;
    if (this.#template === null || version > this.#template.version || this.#recovery !== null) {
      return this.#hold(from, message);
    }
    if (version < this.#acceptsSince) return this.#ignore(message.kind, 'rolled-back');
    switch (message.kind) {
      case 'blocks':
        return this.#onBlocks(message);
      case 'progress':
        if (version !== this.#template.version) return;
        this.#downstream!.heard(from, message.doneThrough);
        this.#resends.heard(from, message.takenThrough);
        return this.#wakeSources();
      case 'frontier':
        this.#frontier!.heard(from, version, message.durableThrough);
        return this.#openGates();
      case 'pull':
        return this.#delivery!.pulled(from, message.batch, message.exchange);
      case 'backup':
        return this.#onBackup({ worker: from, incarnation: message.incarnation }, message.copies);
      default:
        unreachable(message);
    }
  }

  #hold(from: Peer, message: DriverMessage | PeerMessage): void {
    if (this.#held.length >= heldMessagesMax) return this.#ignore(message.kind, 'no-room');
    this.#held.push({ from, message });
  }

  #takeUpHeld(): void {
    const held = this.#held;
    this.#held = [];
    for (const { from, message } of held) this.#onMessage(from, message);
  }

  #onAskCut(cut: number, from: BatchNumber): void {
    if (cut <= this.#cutsDecided) return this.#ignore('ask-cut', 'duplicate');
    const promised = Math.max(this.#startedThrough + 1, from) as BatchNumber;
    this.#permissions.promiseFrom(promised);
    this.#closeOpenSources();
    const { term, incarnation } = this.#signed();
    this.#tellDriver({ kind: 'cut-answer', term, incarnation, cut, from: promised });
  }

  #onBoundary(cut: number, end: BatchNumber): void {
    if (cut <= this.#cutsDecided) return this.#ignore('set-boundary', 'duplicate');
    this.#cutsDecided = cut;
    assert(end > this.#startedThrough, 'a boundary withdraws what was started');
    this.#permissions.truncate(end);
    if (this.#snapshots !== null && this.#snapshots.batch >= end) this.#snapshots = null;
    this.#checkpointAt = Math.min(this.#checkpointAt, end - 1) as BatchNumber;
    this.#forgetGroups();
    this.#wakeAll();
  }

  /** Nothing waits for an open task's time when a boundary is wanted. */
  #closeOpenSources(): void {
    for (const local of this.#locals) if (local.source && local.part > 0) local.closing = true;
    this.#wakeSources();
  }

  #onStop(): void {
    this.#stopped = true;
    this.#tellDriver({ kind: 'stopped', ...this.#signed(), gauges: this.#log.gauges });
    this.#effects.push({ kind: 'stop' });
  }

  #onTemplate(template: Template): void {
    if (this.#template !== null) return this.#ignore('install-template', 'duplicate');
    this.#kept = new KeptBlocks(template.exchanges.length);
    template.stages.forEach((stage, id) => {
      for (const partition of partitionsOn(stage, this.#worker)) {
        this.#locals.push(this.#newLocal(template, { stage: id, partition }, noBatch));
      }
    });
    this.#place(template);
    this.#takeUpHeld();
  }

  #newLocal(template: Template, at: Place, done: BatchNumber): LocalPartition {
    const { source, inputs } = template.stages[at.stage]!;
    const producers = inputs.map((input) => {
      const exchange = template.exchanges[input]!;
      const { length } = template.stages[exchange.from]!.placement;
      return producersOf(exchange, bundleFor(exchange, at.partition), length);
    });
    return localPartition({ ...at, source, producers, since: template.version }, done);
  }

  /** Everything that follows from who is where. */
  #place(template: Template): void {
    this.#template = template;
    this.#localsOf = template.stages.map(() => []);
    for (const local of this.#locals) this.#localsOf[local.stage]!.push(local);
    this.#delivery = deliveryOf(this.#deliveryHost(template));
    this.#backups = new Backups(template, { of: this.#worker, every: this.#backupEvery });
    this.#downstream = new Downstream(template, this.#worker);
    this.#frontier = new Frontier(template, this.#worker);
    this.#log.restart(this.#nowMs, workerCountOf(template));
    this.#tellDriver({ kind: 'template-installed', ...this.#signed(), version: template.version });
  }

  #onStartGroup(order: StartGroup): void {
    const beginning = this.#permissions.end === noBatch;
    if (order.version !== this.#template!.version) return this.#ignore('start-group', 'old-round');
    if (!this.#permissions.permit(order)) return this.#ignore('start-group', 'duplicate');
    if (beginning) this.#begin((order.first - 1) as BatchNumber);
    const retired = Math.min(order.retireThrough, this.#doneThrough) as BatchNumber;
    if (retired > this.#retiredThrough) this.#retire(retired);
    // After a rollback all is made anew: what everybody has done with is of no use.
    if (this.#template!.reach === 'all') {
      this.#kept.retireThrough(Math.min(order.first - 1, this.#doneThrough) as BatchNumber);
    }
    if (order.checkpointAt > this.#checkpointAt) {
      this.#checkpointAt = order.checkpointAt;
      const partitions = this.#locals.length;
      if (partitions > 0) this.#snapshots = new SnapshotRound(order.checkpointAt, partitions);
    }
    this.#delivery!.launched(order);
    this.#wakeAll();
    this.#advanceDone();
  }

  /** A checkpoint covers what is kept through here. */
  #retire(through: BatchNumber): void {
    this.#retiredThrough = through;
    this.#kept.retireThrough(through);
    if (this.#spills.retired(through)) this.#effects.push({ kind: 'drop-spilled', through });
  }

  #onHoldBack(change: number, holdsBack: boolean): void {
    if (change <= this.#holdChange) return this.#ignore('hold-back', 'duplicate');
    this.#holdChange = change;
    this.#holdsBack = holdsBack;
    this.#wakeSources();
  }

  /** The job begins behind `done`. */
  #begin(done: BatchNumber): void {
    for (const local of this.#locals) {
      local.next = (done + 1) as BatchNumber;
      local.doneThrough = done;
      local.durableThrough = done;
    }
    this.#doneThrough = done;
    this.#startedThrough = done;
    this.#retiredThrough = done;
    this.#stagesDone = this.#template!.stages.map(() => done);
    this.#downstream!.begin(done);
  }

  /** Refuses the dead first, and only then says what there is: nothing can be added to it. */
  #onAskStatus(order: AskStatus): void {
    const { round, members, moves } = order;
    if (round < this.#round || round <= this.#recoveredRound) {
      return this.#ignore('ask-status', 'old-round');
    }
    this.#round = round;
    this.#listenTo(members);
    this.#snapshots = null;
    this.#permissions.promiseFrom((this.#startedThrough + 1) as BatchNumber);
    this.#sourcesWait = moves;
    this.#closeOpenSources();
    // A source may move away from here: what it is reading now belongs to what is told.
    this.#asked = moves && this.#running !== null ? order : null;
    if (this.#asked === null) this.#tellStatus(order);
    if (this.#failure !== null) this.#tellFailure(this.#failure);
  }

  #tellStatus({ round, moves }: AskStatus): void {
    const own = this.#locals.filter(({ source }) => source && moves);
    const ranges = [
      ...this.#lostSources().flatMap(({ owner, ...place }) => {
        // What the dead had logged lies there before their logs are closed and read.
        return this.#kept.rangesOf(place, this.#frontier!.durableOf(owner));
      }),
      // Its own may come into the log behind what the driver reads.
      ...own.flatMap((source) => this.#kept.rangesOf(source, this.#retiredThrough)),
    ];
    this.#tellDriver({
      kind: 'status',
      ...this.#signed(),
      round,
      status: {
        version: this.#version,
        owned: this.#locals.map(({ stage, partition, next, endedAt }) => {
          return { stage, partition, next, endedAt };
        }),
        startedThrough: this.#startedThrough,
        doneThrough: this.#doneThrough,
        finalBatch: this.#permissions.finalBatch,
        refused: this.#membership.refused,
        ranges,
        kept: this.#kept.spans(this.#sourceStages()),
      },
    });
  }

  /** The placement it works by; -1: none yet. */
  get #version(): PlacementVersion {
    return this.#template?.version ?? (-1 as PlacementVersion);
  }

  #listenTo(members: readonly WorkerLife[]): void {
    this.#membership.restrictTo(members);
    // What others have said meanwhile and nobody could use yet is as good as never said.
    this.#held = this.#held.filter(({ from, message }) => {
      if (from === 'driver' || !('incarnation' in message)) return true;
      return this.#membership.listensTo(from, message as PeerMessage, this.#version);
    });
  }

  /** Source partitions whose owner, as far as is known here, is not there any more. */
  #lostSources(): readonly (Place & { readonly owner: WorkerId })[] {
    const places: (Place & { readonly owner: WorkerId })[] = [];
    this.#template?.stages.forEach(({ source, placement }, stage) => {
      if (!source) return;
      placement.forEach((owner, partition) => {
        if (this.#membership.isLost(owner)) places.push({ stage, partition, owner });
      });
    });
    return places;
  }

  #sourceStages(): readonly { readonly stage: number; readonly outputs: readonly number[] }[] {
    const stages = this.#template?.stages ?? [];
    return stages.flatMap(({ source, outputs }, stage) => (source ? [{ stage, outputs }] : []));
  }

  #onRecover(recovery: Recovery): void {
    if (recovery.round < this.#round) return this.#ignore('recover', 'old-round');
    if (this.#template !== null && recovery.template.version <= this.#template.version) {
      return this.#ignore('recover', 'duplicate');
    }
    this.#round = recovery.round;
    if (this.#running !== null) this.#recovery = recovery;
    else this.#recover(recovery);
  }

  #recover(recovery: Recovery): void {
    const { round, template, checkpoint, end, final, cut } = recovery;
    this.#recoveredRound = round;
    this.#sourcesWait = false;
    this.#membership.settle(template.version);
    assert(end > this.#startedThrough || template.reach === 'all', 'a recovery withdraws a start');
    const fresh = this.#template === null;
    if (fresh) this.#kept = new KeptBlocks(template.exchanges.length);
    if (template.reach === 'all' || fresh) this.#acceptsSince = template.version;
    // What lies before the boundary counts as begun everywhere: no cut may withdraw it.
    this.#startedThrough = (end - 1) as BatchNumber;
    this.#retire(Math.max(this.#retiredThrough, checkpoint) as BatchNumber);
    this.#snapshots = null;
    this.#checkpointAt = Math.min(this.#checkpointAt, end - 1) as BatchNumber;
    this.#cutsDecided = Math.max(this.#cutsDecided, cut);
    this.#permissions.restart(end, { version: template.version, final });
    const adopted = this.#takeOver(recovery);
    this.#place(template);
    this.#downstream!.begin(checkpoint);
    this.#resending = new Resending(recovery);
    this.#remember(recovery);
    this.#reruns = new Reruns(
      rerunsOn(this.#worker, recovery, (at, batch) => this.#kept.rangeOf(at, batch)),
    );
    for (const local of adopted) this.#restore(local, recovery);
    this.#catchUp(recovery);
    this.#resend(recovery);
    this.#tellTaken();
    this.#giveWaiting();
    this.#doneThrough = checkpoint;
    this.#stagesDone = template.stages.map(() => checkpoint);
    this.#advanceDone();
    this.#frontier!.reached(this.#durableThrough());
    this.#tellFrontier();
    this.#requeue();
    this.#openGates();
    // What was reported under the last placement may not have counted any more.
    for (const { endedAt: batch, stage, partition } of this.#locals) {
      if (batch !== noBatch) this.#log.sourceEnded({ stage, partition, batch });
    }
    this.#log.request();
    this.#takeUpHeld();
  }

  /** Drops partitions that are not its own any more, and adds those that are now. */
  #takeOver({ template, moved, checkpoint }: Recovery): readonly LocalPartition[] {
    const isMoved = (at: Place): boolean =>
      moved.some(({ stage, partition }) => stage === at.stage && partition === at.partition);
    const kept = this.#locals.filter(
      (local) =>
        template.stages[local.stage]!.placement[local.partition] === this.#worker &&
        !isMoved(local),
    );
    if (template.reach === 'all') {
      // They will be run anew, and what is not durable yet may come out otherwise.
      for (const local of this.#locals) {
        this.#kept.forget(local, template.stages[local.stage]!.outputs);
      }
    }
    for (const { stage, partition } of this.#locals) {
      if (template.stages[stage]!.placement[partition] === this.#worker) continue;
      this.#effects.push({ kind: 'forget-state', stage, partition });
    }
    this.#gatedCommits = this.#gatedCommits.filter(({ local }) => kept.includes(local));
    const adopted: LocalPartition[] = [];
    template.stages.forEach((stage, id) => {
      for (const partition of partitionsOn(stage, this.#worker)) {
        const at = { stage: id, partition };
        if (kept.some((local) => local.stage === id && local.partition === partition)) continue;
        adopted.push(this.#newLocal(template, at, checkpoint));
      }
    });
    this.#locals = [...kept, ...adopted].sort(
      (a, b) => a.stage - b.stage || a.partition - b.partition,
    );
    return adopted;
  }

  #remember({ known }: Recovery): void {
    for (const { stage, partition, first, ranges } of known) {
      ranges.forEach((parts, index) => {
        const batch = (first + index) as BatchNumber;
        parts.forEach((range, part) => {
          const last = part === parts.length - 1;
          this.#kept.addRange({ stage, partition, batch, part, last }, range);
        });
      });
    }
  }

  /** Orders the state of a partition that is new here, and what it must read again. */
  #restore(local: LocalPartition, recovery: Recovery): void {
    const { stage, partition } = local;
    const same = (at: Place): boolean => at.stage === stage && at.partition === partition;
    const snapshot = recovery.snapshots.find(same);
    const known = recovery.known.find(same);
    local.lastRange = snapshot?.range ?? null;
    let behind = null;
    let readsBehind = null;
    if (known !== undefined) {
      readsBehind = known.ranges.at(-1)?.at(-1) ?? null;
      const through = (known.first + known.ranges.length - 1) as BatchNumber;
      local.durableThrough = through;
      if (replaysInOrder(recovery.template, stage)) {
        known.ranges.forEach((parts, index) => {
          local.known.set((known.first + index) as BatchNumber, parts);
        });
      } else if (known.ranges.length > 0) {
        // Others run those micro-batches again; this one goes on behind them.
        behind = readsBehind;
        local.lastRange = behind;
        local.next = (through + 1) as BatchNumber;
        local.doneThrough = through;
      }
    }
    local.state = 'restoring';
    const { since } = local;
    const from = { snapshot: snapshot?.snapshot ?? null, behind, readsBehind };
    const order = { stage, partition, since, checkpoint: recovery.checkpoint, ...from };
    this.#effects.push({ kind: 'restore-state', ...order });
  }

  #onRestored({ ended, since, ...at }: Extract<WorkerEvent, { kind: 'state-restored' }>): void {
    const local = this.#localAt(at);
    if (local === undefined || local.since !== since || local.state !== 'restoring') {
      return this.#ignore('state-restored', 'unknown-run');
    }
    local.state = 'waiting';
    if (ended) this.#onSourceEnded(local, { ...place(at), batch: (local.next - 1) as BatchNumber });
    this.#wake(local);
  }

  /** Who sends blocks again must know how far it is; what is near is sent without a word. */
  #catchUp({ end, done }: Recovery): void {
    const through = this.#resending!.takenBy(this.#worker);
    const tell = done.map(({ worker }) => worker).filter((worker) => worker !== this.#worker);
    this.#catchesUp = end - 1 > through + resendAheadMax ? { end, tell } : null;
    this.#takenToldThrough = through;
  }

  /** Blocks that are kept here for partitions that have moved, now or in a round before. */
  #resend(recovery: Recovery): void {
    const { template } = recovery;
    const resending = this.#resending!;
    const resends = [...resending.stillToSend(this.#resends.rest)];
    const isDead = (life: WorkerLife): boolean => this.#membership.isDead(life);
    resends.push(...resending.copies(this.#kept, isDead));
    if (template.delivery === 'push') resends.push(...resending.own(this.#kept));
    this.#resends.begin(resends, (worker) => resending.takenBy(worker));
  }

  /** What waited for a partition that has moved away meanwhile waits for nobody any more. */
  #giveWaiting(): void {
    this.#gatedBlocks = [];
    for (const batch of this.#kept.batches) {
      this.#template!.exchanges.forEach((routed, exchange) => {
        const bundles = new Set<number>();
        for (const { sent, entry } of this.#kept.of(batch, exchange)) {
          if (!sent) bundles.add(bundleOf(routed, entry.producer));
        }
        for (const bundle of bundles) this.#giveBundle(batch, exchange, bundle);
      });
    }
  }

  /** What was queued on the way here is queued anew, each once. */
  #requeue(): void {
    while (this.#queue.pop() !== undefined);
    for (const local of this.#locals) if (local.state === 'queued') local.state = 'waiting';
    this.#wakeAll();
    this.#readReruns();
  }

  /** Reads the ranges of the next few source tasks that run again. */
  #readReruns(): void {
    for (const rerun of this.#reruns.underWay) {
      if (rerun.state === 'waiting') this.#readFor(rerun);
    }
  }

  #onBlocks({ version, batch, exchange, only, entries }: ReceivedBlocks): void {
    if (this.#recovers()) this.#rememberRanges(batch, exchange, entries);
    const { to } = this.#template!.exchanges[exchange]!;
    const input = this.#template!.stages[to]!.inputs.indexOf(exchange);
    const hasParts = this.#template!.partMs !== null;
    let refusal: IgnoreReason | null = 'already-done';
    for (const local of this.#localsOf[to]!) {
      const meant = only === null ? version >= local.since : only.includes(local.partition);
      if (!meant || batch < local.next) continue;
      // Records first, then looks whether the task waits: in one turn, so no wake-up is lost.
      const inbox = inboxOf(local, batch, hasParts);
      for (const entry of entries) {
        if (!inbox.awaits(input, entry.producer)) continue;
        if (inbox.arrive(input, entry)) refusal = null;
        else refusal &&= 'duplicate';
      }
      if (hasParts || inbox.complete) this.#wake(local);
    }
    if (refusal !== null) this.#ignore('blocks', refusal);
  }

  #rememberRanges(batch: BatchNumber, exchange: number, entries: readonly BlockEntry[]): void {
    if (batch <= this.#retiredThrough) return;
    const stage = this.#template!.exchanges[exchange]!.from;
    for (const { producer: partition, part, last, range } of entries) {
      if (range !== null) this.#kept.addRange({ stage, partition, batch, part, last }, range);
    }
  }

  /** They count where their ranges are known, as those of all blocks before them then are. */
  #onBackup(copyOf: WorkerLife, copies: readonly BlockCopy[]): void {
    if (!this.#recovers()) return;
    for (const { batch, exchange, producer, bytes, output } of copies) {
      if (batch <= this.#retiredThrough) continue;
      const { from: stage } = this.#template!.exchanges[exchange]!;
      const ranges = this.#kept.rangeOf({ stage, partition: producer }, batch);
      if (ranges === null) continue;
      const entry = { producer, part: 0, last: true, range: ranges[0], output };
      this.#kept.add(batch, exchange, { entry, bytes }, copyOf);
    }
  }

  #onSourceReady(at: Place): void {
    const local = this.#localAt(at);
    if (local === undefined) return;
    local.ready = true;
    this.#wake(local);
  }

  #onTaskFinished(event: Extract<WorkerEvent, { kind: 'task-finished' }>): void {
    const running = this.#running;
    if (running === null || running.run !== event.run) {
      return this.#ignore('task-finished', 'unknown-run');
    }
    this.#running = null;
    this.#log.taskRun(event.elapsedMs);
    if (running.of.kind === 'rerun') this.#rerunFinished(running.of, running, event);
    else this.#ownFinished(running.of, running, event);
    if (this.#asked !== null) this.#tellStatus(this.#asked);
    this.#asked = null;
    const recovery = this.#recovery;
    if (recovery === null) return;
    this.#recovery = null;
    this.#recover(recovery);
  }

  #ownFinished(local: LocalPartition, running: Running, event: TaskFinished): void {
    const { task, part, last, replay } = running;
    const { batch } = task;
    local.state = 'waiting';
    local.quietSinceMs = Infinity;
    const { range, commitPending } = event;
    const { reach } = this.#template!;
    if (last) this.#closeTask(local, commitPending);
    else local.part = part + 1;
    const stage = this.#template!.stages[task.stage]!;
    if (last && !stage.source) this.#tellTaken();
    if (range !== null) {
      local.lastRange = range;
      if (reach === 'lost' && batch > this.#retiredThrough) {
        this.#kept.addRange({ ...place(task), batch, part, last }, range);
      }
      if (reach !== 'none') {
        const { since } = local;
        const record = { task, since, part, last, range };
        const { version } = this.#template!;
        if (replay === null) this.#effects.push({ kind: 'log-range', version, ...record });
      }
    }
    stage.outputs.forEach((exchange, index) => {
      const output = event.outputs[index];
      const entry = { producer: task.partition, part, last, range, output };
      this.#onProduced(task, exchange, { entry, bytes: event.outputBytes[index]! });
    });
    if (stage.source) {
      local.ready = event.sourceReady;
      if (event.ended && !local.ended) this.#onSourceEnded(local, task);
    }
    if (last && commitPending) this.#commitWhenDurable(local, task);
    if (last && batch === this.#snapshots?.batch) {
      this.#snapshots.taken(task, local.lastRange);
      this.#effects.push({ kind: 'take-snapshot', task, since: local.since });
    }
    if (last && !commitPending) this.#onVisible(local);
    this.#wake(local);
  }

  #rerunFinished(rerun: Rerun, { task, part, last }: Running, event: TaskFinished): void {
    rerun.before = event.range;
    const { outputs } = this.#template!.stages[task.stage]!;
    outputs.forEach((exchange, index) => {
      const { range } = event;
      const output = event.outputs[index];
      const entry: BlockEntry = { producer: task.partition, part, last, range, output };
      this.#keep(task.batch, exchange, { entry, bytes: event.outputBytes[index]! });
      this.#sendKept(task.batch, exchange, (kept) => kept.producer === entry.producer);
    });
    rerun.part = part + 1;
    rerun.state = 'waiting';
    if (!last) return this.#readFor(rerun);
    this.#reruns.finished(rerun);
    this.#readReruns();
  }

  #closeTask(local: LocalPartition, commitPending: boolean): void {
    const batch = local.next;
    if (commitPending) local.pending.add(batch);
    local.inboxes.delete(batch);
    local.known.delete(batch);
    local.next = (batch + 1) as BatchNumber;
    local.part = 0;
    local.taken = [];
    local.closing = false;
    advanceDone(local);
  }

  /**
   * One frame a (peer, micro-batch, exchange), when the last local producer is done, with a fan-in
   * the last of those with the same consumer; a part is sent by itself at once.
   */
  #onProduced({ batch }: TaskName, exchange: number, produced: Produced): void {
    this.#keep(batch, exchange, produced);
    const { entry } = produced;
    if (this.#template!.partMs !== null) {
      return this.#sendKept(batch, exchange, (kept) => kept === entry);
    }
    this.#giveBundle(
      batch,
      exchange,
      bundleOf(this.#template!.exchanges[exchange]!, entry.producer),
    );
  }

  /** Sends what local producers gave for one consumer once the last of them is done. */
  #giveBundle(batch: BatchNumber, exchange: number, bundle: number): void {
    const routed = this.#template!.exchanges[exchange]!;
    for (const { partition, next } of this.#localsOf[routed.from]!) {
      if (next <= batch && bundleOf(routed, partition) === bundle) return;
    }
    if (this.#template!.reach === 'lost' && batch > this.#frontierFor(routed.from)) {
      this.#gatedBlocks.push({ batch, exchange, bundle });
      return;
    }
    this.#sendBundle(batch, exchange, bundle);
  }

  /** What leaves a stage behind an exchange hides the ranges behind it: they must be durable. */
  #frontierFor(stage: number): number {
    return this.#template!.stages[stage]!.source ? Infinity : this.#frontier!.through;
  }

  #keep(batch: BatchNumber, exchange: number, produced: Produced): void {
    if (batch <= this.#retiredThrough && this.#recovers()) return;
    this.#kept.add(batch, exchange, produced);
  }

  /** Moves the oldest of what was sent to the disk, when memory has no room for it. */
  #spill(): void {
    if (this.#template === null || !this.#recovers()) return;
    const order = this.#spills.next(this.#nowMs, this.#kept);
    if (order === null) return;
    const blocks = order.blocks.map(({ batch, kept }) => ({ batch, output: kept.entry.output }));
    this.#effects.push({ kind: 'spill-blocks', spill: order.spill, blocks });
  }

  #sendBundle(batch: BatchNumber, exchange: number, bundle: number): void {
    const routed = this.#template!.exchanges[exchange]!;
    this.#sendKept(batch, exchange, ({ producer }) => bundleOf(routed, producer) === bundle);
  }

  /** Hands what is kept and not yet sent to the delivery. */
  #sendKept(batch: BatchNumber, exchange: number, which: (entry: BlockEntry) => boolean): void {
    const kept = this.#kept.of(batch, exchange).filter(({ entry, sent }) => !sent && which(entry));
    for (const item of kept) item.sent = true;
    const entries = kept.map(({ entry }) => entry);
    if (entries.length > 0) this.#delivery!.produced({ batch, exchange, entries });
    this.#backUp(batch, exchange, kept);
    if (this.#delivery!.keeps || this.#recovers()) return;
    this.#kept.drop(batch, exchange, which);
  }

  #backUp(batch: BatchNumber, exchange: number, produced: readonly Produced[]): void {
    const { at } = this.#backups!;
    const copies = this.#backups!.add(batch, exchange, produced);
    if (at === null || copies.length === 0) return;
    const { version } = this.#template!;
    this.#send(at, { kind: 'backup', ...this.#signed(), version, copies });
  }

  /** What was sent is kept for those who take over. */
  #recovers(): boolean {
    return this.#template!.reach === 'lost';
  }

  #commitWhenDurable(local: LocalPartition, task: TaskName): void {
    if (task.batch <= this.#frontier!.through) this.#commitOutput(local, task);
    else this.#gatedCommits.push({ local, task });
  }

  #commitOutput({ since }: LocalPartition, task: TaskName): void {
    this.#effects.push({ kind: 'commit-output', task, since });
  }

  /** The frontier may have moved: what waited for it goes out, in the order in which it came. */
  #openGates(): void {
    const { through } = this.#frontier!;
    if (this.#gatedCommits.length > 0) {
      const commits = this.#gatedCommits;
      this.#gatedCommits = commits.filter(({ task }) => task.batch > through);
      for (const { local, task } of commits) {
        if (task.batch <= through) this.#commitOutput(local, task);
      }
    }
    if (this.#gatedBlocks.length === 0) return;
    const blocks = this.#gatedBlocks;
    this.#gatedBlocks = blocks.filter(({ batch }) => batch > through);
    for (const { batch, exchange, bundle } of blocks) {
      if (batch <= through) this.#sendBundle(batch, exchange, bundle);
    }
  }

  #onCommitted({ stage, partition, batch }: TaskName, since: PlacementVersion): void {
    const local = this.#localAt({ stage, partition });
    if (local?.since !== since || !local.pending.delete(batch)) {
      return this.#ignore('output-committed', 'unknown-run');
    }
    advanceDone(local);
    this.#onVisible(local);
  }

  #onRefused({ kind, task, since, error }: Refused): void {
    // The partition has moved meanwhile, or was rolled back, and this one's writer is fenced.
    if (this.#localAt(task)?.since !== since) return this.#ignore(kind, 'unknown-run');
    this.#sendFailure(task, error);
  }

  /** A task is done and its output can be seen. */
  #onVisible({ stage }: LocalPartition): void {
    if (this.#template!.delivery === 'pull') this.#tellStageDone(stage);
    this.#advanceDone();
  }

  #tellStageDone(stage: number): void {
    let through = Infinity;
    for (const { doneThrough } of this.#localsOf[stage]!) {
      if (doneThrough < through) through = doneThrough;
    }
    for (let batch = this.#stagesDone[stage]! + 1; batch <= through; batch++) {
      this.#stagesDone[stage] = batch as BatchNumber;
      this.#delivery!.stageDone(stage, batch as BatchNumber);
    }
  }

  #onRangeLogged({ stage, partition, batch }: TaskName, since: PlacementVersion): void {
    const local = this.#localAt({ stage, partition });
    if (local === undefined || local.since !== since || batch <= local.durableThrough) return;
    local.durableThrough = batch;
    this.#tellSnapshots();
    if (!this.#frontier!.reached(this.#durableThrough())) return;
    this.#tellFrontier();
    this.#openGates();
  }

  /** Ranges of all source partitions here are durable through this micro-batch. */
  #durableThrough(): BatchNumber {
    let least = Infinity;
    for (const local of this.#locals) {
      if (local.source && local.durableThrough < least) least = local.durableThrough;
    }
    return least as BatchNumber;
  }

  #tellFrontier(): void {
    const durableThrough = this.#durableThrough();
    if (durableThrough === Infinity) return;
    const { version } = this.#template!;
    for (const listener of this.#frontier!.listeners) {
      this.#send(listener, { kind: 'frontier', ...this.#signed(), version, durableThrough });
    }
  }

  #onSnapshotStored(event: Extract<WorkerEvent, { kind: 'snapshot-stored' }>): void {
    const round = this.#snapshots;
    const current = this.#localAt(event.task)?.since === event.since;
    if (round === null || round.batch !== event.task.batch || !current) {
      return this.#ignore('snapshot-stored', 'old-round');
    }
    round.stored(event.task, event.snapshot);
    this.#tellSnapshots();
  }

  /** State never becomes durable before the ranges behind it: they might be chosen anew. */
  #tellSnapshots(): void {
    const round = this.#snapshots;
    if (round === null || !round.complete || this.#durableThrough() < round.batch) return;
    this.#snapshots = null;
    const { batch, snapshots } = round;
    const { version } = this.#template!;
    this.#tellDriver({ kind: 'snapshots-stored', ...this.#signed(), version, batch, snapshots });
  }

  #onSnapshotFailed(event: Extract<WorkerEvent, { kind: 'snapshot-failed' }>): void {
    const { task, since, error } = event;
    const { batch } = task;
    if (this.#snapshots?.batch !== batch || this.#localAt(task)?.since !== since) {
      return this.#ignore('snapshot-failed', 'old-round');
    }
    this.#snapshots = null;
    const { version } = this.#template!;
    this.#tellDriver({ kind: 'snapshot-failed', ...this.#signed(), version, batch, error });
  }

  #deliveryHost(template: Template): DeliveryHost {
    const { version } = template;
    return {
      worker: this.#worker,
      template,
      outputs: (batch, exchange) => this.#kept.of(batch, exchange).map(({ entry }) => entry),
      give: (to, blocks) => {
        const { to: stage } = template.exchanges[blocks.exchange]!;
        const needed = this.#resending?.neededBy(to, { stage, batch: blocks.batch }) ?? null;
        if (needed === null || needed.length > 0) this.#giveInOrder(to, blocks, needed);
      },
      pull: (from, batch, exchange) => {
        this.#send(from, { kind: 'pull', ...this.#signed(), version, batch, exchange });
      },
      askLocations: (batch, exchange) => {
        this.#tellDriver({ kind: 'ask-locations', ...this.#signed(), batch, exchange });
      },
      tellStageDone: (stage, batch) => {
        this.#tellDriver({ kind: 'stage-done', ...this.#signed(), version, stage, batch });
      },
    };
  }

  /** Blocks with ranges do not overtake those that are sent again to the same worker. */
  #giveInOrder(to: WorkerId, blocks: Blocks, only: readonly number[] | null): void {
    const { batch, exchange } = blocks;
    const { from } = this.#template!.exchanges[exchange]!;
    if (this.#template!.stages[from]!.source) {
      const inMemory = { bytes: 0, place: 'memory', stored: null } as const;
      const entries = blocks.entries.map((entry) => ({ entry, ...inMemory }));
      const resend = { to, batch, exchange, partitions: only, entries, isNew: true };
      if (this.#resends.insert(resend)) return;
    }
    this.#giveTo(to, blocks, only);
  }

  #giveTo(to: WorkerId, blocks: Blocks, only: readonly number[] | null): void {
    const { version } = this.#template!;
    if (to === this.#worker) this.#onBlocks({ ...blocks, version, only });
    else this.#send(to, { kind: 'blocks', ...this.#signed(), version, ...blocks, only });
  }

  #onSourceEnded(local: LocalPartition, task: TaskName): void {
    local.ended = true;
    local.endedAt = task.batch;
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
    this.#failure ??= { task, error };
    this.#tellFailure({ task, error });
  }

  #tellFailure(failure: { readonly task: TaskName; readonly error: StreamErrorData }): void {
    this.#tellDriver({ kind: 'task-failed', ...this.#signed(), ...failure });
  }

  #advanceDone(): void {
    const before = this.#doneThrough;
    let through = (this.#permissions.end - 1) as BatchNumber;
    for (const { doneThrough } of this.#locals) if (doneThrough < through) through = doneThrough;
    if (through <= before) return;
    for (let batch = before + 1; batch <= through; batch++) this.#traceDone(batch as BatchNumber);
    this.#doneThrough = through;
    this.#forgetGroups();
    this.#tellProgress(this.#downstream!.producers);
    this.#wakeSources();
  }

  #tellProgress(to: readonly WorkerId[]): void {
    if (to.length === 0) return;
    const { version } = this.#template!;
    const through = { doneThrough: this.#doneThrough, takenThrough: this.#takenThrough() };
    for (const worker of to) {
      this.#send(worker, { kind: 'progress', ...this.#signed(), version, ...through });
    }
  }

  /** Who has blocks for what this worker repeats is told when it has run some more of it. */
  #tellTaken(): void {
    if (this.#catchesUp === null) return;
    const { end, tell } = this.#catchesUp;
    const through = this.#takenThrough();
    const isOver = through >= end - 1;
    if (!isOver && through < this.#takenToldThrough + catchUpToldEvery) return;
    this.#takenToldThrough = through;
    if (isOver) this.#catchesUp = null;
    this.#tellProgress(tell);
    this.#resends.heard(this.#worker, through);
  }

  /** Every task here that takes blocks has run through this micro-batch; it may not be visible. */
  #takenThrough(): BatchNumber {
    let least = Infinity;
    for (const { source, next } of this.#locals) if (!source && next - 1 < least) least = next - 1;
    return (least === Infinity ? this.#doneThrough : least) as BatchNumber;
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

  #localAt({ stage, partition }: Place): LocalPartition | undefined {
    return this.#localsOf[stage]?.find((local) => local.partition === partition);
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
    if (local.known.has(local.next)) return this.#readFor(local);
    local.state = 'queued';
    this.#queue.push(local);
  }

  /** Orders the range that a task had before to be read once more. */
  #readFor(runnable: Runnable): void {
    const { stage, partition, next: batch, part } = runnable;
    runnable.state = 'reading';
    const range = rangesOf(runnable)[part];
    this.#effects.push({ kind: 'read-range', task: { stage, partition, batch }, part, range });
  }

  #onRangeRead(task: TaskName): void {
    const isIt = (one: Runnable): boolean =>
      one.state === 'reading' &&
      one.stage === task.stage &&
      one.partition === task.partition &&
      one.next === task.batch;
    const runnable: Runnable | undefined =
      this.#reruns.underWay.find(isIt) ?? this.#locals.find(isIt);
    if (runnable === undefined) return this.#ignore('range-read', 'unknown-run');
    runnable.state = 'queued';
    this.#queue.push(runnable);
  }

  #runnable(local: LocalPartition): boolean {
    const group = this.#permissions.groupOf(local.next, local.stage);
    if (group === null) return false;
    if (!local.source) return this.#inputsReady(local);
    // What it read before is read again as soon as it can be.
    if (local.known.has(local.next)) return true;
    if (this.#sourcesWait) return false;
    if (local.part > 0) return this.#partDue(local, group);
    if (local.next > this.#downstream!.finished(this.#doneThrough) + inFlightMax) return false;
    const trigger = Permissions.triggerMs(group, local.next);
    if (trigger > this.#nowMs) {
      local.lookAgainMs = trigger;
      return false;
    }
    const ready = local.ready && !this.#isShortOfRoom();
    if (group.intervalMs > 0 || ready || local.ended || group.final) return true;
    local.quietSinceMs = Math.min(local.quietSinceMs, this.#nowMs);
    const waitedEnoughMs = local.quietSinceMs + quietSourceWaitMs;
    if (waitedEnoughMs <= this.#nowMs) return true;
    local.lookAgainMs = waitedEnoughMs;
    return false;
  }

  /** Here or elsewhere there is no room for more, until a checkpoint covers what is kept. */
  #isShortOfRoom(): boolean {
    return this.#holdsBack || this.#pressure() === 'hold-back';
  }

  #pressure(): Pressure {
    return this.#recovers() ? this.#spills.pressure(this.#kept) : 'none';
  }

  /** All inputs are complete; or, where tasks have parts, something new has come. */
  #inputsReady({ stage, next, taken, inboxes }: LocalPartition): boolean {
    const inbox = inboxes.get(next);
    if (inbox === undefined) return false;
    if (this.#template!.partMs === null) return inbox.complete;
    const { inputs } = this.#template!.stages[stage]!;
    return inputs.some((_, index) => inbox.arrived(index).length > (taken[index] ?? 0));
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
      const runnable = this.#queue.pop();
      if (runnable === undefined) return;
      if (runnable.kind === 'rerun') {
        this.#startRerun(runnable);
        continue;
      }
      const group = this.#permissions.groupOf(runnable.next, runnable.stage);
      const waits = this.#sourcesWait && runnable.source && !runnable.known.has(runnable.next);
      if (group === null || waits || this.#isEarly(runnable, group)) {
        // Withdrawn by a question, or by a cut, and perhaps permitted anew.
        runnable.state = 'waiting';
        this.#wake(runnable);
        continue;
      }
      this.#start(runnable, group);
    }
  }

  #isEarly(local: LocalPartition, group: PermittedGroup): boolean {
    const { source, part, next, known } = local;
    if (!source || part > 0 || known.has(next)) return false;
    return Permissions.triggerMs(group, next) > this.#nowMs;
  }

  #startRerun(rerun: Rerun): void {
    const { stage, partition, next: batch, ranges, part, before } = rerun;
    rerun.state = 'running';
    const replay: Replay = { range: ranges[part], before, rerun: true };
    const last = part === ranges.length - 1;
    this.#runTask({
      of: rerun,
      task: { stage, partition, batch },
      part,
      last,
      replay,
      inputs: null,
      triggerMs: this.#nowMs,
      final: false,
      holdsBack: false,
    });
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
    const known = local.known.get(batch);
    const replay: Replay | null =
      known === undefined ? null : { range: known[part], before: local.lastRange, rerun: false };
    const inputs = local.source ? null : this.#takeInputs(local);
    let last = local.source ? this.#isLastPart(local, group) : this.#allTaken(local);
    if (known !== undefined) last = part === known.length - 1;
    local.partedMs = this.#nowMs;
    const final = group.final && batch === group.end - 1;
    this.#runTask({
      of: local,
      task: { stage, partition, batch },
      part,
      last,
      replay,
      inputs,
      triggerMs,
      final,
      holdsBack: local.source && replay === null && this.#isShortOfRoom(),
    });
  }

  #runTask({ of, ...order }: Omit<RunTask, 'kind' | 'run'> & { readonly of: Runnable }): void {
    const run = this.#runs++;
    const { task, part, last, replay } = order;
    this.#running = { run, task, part, last, of, replay };
    this.#effects.push({ kind: 'run-task', run, ...order });
  }

  #takeInputs(local: LocalPartition): readonly (readonly InputHandle[])[] {
    const inbox = local.inboxes.get(local.next)!;
    return this.#template!.stages[local.stage]!.inputs.map((_, index) => {
      const arrived = inbox.arrived(index);
      const taken = local.taken[index] ?? 0;
      local.taken[index] = arrived.length;
      // What comes until the task runs is for the next part.
      return this.#template!.partMs === null ? arrived : arrived.slice(taken);
    });
  }

  #allTaken({ next, inboxes }: LocalPartition): boolean {
    return inboxes.get(next)?.complete === true;
  }

  #isLastPart({ ended, closing, next }: LocalPartition, group: PermittedGroup): boolean {
    if (this.#template!.partMs === null || ended || closing || group.final) return true;
    return closesMs(group, next) <= this.#nowMs;
  }

  #reportIfDue(): void {
    if (this.#template === null || this.#stopped) return;
    const { memoryBytes: keptBytes, diskBytes: spilledBytes } = this.#kept;
    const pressure = this.#pressure();
    this.#log.pressed(pressure);
    const report = this.#log.take(this.#nowMs, {
      version: this.#template.version,
      startedThrough: this.#startedThrough,
      doneThrough: this.#doneThrough,
      queued: this.#queue.size,
      keptBytes,
      spilledBytes,
      pressure,
    });
    if (report !== null) this.#tellDriver({ kind: 'report', ...this.#signed(), report });
  }

  #signed(): { readonly term: Term; readonly incarnation: Incarnation } {
    return { term: this.#term, incarnation: this.#incarnation };
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

type AskStatus = Extract<DriverMessage, { kind: 'ask-status' }>;
type Refused = Extract<WorkerEvent, { kind: 'commit-failed' | 'log-failed' }>;
type RunTask = Extract<WorkerEffect, { kind: 'run-task' }>;
type Produced = Pick<KeptEntry, 'entry' | 'bytes'>;
type TaskFinished = Extract<WorkerEvent, { kind: 'task-finished' }>;
/** What the producers with the same consumers gave. */
type Bundle = {
  readonly batch: BatchNumber;
  readonly exchange: number;
  readonly bundle: number;
};
type ReceivedBlocks = Blocks & {
  readonly version: PlacementVersion;
  readonly only: readonly number[] | null;
};

function place({ stage, partition }: Place): Place {
  return { stage, partition };
}

/** The ranges that a task had before, by part. */
function rangesOf(runnable: Runnable): readonly Handle[] {
  if (runnable.kind === 'rerun') return runnable.ranges;
  return runnable.known.get(runnable.next)!;
}

/** When the next micro-batch of a group starts, which ends an open task of this one, ms. */
function closesMs(group: PermittedGroup, batch: BatchNumber): number {
  return Permissions.triggerMs(group, batch) + group.intervalMs;
}
