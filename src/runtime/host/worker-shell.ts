// Runs a worker machine in the real world: turns its orders into task calls, messages and commits,
// and their results into events. It decides nothing. Shared by every shell that has real time.

import process from 'node:process';
import { assert, unreachable } from '../../base/assert.ts';
import { StreamError, errorToData } from '../../base/stream-error.ts';
import type {
  BatchNumber,
  Incarnation,
  PlacementVersion,
  WorkerId,
} from '../../control/protocol/ids.ts';
import type {
  DriverMessage,
  Peer,
  PeerMessage,
  Place,
  WorkerMessage,
} from '../../control/protocol/messages.ts';
import { partitionsOn } from '../../control/protocol/template.ts';
import type { Template } from '../../control/protocol/template.ts';
import type { InputHandle, WorkerEffect, WorkerEvent } from '../../control/worker/events.ts';
import { WorkerMachine } from '../../control/worker/worker-machine.ts';
import { OpenRows } from '../../data/task/open-rows.ts';
import { TaskExecutor } from '../../data/task/task-executor.ts';
import { inputBlock } from '../../data/task/task.ts';
import type {
  ExchangeOutput,
  RangeRecord,
  TaskId,
  TaskInput,
  TaskResult,
} from '../../data/task/task.ts';
import type { Bindings } from '../../plan/bindings.ts';
import type { SinkId } from '../../plan/logical-plan.ts';
import type { PhysicalPlan, StageId } from '../../plan/physical-plan.ts';
import { SinkPartitions, sinksFedBy } from '../../plan/sink-partitions.ts';
import type { Sink, SinkOutput } from '../../ports/sink.ts';
import type { Source } from '../../ports/source.ts';
import { BlockSpill } from './block-spill.ts';
import type { OpenDurability } from './durable-job.ts';
import type { JobConfig } from './job-config.ts';
import { outputBytes } from './output-codec.ts';
import type { RunClock } from './run-clock.ts';
import { sharedPages } from './shared-pages.ts';
import { sinkRun, SinkWriters } from './sink-writers.ts';
import type { SnapshotHandle } from './snapshot-handle.ts';
import { SourceReaders } from './source-readers.ts';
import { Turn } from './turn.ts';
import type { WorkerShellTrace } from './traces.ts';
import { workerTraces } from './traces.ts';
import { WorkerMeters } from './worker-meters.ts';
import { WorkerStorage } from './worker-storage.ts';

export type WorkerShellOptions = {
  readonly worker: WorkerId;
  readonly incarnation: Incarnation;
  readonly plan: PhysicalPlan;
  readonly bindings: Bindings<Source, Sink>;
  readonly config: JobConfig;
  readonly clock: RunClock;
  /** Null: the run keeps nothing. */
  readonly durable: OpenDurability | null;
  readonly send: (to: Peer, message: WorkerMessage | PeerMessage) => void;
  /** Commits rows of a sink that lives at the client; resolves when they are visible. */
  readonly commitAtClient: (commit: ClientCommit) => Promise<void>;
  /** The machine has stopped and everything it opened is closed. */
  readonly onStopped: () => void;
  /** What the worker keeps is damaged: it must end, and another one begin in its place. */
  readonly onLost: (error: unknown) => void;
  /** Reports an error that no task stands for: a source or sink that could not open. */
  readonly onFatal: (error: unknown) => void;
};

export type ClientCommit = {
  readonly sink: SinkId;
  readonly partition: number;
  /** The placement since which the worker has the partition: fences those before. */
  readonly since: PlacementVersion;
  readonly output: SinkOutput;
};

type Output = { readonly rows: TaskResult['sinks']; readonly watermarkMs: number };
type Restore = Extract<WorkerEffect, { kind: 'restore-state' }>;

/** Time that tasks may take of one turn of the event loop before messages get theirs, ms. */
const turnMs = 2;

const gaugeIntervalMs = 100;

export class WorkerShell {
  readonly #options: WorkerShellOptions;
  readonly #machine: WorkerMachine;
  readonly #executor: TaskExecutor;
  readonly #sinkPartitions: SinkPartitions;
  readonly #sources: SourceReaders;
  readonly #storage: WorkerStorage | null;
  readonly #spill: BlockSpill;
  /** The spill disk has failed, and that was said. */
  #spillFails = false;
  readonly #writers: SinkWriters;
  readonly #meters = new WorkerMeters();
  readonly #openRows = new OpenRows();
  /** Output of tasks that waits for `commit-output`, by `stage/partition@batch`. */
  readonly #outputs = new Map<string, Output>();
  /** By stage and partition: the last order to restore it, and when those before are done. */
  readonly #restoring = new Map<string, number>();
  readonly #restores = new Map<string, Promise<void>>();
  #hasTemplate = false;
  #pumping = false;
  #runnable: Extract<WorkerEffect, { kind: 'run-task' }> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #timerAtMs = Infinity;
  #gaugeTimer: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;
  #closed = false;
  readonly #turn: Turn;

  constructor(options: WorkerShellOptions) {
    this.#options = options;
    this.#turn = new Turn(turnMs, () => options.clock.nowMs());
    const { worker, incarnation, plan, bindings, config, clock } = options;
    const { durability } = config;
    const keptLimits = durability?.keptLimits;
    this.#machine = new WorkerMachine({ worker, incarnation, keptLimits });
    this.#spill = new BlockSpill(durability?.spillFolder ?? null);
    this.#sinkPartitions = new SinkPartitions(plan, config.partitionCounts);
    const run = sinkRun(plan.name, config);
    const { ledgers } = config;
    const { sinks } = bindings;
    this.#writers = new SinkWriters({ specs: plan.sinks, sinks, clock, run, ledgers });
    const onReady = (place: Place): void => this.#step({ kind: 'source-ready', ...place });
    this.#sources = new SourceReaders({ plan, bindings, config, clock, onReady });
    this.#storage =
      durability === null || options.durable === null
        ? null
        : new WorkerStorage({
            open: options.durable,
            plan,
            worker,
            incarnation,
            nowMs: () => clock.nowMs(),
          });
    this.#executor = new TaskExecutor({
      plan,
      bindings,
      partitionCounts: config.partitionCounts,
      allocate: sharedPages(),
    });
  }

  /** A message has come; the template's sources are opened before the machine sees it. */
  receive(from: Peer, message: DriverMessage | PeerMessage): void {
    if (this.#closed) return;
    if (message.kind === 'install-template' && !this.#hasTemplate) {
      this.#hasTemplate = true;
      this.#open(message.template).then(
        () => {
          this.#step({ kind: 'message-received', from, message });
          this.#tellReady();
        },
        (error: unknown) => this.#options.onFatal(error),
      );
      return;
    }
    if (message.kind === 'stop') this.#measure();
    this.#step({ kind: 'message-received', from, message });
  }

  /** Ends without a word to anybody: the job has failed elsewhere. */
  async abort(): Promise<void> {
    await this.#close();
  }

  async #open(template: Template): Promise<void> {
    const opening: Promise<void>[] = [];
    template.stages.forEach(({ source }, stage) => {
      if (!source) return;
      for (const partition of partitionsOn(template.stages[stage]!, this.#options.worker)) {
        opening.push(this.#sources.open({ stage, partition }, null));
      }
    });
    await Promise.all(opening);
    this.#startGauges();
  }

  #startGauges(): void {
    this.#gaugeTimer ??= setInterval(() => this.#measure(), gaugeIntervalMs);
  }

  /** A reader that was ready before anybody could be told. */
  #tellReady(): void {
    for (const place of this.#sources.readyPlaces()) {
      this.#step({ kind: 'source-ready', ...place });
    }
  }

  #step(event: WorkerEvent): void {
    if (this.#closed) return;
    this.#tell(event);
    if (!this.#pumping) this.#pump();
  }

  #tell(event: WorkerEvent): void {
    const atMs = this.#options.clock.nowMs();
    if (workerTraces.hasSubscribers) this.#trace({ atMs, event });
    this.#machine.step(atMs, event);
  }

  #trace(what: Omit<WorkerShellTrace, 'worker'>): void {
    workerTraces.publish({ worker: this.#options.worker, ...what } satisfies WorkerShellTrace);
  }

  /** Carries out orders until there are none, or until the turn has been long enough. */
  #pump(): void {
    this.#pumping = true;
    try {
      for (;;) {
        const effects = this.#machine.takeEffects();
        for (const effect of effects) this.#carryOut(effect);
        if (effects.length > 0) continue;
        if (this.#runnable === null || this.#closed) break;
        if (this.#turn.isOver()) {
          this.#immediate ??= setImmediate(() => {
            this.#immediate = null;
            this.#pump();
          });
          break;
        }
        const task = this.#runnable;
        this.#runnable = null;
        this.#runTask(task);
      }
    } finally {
      this.#pumping = false;
    }
    this.#arm();
  }

  #carryOut(effect: WorkerEffect): void {
    if (workerTraces.hasSubscribers) this.#trace({ atMs: this.#options.clock.nowMs(), effect });
    switch (effect.kind) {
      case 'run-task':
        this.#runnable = effect;
        break;
      case 'send-message':
        this.#options.send(effect.to, this.#addressed(effect.to, effect.message));
        break;
      case 'commit-output':
        this.#commit(effect);
        break;
      case 'restore-state':
        this.#order(`${effect.stage}/${effect.partition}`, effect.since, () =>
          this.#restore(effect),
        );
        break;
      case 'forget-state':
        this.#forget(effect);
        break;
      case 'read-range':
        this.#readRange(effect);
        break;
      case 'log-range':
        this.#logRange(effect);
        break;
      case 'take-snapshot':
        this.#takeSnapshot(effect);
        break;
      case 'spill-blocks':
        this.#spillBlocks(effect);
        break;
      case 'read-blocks':
        this.#readBlocks(effect);
        break;
      case 'drop-spilled':
        this.#spill.dropThrough(effect.through);
        break;
      case 'stop':
        void this.#close().then(this.#options.onStopped, this.#options.onFatal);
        break;
      case 'trace':
        break;
      default:
        unreachable(effect);
    }
  }

  /** Orders for one partition are carried out one after the other, and only the last one counts. */
  #order(name: string, since: number, action: () => Promise<void>): void {
    this.#restoring.set(name, since);
    const before = this.#restores.get(name) ?? Promise.resolve();
    const done = before.then(async () => {
      if (this.#restoring.get(name) === since && !this.#closed) await action();
    });
    this.#restores.set(name, done);
  }

  /** Makes a partition's state anew, and opens its source where it goes on. */
  async #restore(order: Restore): Promise<void> {
    const { stage, partition, since } = order;
    const place = { stage: stage as StageId, partition };
    const handle = order.snapshot as SnapshotHandle | null;
    const record = order.behind as RangeRecord | null;
    this.#openSinks(place, since);
    try {
      const bytes = handle === null ? [] : await this.#storage!.read(handle);
      this.#discard(place);
      this.#storage?.restored(place, handle);
      if (bytes.length > 0) {
        this.#executor.restore(place, bytes);
        this.#executor.renumber(place, order.checkpoint);
      }
      if (record !== null) this.#executor.resume(place, record);
      const at = this.#executor.rangeOf(place);
      const reads = (order.readsBehind as RangeRecord | null) ?? at;
      if (this.#sources.isSource(place)) await this.#sources.open(place, reads);
      this.#startGauges();
      this.#step({ kind: 'state-restored', stage, partition, since, ended: at?.ended ?? false });
      if (this.#sources.ready(place)) this.#step({ kind: 'source-ready', stage, partition });
    } catch (error) {
      const data = errorToData(error);
      this.#step({ kind: 'restore-failed', stage, partition, since, error: data });
    }
  }

  /** Whoever wrote for the partition before is fenced while it catches up. */
  #openSinks({ stage, partition }: { stage: StageId; partition: number }, since: number): void {
    const { plan } = this.#options;
    for (const sink of sinksFedBy(plan, plan.stages[stage]!)) {
      if (this.#isAtClient(sink)) continue;
      const to = this.#sinkPartitions.of(sink, stage, partition);
      this.#writers.prepare(sink, { partition: to, since: since as PlacementVersion });
    }
  }

  /** The partition has moved away. */
  #forget({ stage, partition }: Place): void {
    const place = { stage: stage as StageId, partition };
    this.#restoring.delete(`${stage}/${partition}`);
    this.#discard(place);
    if (this.#sources.isSource(place)) {
      this.#sources.close(place).catch((error: unknown) => this.#options.onFatal(error));
    }
  }

  /** Nothing of the partition's past is of use any more. */
  #discard(place: { readonly stage: StageId; readonly partition: number }): void {
    this.#executor.forget(place);
    this.#openRows.forget(place);
    for (const key of this.#outputs.keys()) {
      if (key.startsWith(`${place.stage}/${place.partition}@`)) this.#outputs.delete(key);
    }
  }

  #readRange({ task, part, range }: Extract<WorkerEffect, { kind: 'read-range' }>): void {
    this.#sources.replay(task, part, range as RangeRecord).then(
      () => this.#step({ kind: 'range-read', task, part }),
      (error: unknown) => this.#options.onFatal(error),
    );
  }

  #logRange(effect: Extract<WorkerEffect, { kind: 'log-range' }>): void {
    const { task, since, version, last, range } = effect;
    const { reach } = this.#machine.template!;
    const record = { task, last, range: range as RangeRecord };
    this.#storage!.logRange(record, { version, reach })?.then(
      () => this.#step({ kind: 'range-logged', task, since }),
      (error: unknown) => {
        const isFenced = error instanceof StreamError && error.code === 'fenced';
        if (!isFenced) return this.#options.onFatal(error);
        this.#step({ kind: 'log-failed', task, since, error: errorToData(error) });
      },
    );
  }

  #takeSnapshot({ task, since }: Extract<WorkerEffect, { kind: 'take-snapshot' }>): void {
    const place = { stage: task.stage as StageId, partition: task.partition };
    const storage = this.#storage!;
    try {
      const snapshot = this.#executor.snapshot(place, storage.kindFor(place));
      storage.write(place, snapshot, this.#machine.template!.version).then(
        (handle) => this.#step({ kind: 'snapshot-stored', task, since, snapshot: handle }),
        (error: unknown) =>
          this.#step({ kind: 'snapshot-failed', task, since, error: errorToData(error) }),
      );
    } catch (error) {
      this.#step({ kind: 'snapshot-failed', task, since, error: errorToData(error) });
    }
  }

  #spillBlocks({ spill, blocks }: Extract<WorkerEffect, { kind: 'spill-blocks' }>): void {
    this.#spill.store(blocks).then(
      (stored) => {
        this.#spillFails = false;
        this.#step({ kind: 'blocks-spilled', spill, stored });
      },
      (error: unknown) => {
        if (this.#closed) return;
        if (!this.#spillFails) this.#warn(error, 'kept blocks stay in memory');
        this.#spillFails = true;
        this.#step({ kind: 'spill-failed', spill });
      },
    );
  }

  /** A block that cannot be read is lost as if this worker were: others make it anew. */
  #readBlocks({ read, stored }: Extract<WorkerEffect, { kind: 'read-blocks' }>): void {
    this.#spill.read(stored).then(
      (outputs) => this.#step({ kind: 'blocks-read', read, outputs }),
      (error: unknown) => {
        if (this.#closed) return;
        this.#warn(error, 'the worker begins anew');
        this.#options.onLost(error);
      },
    );
  }

  #warn(error: unknown, consequence: string): void {
    const { message, hint } = errorToData(error);
    const advice = hint === null ? '' : `; ${hint}`;
    const { worker } = this.#options;
    process.stderr.write(`mizzle: worker ${worker}: ${message}; ${consequence}${advice}\n`);
  }

  /** A peer gets only the blocks of its own partitions. */
  #addressed(to: Peer, message: WorkerMessage | PeerMessage): WorkerMessage | PeerMessage {
    if (message.kind !== 'blocks') return message;
    const { to: stage, partitioning } = this.#options.plan.exchanges[message.exchange]!;
    if (partitioning.kind !== 'hash') return message;
    const { placement } = this.#machine.template!.stages[stage]!;
    const { only } = message;
    const isFor = (partition: number): boolean =>
      only === null ? placement[partition] === to : only.includes(partition);
    const entries = message.entries.map((entry) => {
      const { header, blocks } = entry.output as ExchangeOutput;
      const own = blocks.map((block, partition) => (isFor(partition) ? block : null));
      return { ...entry, output: { header, blocks: own } satisfies ExchangeOutput };
    });
    return { ...message, entries };
  }

  #runTask(effect: Extract<WorkerEffect, { kind: 'run-task' }>): void {
    const { run, task, part, last } = effect;
    const { clock } = this.#options;
    const startMs = clock.nowMs();
    try {
      const id: TaskId = {
        stage: task.stage as StageId,
        partition: task.partition,
        batch: task.batch,
        part,
      };
      const result = this.#result(id, effect);
      const isRerun = effect.replay?.rerun === true;
      // What is read again was counted when it was read first.
      if (effect.replay === null) this.#meters.count(task, result);
      // Of what runs again for others only the blocks are wanted.
      const rows = isRerun ? [] : this.#openRows.add(id, result.sinks, last);
      const { watermarkMs } = result;
      const key = `${task.stage}/${task.partition}@${task.batch}`;
      if (rows.length > 0) this.#outputs.set(key, { rows, watermarkMs });
      const ended = result.range?.ended ?? false;
      this.#tell({
        kind: 'task-finished',
        run,
        outputs: result.outputs,
        outputBytes: result.outputs.map(outputBytes),
        range: result.range,
        commitPending: rows.length > 0,
        ended,
        sourceReady: !ended && this.#sources.ready(task),
        elapsedMs: clock.nowMs() - startMs,
      });
    } catch (error) {
      this.#tell({ kind: 'task-failed', run, error: errorToData(error) });
    }
  }

  #result(id: TaskId, effect: Extract<WorkerEffect, { kind: 'run-task' }>): TaskResult {
    const { task, part, inputs, triggerMs, final, replay, holdsBack } = effect;
    if (replay !== null) {
      const known = replay.range as RangeRecord;
      const before = replay.before as RangeRecord | null;
      const chunk = this.#sources.replayed(task, part);
      const result = this.#executor.replay(id, { chunk, known, before });
      if (!replay.rerun) this.#executor.resume(id, known);
      return result;
    }
    if (inputs !== null) return this.#executor.run(id, this.#blocks(effect, inputs));
    const chunk = this.#sources.take(task, { final, holdsBack });
    return this.#executor.run(id, { kind: 'scan', chunk, triggerMs });
  }

  #blocks(
    { task }: Extract<WorkerEffect, { kind: 'run-task' }>,
    inputs: readonly (readonly InputHandle[])[],
  ): TaskInput {
    const { plan } = this.#options;
    const consumer = task.partition;
    const { input } = plan.stages[task.stage]!;
    const exchanges = input.kind === 'exchanges' ? input.exchanges : [];
    const blocks = inputs.map((handles, index) => {
      const exchange = plan.exchanges[exchanges[index]!]!;
      return handles.map(({ producer, output }) =>
        inputBlock(output as ExchangeOutput, { exchange, consumer, producer }),
      );
    });
    return { kind: 'blocks', blocks };
  }

  #commit({ task, since }: Extract<WorkerEffect, { kind: 'commit-output' }>): void {
    const key = `${task.stage}/${task.partition}@${task.batch}`;
    const output = this.#outputs.get(key);
    assert(output !== undefined, `${key} has output`);
    this.#outputs.delete(key);
    const { rows, watermarkMs } = output;
    const commits = rows.map(({ sink, batch }) => {
      const partition = this.#sinkPartitions.of(sink, task.stage, task.partition);
      const given = { batch: task.batch, rows: batch, watermarkMs };
      return this.#commitTo(sink, { partition, since }, given);
    });
    Promise.all(commits).then(
      () => this.#step({ kind: 'output-committed', task, since }),
      (error: unknown) =>
        this.#step({ kind: 'commit-failed', task, since, error: errorToData(error) }),
    );
  }

  #commitTo(
    id: SinkId,
    to: { readonly partition: number; readonly since: PlacementVersion },
    output: SinkOutput,
  ): Promise<void> {
    if (this.#isAtClient(id)) return this.#options.commitAtClient({ sink: id, ...to, output });
    return this.#writers.commit(id, to, output);
  }

  /**
   * A sink of one partition has its one writer at the client: many partitions may feed it (late
   * rows, dead letters), and one who asks for a file expects it where the job was started.
   */
  #isAtClient(id: SinkId): boolean {
    const sink = this.#options.bindings.sinks.get(id)!;
    return sink.location === 'client' || sink.partitions === 1;
  }

  #measure(): void {
    const gauges = this.#meters.measure(this.#sources.all, this.#executor.stateBytes());
    this.#step({ kind: 'gauges-measured', gauges });
  }

  #arm(): void {
    if (this.#closed) return;
    const deadline = this.#machine.nextDeadlineMs();
    if (deadline === this.#timerAtMs && this.#timer !== null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#timerAtMs = deadline;
    if (deadline === Infinity) return;
    const delayMs = Math.max(0, deadline - this.#options.clock.nowMs());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#step({ kind: 'time-passed' });
      if (this.#timer === null && !this.#pumping) this.#arm();
    }, delayMs);
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#gaugeTimer !== null) clearInterval(this.#gaugeTimer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    await this.#writers.close();
    await Promise.allSettled(this.#restores.values());
    await this.#sources.closeAll();
    this.#spill.close();
    await this.#storage?.close();
  }

  /** The last micro-batch done here; for tests. */
  get doneThrough(): BatchNumber {
    return this.#machine.doneThrough;
  }
}
