// Runs a worker machine in the real world: turns its orders into task calls, messages and commits,
// and their results into events. It decides nothing. Shared by every shell that has real time.

import type { StreamError } from '../../base/stream-error.ts';
import { asStreamError, errorToData } from '../../base/stream-error.ts';
import type { BatchNumber, Incarnation, WorkerId } from '../../control/protocol/ids.ts';
import type {
  DriverMessage,
  Peer,
  PeerMessage,
  TaskName,
  WorkerMessage,
} from '../../control/protocol/messages.ts';
import { partitionsOn } from '../../control/protocol/template.ts';
import type { Template } from '../../control/protocol/template.ts';
import type { WorkerEffect, WorkerEvent } from '../../control/worker/events.ts';
import { WorkerMachine } from '../../control/worker/worker-machine.ts';
import { OpenRows } from '../../data/task/open-rows.ts';
import { TaskExecutor } from '../../data/task/task-executor.ts';
import type {
  ExchangeOutput,
  InputBlock,
  TaskId,
  TaskInput,
  TaskResult,
} from '../../data/task/task.ts';
import type { Bindings } from '../../plan/bindings.ts';
import type { SinkId } from '../../plan/logical-plan.ts';
import type { PhysicalPlan, StageId } from '../../plan/physical-plan.ts';
import { SinkPartitions } from '../../plan/sink-partitions.ts';
import type { Sink, SinkOutput } from '../../ports/sink.ts';
import type { Source, SourceReader } from '../../ports/source.ts';
import type { SourceChunk } from '../../ports/source-chunk.ts';
import type { JobConfig } from './job-config.ts';
import type { RunClock } from './run-clock.ts';
import { sharedPages } from './shared-pages.ts';
import { SinkWriters } from './sink-writers.ts';
import type { WorkerShellTrace } from './traces.ts';
import { workerTraces } from './traces.ts';
import { WorkerMeters } from './worker-meters.ts';

export type WorkerShellOptions = {
  readonly worker: WorkerId;
  readonly incarnation: Incarnation;
  readonly plan: PhysicalPlan;
  readonly bindings: Bindings<Source, Sink>;
  readonly config: JobConfig;
  readonly clock: RunClock;
  readonly send: (to: Peer, message: WorkerMessage | PeerMessage) => void;
  /** Commits rows of a sink that lives at the client; resolves when they are visible. */
  readonly commitAtClient: (commit: ClientCommit) => Promise<void>;
  /** The machine has stopped and everything it opened is closed. */
  readonly onStopped: () => void;
  /** Reports an error that no task stands for: a source or sink that could not open. */
  readonly onFatal: (error: unknown) => void;
};

export type ClientCommit = {
  readonly sink: SinkId;
  readonly partition: number;
  readonly output: SinkOutput;
};

/** Time that tasks may take of one turn of the event loop before messages get theirs, ms. */
const turnMs = 2;

const gaugeIntervalMs = 100;

export class WorkerShell {
  readonly #options: WorkerShellOptions;
  readonly #machine: WorkerMachine;
  readonly #executor: TaskExecutor;
  readonly #sinkPartitions: SinkPartitions;
  readonly #readers = new Map<string, SourceReader>();
  readonly #writers: SinkWriters;
  readonly #meters = new WorkerMeters();
  readonly #openRows = new OpenRows();
  /** Where source partitions ended, by `stage/partition`. */
  readonly #ends = new Map<string, number>();
  #template: Template | null = null;
  #pumping = false;
  #runnable: Extract<WorkerEffect, { kind: 'run-task' }> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #timerAtMs = Infinity;
  #gaugeTimer: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;
  #closed = false;

  constructor(options: WorkerShellOptions) {
    this.#options = options;
    const { worker, incarnation, plan, bindings, config, clock } = options;
    this.#machine = new WorkerMachine({ worker, incarnation });
    this.#sinkPartitions = new SinkPartitions(plan, config.partitionCounts);
    this.#writers = new SinkWriters({ specs: plan.sinks, sinks: bindings.sinks, clock });
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
    if (message.kind === 'install-template' && this.#template === null) {
      this.#template = message.template;
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
    const { plan, bindings, config, clock, worker } = this.#options;
    const opening: Promise<void>[] = [];
    for (const stage of plan.stages) {
      if (stage.input.kind !== 'scan') continue;
      const { scan } = stage.input;
      const spec = plan.sources.find((source) => source.id === scan.source)!;
      const source = bindings.sources.get(spec.id)!;
      for (const partition of partitionsOn(template.stages[stage.id]!, worker)) {
        const context = {
          nowMs: () => clock.nowMs(),
          startMs: config.startMs,
          schema: spec.schema,
          format: spec.format,
          workerCount: config.workerCount,
          layout: config.layouts[spec.id] ?? null,
        };
        const opened = source.open(partition, context).then((reader) => {
          this.#readers.set(`${stage.id}/${partition}`, reader);
          reader.onReady(() => {
            this.#step({ kind: 'source-ready', stage: stage.id, partition });
          });
        });
        opening.push(opened);
      }
    }
    await Promise.all(opening);
    this.#gaugeTimer = setInterval(() => this.#measure(), gaugeIntervalMs);
  }

  /** A reader that was ready before anybody could be told. */
  #tellReady(): void {
    for (const [name, reader] of this.#readers) {
      if (!reader.ready()) continue;
      const [stage, partition] = name.split('/').map(Number);
      this.#step({ kind: 'source-ready', stage: stage!, partition: partition! });
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
    const startMs = this.#options.clock.nowMs();
    try {
      for (;;) {
        const effects = this.#machine.takeEffects();
        for (const effect of effects) this.#carryOut(effect);
        if (effects.length > 0) continue;
        if (this.#runnable === null || this.#closed) break;
        if (this.#options.clock.nowMs() - startMs > turnMs) {
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
      case 'stop':
        void this.#close().then(this.#options.onStopped, this.#options.onFatal);
        break;
      case 'trace':
        break;
    }
  }

  /** A peer gets only the blocks of its own partitions. */
  #addressed(to: Peer, message: WorkerMessage | PeerMessage): WorkerMessage | PeerMessage {
    if (message.kind !== 'blocks') return message;
    const { to: stage } = this.#template!.exchanges[message.exchange]!;
    const { placement } = this.#template!.stages[stage]!;
    const entries = message.entries.map((entry) => {
      const { header, blocks } = entry.output as ExchangeOutput;
      const own = blocks.map((block, partition) => (placement[partition] === to ? block : null));
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
      const reader = this.#readers.get(`${task.stage}/${task.partition}`);
      const input = this.#input(effect, reader);
      const result = this.#executor.run(id, input);
      this.#meters.count(task, result);
      const sinks = this.#openRows.add(id, result.sinks, last);
      const commitPending = this.#commit(task, sinks, result.watermarkMs);
      const ended = result.range?.ended ?? false;
      this.#tell({
        kind: 'task-finished',
        run,
        outputs: result.outputs,
        commitPending,
        ended,
        sourceReady: reader !== undefined && !ended && reader.ready(),
        elapsedMs: clock.nowMs() - startMs,
      });
    } catch (error) {
      this.#tell({ kind: 'task-failed', run, error: errorToData(error) });
    }
  }

  #input(
    effect: Extract<WorkerEffect, { kind: 'run-task' }>,
    reader: SourceReader | undefined,
  ): TaskInput {
    const { task, inputs, triggerMs, final } = effect;
    if (inputs !== null) {
      const blocks = inputs.map((handles) =>
        handles.map(({ producer, output }): InputBlock => {
          const { header, blocks: all } = output as ExchangeOutput;
          return { producer, header, block: all[task.partition] ?? null };
        }),
      );
      return { kind: 'blocks', blocks };
    }
    const chunk = this.#take(task, reader!, final);
    return { kind: 'scan', chunk, triggerMs };
  }

  /** A partition that has ended gives nothing for ever; its reader is not asked again. */
  #take({ stage, partition }: TaskName, reader: SourceReader, final: boolean): SourceChunk {
    const name = `${stage}/${partition}`;
    const end = this.#ends.get(name);
    if (end !== undefined) return { from: end, to: end, ended: true, data: { kind: 'none' } };
    if (final) reader.finish();
    let taken: SourceChunk;
    try {
      taken = reader.take(this.#options.config.bytesPerTask);
    } catch (error) {
      throw sourceError(error, { plan: this.#options.plan, stage, partition });
    }
    const chunk = final ? { ...taken, ended: true } : taken;
    if (chunk.ended) this.#ends.set(name, chunk.to);
    return chunk;
  }

  #commit(task: TaskName, sinks: TaskResult['sinks'], watermarkMs: number): boolean {
    if (sinks.length === 0) return false;
    const commits = sinks.map(({ sink, batch }) => {
      const output = { batch: task.batch, rows: batch, watermarkMs };
      return this.#commitTo(
        sink,
        this.#sinkPartitions.of(sink, task.stage, task.partition),
        output,
      );
    });
    Promise.all(commits).then(
      () => this.#step({ kind: 'output-committed', task }),
      (error: unknown) => this.#step({ kind: 'commit-failed', task, error: errorToData(error) }),
    );
    return true;
  }

  #commitTo(id: SinkId, partition: number, output: SinkOutput): Promise<void> {
    const sink = this.#options.bindings.sinks.get(id)!;
    // A sink of one partition has its one writer at the client: many partitions may feed it (late
    // rows, dead letters), and one who asks for a file expects it where the job was started.
    if (sink.location === 'client' || sink.partitions === 1) {
      return this.#options.commitAtClient({ sink: id, partition, output });
    }
    return this.#writers.commit(id, partition, output);
  }

  #measure(): void {
    const gauges = this.#meters.measure(this.#readers.values(), this.#executor.stateBytes());
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
    await Promise.all([...this.#readers.values()].map((reader) => reader.close()));
  }

  /** The last micro-batch done here; for tests. */
  get doneThrough(): BatchNumber {
    return this.#machine.doneThrough;
  }
}

/** A reader of a user's own may throw anything. */
function sourceError(
  error: unknown,
  { plan, stage, partition }: { plan: PhysicalPlan; stage: number; partition: number },
): StreamError {
  const { input } = plan.stages[stage]!;
  const source = input.kind === 'scan' ? input.scan.source : '';
  return asStreamError(error, {
    code: 'source-failed',
    message: `could not read partition ${partition} of source "${source}"`,
    hint: 'the error comes from the source itself; its stack is in the cause',
    fields: { source, partition },
  });
}
