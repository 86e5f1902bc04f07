// A worker of a simulation of scale: the machine, and a processor that messages and tasks share.

import { assert, unreachable } from '../../base/assert.ts';
import type { Random } from '../../base/random.ts';
import type { Incarnation, WorkerId } from '../../control/protocol/ids.ts';
import type {
  DriverMessage,
  Peer,
  PeerMessage,
  WorkerMessage,
} from '../../control/protocol/messages.ts';
import { partitionsOn } from '../../control/protocol/template.ts';
import type { Template } from '../../control/protocol/template.ts';
import type { WorkerEffect, WorkerEvent } from '../../control/worker/events.ts';
import { WorkerMachine } from '../../control/worker/worker-machine.ts';
import type { Message } from '../network.ts';
import type { Timer, VirtualClock } from '../virtual-clock.ts';
import type { WorkerCosts } from './scale-costs.ts';
import type { ScaleMeters } from './scale-meters.ts';
import type { ScaleOptions } from './scale-run.ts';
import type { ScaleStore } from './scale-storage.ts';
import { ScaleStorage, scaleLogName } from './scale-storage.ts';
import type { SerialProcessor } from './serial-processor.ts';

export type ScaleWorkerOptions = {
  readonly worker: WorkerId;
  readonly clock: VirtualClock;
  readonly processor: SerialProcessor;
  readonly random: Random;
  readonly meters: ScaleMeters;
  readonly job: ScaleOptions;
  readonly permittedMs: (batch: number) => number;
  /** Null: the job keeps nothing. */
  readonly store: ScaleStore | null;
  /** Takes a message that leaves the worker's thread now. */
  readonly send: (to: Peer, message: WorkerMessage | PeerMessage) => void;
};

type RunTask = Extract<WorkerEffect, { kind: 'run-task' }>;

const nothing: readonly unknown[] = [];

export class ScaleWorker {
  readonly machine: WorkerMachine;
  readonly processor: SerialProcessor;
  readonly #options: ScaleWorkerOptions;
  /** By stage: what its tasks give. */
  readonly #outputs: readonly (readonly unknown[])[];
  /** By stage and partition: the micro-batch whose task must run next. */
  readonly #next = new Map<number, number>();
  #timer: Timer | null = null;
  #timerAtMs = Infinity;
  readonly #storage: ScaleStorage | null;
  #isLost = false;

  constructor(options: ScaleWorkerOptions) {
    this.#options = options;
    const { store, clock, worker, processor } = options;
    this.#storage =
      store === null
        ? null
        : new ScaleStorage({
            store,
            clock,
            processor,
            name: scaleLogName(worker),
            tell: (event) => {
              this.processor.add({ costMs: 0, act: () => this.#step(event, 0) });
            },
          });
    this.processor = options.processor;
    this.machine = new WorkerMachine({ worker: options.worker, incarnation: 1 as Incarnation });
    this.#outputs = options.job.shape.stages.map(({ outputs }) =>
      outputs.length === 0 ? nothing : outputs.map(() => null),
    );
  }

  /** It is there no more: it does and says nothing. */
  lose(): void {
    this.#isLost = true;
  }

  receive(from: Peer, message: DriverMessage | PeerMessage): void {
    if (this.#isLost) return;
    const { costs } = this.#options.job;
    this.processor.add({
      costMs: costs.worker.receiveMs + entriesMs(message, costs.worker.entryMs),
      act: () => {
        const tookMs = this.#step({ kind: 'message-received', from, message }, 0);
        if (message.kind !== 'install-template') return tookMs;
        return this.#wakeSources(message.template, tookMs);
      },
    });
  }

  /** Sources can always be read. */
  #wakeSources(template: Template, tookMs: number): number {
    let elapsedMs = tookMs;
    template.stages.forEach((stage, id) => {
      if (!stage.source) return;
      for (const partition of partitionsOn(stage, this.#options.worker)) {
        elapsedMs = this.#step({ kind: 'source-ready', stage: id, partition }, elapsedMs);
      }
    });
    return elapsedMs;
  }

  /** `tookMs` of the processor's time has been taken already; gives what has been then. */
  #step(event: WorkerEvent, tookMs: number): number {
    if (this.#isLost) return 0;
    const { clock, job } = this.#options;
    let effects: WorkerEffect[] = [];
    const step = (): void => {
      this.machine.step(clock.nowMs, event);
      effects = this.machine.takeEffects();
    };
    if (job.timeStep === undefined || event.kind !== 'message-received') step();
    else job.timeStep(step);
    let elapsedMs = tookMs;
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send-message':
          elapsedMs += job.costs.worker.sendMs;
          elapsedMs += entriesMs(effect.message, job.costs.worker.entryMs);
          this.#send(effect.to, effect.message, clock.nowMs + elapsedMs);
          break;
        case 'run-task':
          this.#run(effect);
          break;
        case 'commit-output':
        case 'read-range':
        case 'log-range':
        case 'restore-state':
        case 'forget-state':
        case 'take-snapshot':
          // Other jobs of scale have no sinks and lose nobody.
          assert(this.#storage !== null, `no ${effect.kind} is asked for`);
          this.#storage.carryOut(effect);
          break;
        case 'spill-blocks':
        case 'read-blocks':
        case 'drop-spilled':
          // What they keep takes no memory.
          assert(false, `no ${effect.kind} is asked for`);
          break;
        case 'stop':
        case 'trace':
          break;
        default:
          unreachable(effect);
      }
    }
    this.#arm();
    return elapsedMs;
  }

  #send(to: Peer, message: WorkerMessage | PeerMessage, departureMs: number): void {
    this.#options.meters.sent(message);
    this.#options.clock.at(departureMs, () => this.#options.send(to, message));
  }

  #run({ run, task, part, last, triggerMs, inputs, replay }: RunTask): void {
    const { clock, job, meters, random } = this.#options;
    const { stage, partition, batch } = task;
    const place = stage * 2 ** 20 + partition;
    if (job.loss === undefined) {
      assert(batch === (this.#next.get(place) ?? 0), `s${stage}p${partition}@${batch} is not next`);
      this.#next.set(place, batch + 1);
    }
    if (replay === null) meters.planned(batch, triggerMs);
    const slowdown =
      job.slowdown?.(this.#options.worker - 1, clock.nowMs, this.#options.permittedMs(batch)) ?? 1;
    const jitter = 1 + job.jitter * (2 * random.float() - 1);
    const workMs = job.workMs[stage]! * jitter * slowdown * partShare(job, stage, inputs);
    const costMs = taskMs(inputs, job.costs.worker) + workMs;
    const { source, sinks } = job.shape.stages[stage]!;
    const range = source && job.loss !== undefined ? { batch, part } : null;
    this.processor.add({
      costMs,
      act: () => {
        const startedMs = replay === null ? clock.nowMs - costMs : Infinity;
        meters.ran({ batch, startedMs, endedMs: clock.nowMs, workMs });
        const event = {
          kind: 'task-finished',
          run,
          outputs: this.#outputs[stage]!,
          outputBytes: this.#outputs[stage]!.map(() => 0),
          range,
          commitPending: sinks && last && job.loss !== undefined,
          ended: false,
          sourceReady: true,
          elapsedMs: costMs,
        } as const;
        return this.#step(event, 0);
      },
    });
  }

  #arm(): void {
    const deadlineMs = this.machine.nextDeadlineMs();
    if (this.#timer !== null && deadlineMs === this.#timerAtMs) return;
    if (this.#timer !== null) this.#timer.cancelled = true;
    this.#timer = null;
    this.#timerAtMs = deadlineMs;
    if (deadlineMs === Infinity) return;
    const { clock } = this.#options;
    this.#timer = clock.at(Math.max(deadlineMs, clock.nowMs), () => {
      this.#timer = null;
      this.processor.add({ costMs: 0, act: () => this.#step({ kind: 'time-passed' }, 0) });
    });
  }
}

/** Where a task has parts, each is a share of its work: what it takes in of all that comes. */
function partShare(job: ScaleOptions, stage: number, inputs: RunTask['inputs']): number {
  const { mode, loss, pace, shape } = job;
  if (mode !== 'continuous' || loss === undefined) return 1;
  // The first when it opens, the last when it closes.
  const parts = Math.ceil(pace.intervalMs / loss.partMs) + 1;
  if (inputs === null) return 1 / parts;
  const producers = shape.stages[stage]!.inputs.reduce((sum, input) => {
    return sum + shape.stages[shape.exchanges[input]!.from]!.partitionCount;
  }, 0);
  const blocks = inputs.reduce((sum, { length }) => sum + length, 0);
  return blocks / (producers * parts);
}

function entriesMs(message: Message, entryMs: number): number {
  return message.kind === 'blocks' ? entryMs * message.entries.length : 0;
}

/** What a task takes besides its work. */
function taskMs(inputs: RunTask['inputs'], costs: WorkerCosts): number {
  if (inputs === null) return costs.taskMs;
  const blocks = inputs.reduce((sum, { length }) => sum + length, 0);
  return costs.taskMs + costs.consumerMs + costs.inputMs * blocks;
}
