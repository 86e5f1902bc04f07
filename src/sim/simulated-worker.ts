// A worker of the simulation: the machine, its sources, a processor that runs one task at a time,
// and sinks that make output visible after a while, in order for each sink partition.

import { assert, unreachable } from '../base/assert.ts';
import type { StreamErrorData } from '../base/stream-error.ts';
import { errorToData } from '../base/stream-error.ts';
import type { Random } from '../base/random.ts';
import type { Incarnation, WorkerId } from '../control/protocol/ids.ts';
import type { DriverMessage, Peer, PeerMessage } from '../control/protocol/messages.ts';
import type { WorkerEffect, WorkerEvent } from '../control/worker/events.ts';
import { WorkerMachine } from '../control/worker/worker-machine.ts';
import type { ScheduleChecker } from './checker.ts';
import type { Message, Network } from './network.ts';
import type { SimulatedSource } from './simulated-source.ts';
import type { Commit, RanTask, TaskOrder, TaskOutcome, TaskRunner } from './task-runner.ts';
import type { Trace } from './trace.ts';
import type { Timer, VirtualClock } from './virtual-clock.ts';

export type CostModel = {
  /** Usual time of a task, ms; each takes a random share of it up to twice as long. */
  readonly taskMs: number;
  readonly commitMsMax: number;
};

export type SimulatedWorkerOptions = {
  readonly worker: WorkerId;
  readonly clock: VirtualClock;
  /** By how much its clock is ahead of the driver's, ms. */
  readonly skewMs: number;
  readonly random: Random;
  readonly costs: CostModel;
  readonly network: Network;
  readonly checker: ScheduleChecker;
  readonly trace: Trace;
  readonly runner: TaskRunner;
  /** The source partition that a task of the stage reads. */
  readonly sourceOf: (stage: number, partition: number) => SimulatedSource;
  readonly onTask: (task: RanTask) => void;
  readonly onVisible: (commit: Commit) => void;
};

type RunTask = Extract<WorkerEffect, { kind: 'run-task' }>;

export class SimulatedWorker {
  readonly machine: WorkerMachine;
  readonly #options: SimulatedWorkerOptions;
  /** When the last planned commit of a sink partition becomes visible, ms. */
  readonly #commitsMs = new Map<string, number>();
  readonly #woken = new Set<string>();
  #busy = false;
  #timer: Timer | null = null;
  #timerAtMs = Infinity;
  stopped = false;

  constructor(options: SimulatedWorkerOptions) {
    this.#options = options;
    this.machine = new WorkerMachine({ worker: options.worker, incarnation });
    options.network.attach(options.worker, (from, message) => this.#receive(from, message));
  }

  #receive(from: Peer, message: Message): void {
    const { trace, worker } = this.#options;
    trace.note(`w${worker} < ${from} ${message.kind}`);
    const event = { kind: 'message-received', from, message } as const;
    // The network carries messages of all kinds; those to a worker are of these two.
    this.#step({ ...event, message: message as DriverMessage | PeerMessage });
    if (message.kind === 'install-template') this.#wakeSources();
  }

  /** At the start all sources can be read. */
  #wakeSources(): void {
    const { checker, worker } = this.#options;
    for (const { stage, partition } of checker.sourcesOf(worker)) {
      const place = `${stage}/${partition}`;
      if (this.#woken.has(place)) continue;
      this.#woken.add(place);
      this.#step({ kind: 'source-ready', stage, partition });
    }
  }

  #step(event: WorkerEvent): void {
    const { clock, skewMs, checker, worker } = this.#options;
    this.machine.step(clock.nowMs + skewMs, event);
    checker.stepped(worker, this.machine);
    for (const effect of this.machine.takeEffects()) this.#carryOut(effect);
    this.#arm();
  }

  #carryOut(effect: WorkerEffect): void {
    switch (effect.kind) {
      case 'send-message':
        this.#options.checker.workerSent(this.#options.worker, effect.to, effect.message);
        return this.#options.network.send(this.#options.worker, effect.to, effect.message);
      case 'run-task':
        return this.#run(effect);
      case 'stop':
        this.stopped = true;
        break;
      case 'trace':
        break;
      default:
        unreachable(effect);
    }
  }

  #run(effect: RunTask): void {
    const { checker, clock, costs, onTask, random, runner, trace, worker } = this.#options;
    const { run, task, part, last, inputs, triggerMs, final } = effect;
    assert(!this.#busy, `worker ${worker} is asked to run two tasks at once`);
    this.#busy = true;
    const { stage, partition, batch } = task;
    trace.note(`w${worker} ${clock.nowMs} run s${stage}p${partition}@${batch}`);
    checker.taskStarted(worker, effect);
    const source = inputs === null ? this.#options.sourceOf(stage, partition) : null;
    const range = source?.take(final) ?? null;
    const order: TaskOrder = { task, part, last, inputs, range, triggerMs };
    const startedMs = clock.nowMs;
    const elapsedMs = costs.taskMs * 2 * random.float();
    // It runs at its end: whatever else happens until then must not change what it was given.
    clock.after(elapsedMs, () => {
      let outcome: TaskOutcome;
      try {
        outcome = runner.run(order);
      } catch (error) {
        return this.#fail(run, errorToData(error));
      }
      const outputTexts = outcome.outputs.map((output) => runner.textOf(output));
      onTask({ ...order, outputTexts, startedMs });
      this.#busy = false;
      checker.taskFinished(worker, effect, outcome.outputs);
      this.#commit(effect, outcome.commits);
      const quietMs = source?.quietMs() ?? 0;
      if (source !== null && quietMs > 0) this.#wakeLater(effect, { source, quietMs });
      this.#step({
        kind: 'task-finished',
        run,
        outputs: outcome.outputs,
        commitPending: outcome.commits.length > 0,
        ended: range?.ended === true,
        sourceReady: source?.ready === true,
        elapsedMs,
      });
    });
  }

  #fail(run: number, error: StreamErrorData): void {
    this.#options.clock.after(0, () => {
      this.#busy = false;
      this.#step({ kind: 'task-failed', run, error });
    });
  }

  #wakeLater({ task }: RunTask, sleep: { source: SimulatedSource; quietMs: number }): void {
    const { stage, partition } = task;
    this.#options.clock.after(sleep.quietMs, () => {
      sleep.source.awake();
      this.#step({ kind: 'source-ready', stage, partition });
    });
  }

  /** A task's rows become visible sink partition by sink partition; then it is committed. */
  #commit({ task }: RunTask, commits: readonly Commit[]): void {
    const { clock, costs, onVisible, random } = this.#options;
    let lastMs = clock.nowMs;
    for (const commit of commits) {
      const place = `${commit.sink}/${commit.partition}`;
      const earliestMs = Math.max(clock.nowMs, this.#commitsMs.get(place) ?? 0);
      const atMs = earliestMs + gapMs + random.float() * costs.commitMsMax;
      this.#commitsMs.set(place, atMs);
      lastMs = Math.max(lastMs, atMs);
      clock.at(atMs, () => onVisible(commit));
    }
    if (commits.length === 0) return;
    clock.at(lastMs + gapMs, () => this.#step({ kind: 'output-committed', task }));
  }

  #arm(): void {
    const { clock, skewMs } = this.#options;
    const deadlineMs = this.machine.nextDeadlineMs() - skewMs;
    if (this.#timer !== null && deadlineMs === this.#timerAtMs) return;
    if (this.#timer !== null) this.#timer.cancelled = true;
    this.#timer = null;
    this.#timerAtMs = deadlineMs;
    if (deadlineMs === Infinity) return;
    // Timers are never early; the gap keeps rounding from making one so.
    this.#timer = clock.at(Math.max(deadlineMs, clock.nowMs) + gapMs, () => {
      this.#timer = null;
      this.#step({ kind: 'time-passed' });
    });
  }
}

const incarnation = 1 as Incarnation;

/** Keeps what must happen one after the other apart from ties. */
const gapMs = 1e-6;
