// A worker of the simulation: the machine, its sources, a processor that runs one task at a time,
// and what stores and sinks answer after a while. It may crash, or stand still and then go on.

import { assert, unreachable } from '../base/assert.ts';
import type { StreamErrorData } from '../base/stream-error.ts';
import { errorToData } from '../base/stream-error.ts';
import type { Random } from '../base/random.ts';
import type { Incarnation, PlacementVersion, WorkerId } from '../control/protocol/ids.ts';
import type { DriverMessage, Peer, PeerMessage, Place } from '../control/protocol/messages.ts';
import type { Template } from '../control/protocol/template.ts';
import type { WorkerEffect, WorkerEvent } from '../control/worker/events.ts';
import { WorkerMachine } from '../control/worker/worker-machine.ts';
import type { ScheduleChecker } from './checker.ts';
import type { Moment } from './faults.ts';
import type { Endpoint, Message, Network } from './network.ts';
import type { LifeChecker } from './recovery-checker.ts';
import type { SimulatedSpill } from './simulated-spill.ts';
import type { StoreConditions } from './store-conditions.ts';
import type { Commit, RanTask, TaskOrder, TaskOutcome, TaskRunner } from './task-runner.ts';
import type { Trace } from './trace.ts';
import type { Timer, VirtualClock } from './virtual-clock.ts';
import type { Position, Taken, WorkerHost, WorkerIo, WorkerLog } from './worker-io.ts';

export type CostModel = {
  /** Usual time of a task, ms; each takes a random share of it up to twice as long. */
  readonly taskMs: number;
  readonly commitMsMax: number;
  /** Time that logs and stores take at most, ms. */
  readonly storeMsMax: number;
  /** Share of snapshots that cannot be stored. */
  readonly storeFailChance: number;
};

export type SimulatedWorkerOptions = {
  /** Micro-batches whose copies go to another host at once. */
  readonly backupEvery: number;
  readonly worker: WorkerId;
  readonly incarnation: Incarnation;
  readonly clock: VirtualClock;
  /** By how much its clock is ahead of the driver's, ms. */
  readonly skewMs: number;
  readonly random: Random;
  readonly costs: CostModel;
  readonly network: Network;
  readonly checker: ScheduleChecker | null;
  readonly lifeChecker: LifeChecker | null;
  readonly stores: StoreConditions;
  /** Null: there is room for all that is kept. */
  readonly spill: SimulatedSpill | null;
  readonly trace: Trace;
  readonly runner: TaskRunner;
  readonly ioOf: (host: WorkerHost) => WorkerIo;
  readonly logOf: (host: WorkerHost) => WorkerLog;
  readonly isSource: (stage: number) => boolean;
  readonly onTask: (task: Omit<RanTask, 'zombie'>) => void;
  readonly onVisible: (commit: Commit) => void;
  readonly onBlocks: (blocks: Extract<PeerMessage, { kind: 'blocks' }>) => void;
  /** What it keeps cannot be read: its shell ends it, and the driver hears of that. */
  readonly onDamaged: () => void;
  /** Something has happened of which nobody has heard yet: a chance to crash. */
  readonly onMoment: (moment: Moment) => void;
};

const beginning: Position = { to: 0, ended: false };

/** What a snapshot of a simulated partition holds. */
export type SimulatedSnapshot = {
  readonly state: unknown;
  readonly position: Position;
  /** The placement since which the partition was there when its state was taken. */
  readonly since: PlacementVersion;
};

type RunTask = Extract<WorkerEffect, { kind: 'run-task' }>;

export class SimulatedWorker {
  readonly machine: WorkerMachine;
  readonly #options: SimulatedWorkerOptions;
  readonly name: string;
  /** From the spill disk, under way. */
  #reads = 0;
  /** The last micro-batch of which it has sent blocks. */
  #sentThrough = -1;
  /** What it sends and receives by. */
  readonly endpoint: Endpoint;
  readonly #io: WorkerIo;
  readonly #log: WorkerLog;
  #isOpening = false;
  readonly #positions = new Map<string, Position>();
  /** Output of tasks that waits for `commit-output`. */
  readonly #outputs = new Map<string, readonly Commit[]>();
  /** Micro-batches whose output is not visible yet, by `stage/partition@batch`. */
  readonly #uncommitted = new Map<string, number>();
  /** When the last thing of a kind that keeps its order is done, ms. */
  readonly #lastMs = new Map<string, number>();
  /** By stage and partition: the last order to restore it. */
  readonly #restoring = new Map<string, number>();
  /** What happens while it stands still waits for it to go on. */
  #backlog: (() => void)[] | null = null;
  #busy = false;
  #skewMs: number;
  #timer: Timer | null = null;
  #timerAtMs = Infinity;
  /** The driver that it is connected to. */
  driver: Endpoint | null = null;
  stopped = false;
  crashed = false;

  constructor(options: SimulatedWorkerOptions) {
    this.#options = options;
    const { worker, incarnation, network, skewMs } = options;
    this.#skewMs = skewMs;
    this.name = incarnation === 1 ? `w${worker}` : `w${worker}#${incarnation}`;
    const keptLimits = options.spill?.model.limits;
    const { backupEvery } = options;
    this.machine = new WorkerMachine({ worker, incarnation, keptLimits, backupEvery });
    this.endpoint = network.attach(worker, (from, message) => {
      this.#act(() => this.#receive(from, message));
    });
    const host: WorkerHost = {
      name: this.name,
      random: options.random,
      act: (action) => this.#act(action),
      after: (delayMs, action) => this.#after(delayMs, action),
      inOrder: (name, takesMs, action) => this.#inOrder(name, takesMs, action),
      sourceReady: ({ stage, partition }) => this.#step({ kind: 'source-ready', stage, partition }),
    };
    this.#io = options.ioOf(host);
    this.#log = options.logOf(host);
  }

  /** Of a partition: output through a micro-batch that was given and is not visible. */
  hasUncommitted({ stage, partition }: Place, through: number): boolean {
    const place = `${stage}/${partition}@`;
    for (const [key, batch] of this.#uncommitted) {
      if (batch <= through && key.startsWith(place)) return true;
    }
    return false;
  }

  crash(): void {
    this.crashed = true;
    this.#backlog = null;
    this.#io.crash();
    this.#options.trace.note(`${this.name} crashes`);
  }

  pause(forMs: number): void {
    if (this.#backlog !== null || this.crashed) return;
    const { clock, trace } = this.#options;
    trace.note(`${this.name} stands still for ${forMs}`);
    this.#backlog = [];
    this.#io.pause(forMs);
    clock.after(forMs, () => {
      const backlog = this.#backlog ?? [];
      this.#backlog = null;
      for (const action of backlog) this.#act(action);
    });
  }

  /** Its clock is set: what it plans from now on, it plans by the new time. */
  setSkew(skewMs: number): void {
    this.#skewMs = skewMs;
    if (!this.crashed) this.#arm();
  }

  /** What happens to a worker happens when it is there and awake. */
  #act(action: () => void): void {
    if (this.crashed) return;
    if (this.#backlog !== null) this.#backlog.push(action);
    else action();
  }

  #after(delayMs: number, action: () => void): void {
    this.#options.clock.after(delayMs, () => this.#act(action));
  }

  /** Things under one name are done one after the other, each so long after the last. */
  #inOrder(name: string, takesMs: number, action: () => void): void {
    const { clock } = this.#options;
    const earliestMs = Math.max(clock.nowMs, this.#lastMs.get(name) ?? 0);
    const atMs = earliestMs + gapMs + takesMs;
    this.#lastMs.set(name, atMs);
    clock.at(atMs, () => this.#act(action));
  }

  /** True when something that has just happened is the last that it does. */
  #diesAt(moment: Moment): boolean {
    if (!this.crashed) this.#options.onMoment(moment);
    return this.crashed;
  }

  #receive(from: Peer, message: Message): void {
    const { trace } = this.#options;
    if (trace.wanted) trace.note(`${this.name} < ${from} ${message.kind}`);
    // The network carries messages of all kinds; those to a worker are of these two.
    const event = {
      kind: 'message-received',
      from,
      message: message as DriverMessage | PeerMessage,
    } as const;
    const isFirst = message.kind === 'install-template' && this.machine.template === null;
    if (!isFirst) return this.#step(event);
    // A copy of it: the first one waits for its sources.
    if (this.#isOpening) return;
    this.#isOpening = true;
    const places = this.#sourcesOf(message.template);
    this.#openAll(places, () => {
      this.#step(event);
      for (const place of places) this.#tellReady(place);
    });
  }

  /** Its own. */
  #sourcesOf({ stages }: Template): readonly Place[] {
    return stages.flatMap(({ placement, source }, stage) =>
      placement.flatMap((owner, partition) => {
        return source && owner === this.#options.worker ? [{ stage, partition }] : [];
      }),
    );
  }

  #openAll(places: readonly Place[], opened: () => void): void {
    let left = places.length;
    if (left === 0) opened();
    for (const place of places) {
      this.#openSource(place, beginning, () => {
        left--;
        if (left === 0) opened();
      });
    }
  }

  #openSource(place: Place, from: Position, opened: () => void): void {
    this.#positions.set(`${place.stage}/${place.partition}`, from);
    this.#io.sources.open(place, from, opened);
  }

  #tellReady({ stage, partition }: Place): void {
    if (this.crashed || !this.#io.sources.ready({ stage, partition })) return;
    this.#step({ kind: 'source-ready', stage, partition });
  }

  #step(event: WorkerEvent): void {
    const { clock, checker, lifeChecker, worker } = this.#options;
    this.machine.step(clock.nowMs + this.#skewMs, event);
    checker?.stepped(worker, this.machine);
    const effects = this.machine.takeEffects();
    lifeChecker?.stepped(clock.nowMs + this.#skewMs, this.machine, { event, effects });
    for (const effect of effects) {
      this.#carryOut(effect);
      if (this.crashed) return;
    }
    if (this.#options.spill !== null) lifeChecker?.onDisk(this.#options.spill.oldestBatch);
    this.#arm();
  }

  #carryOut(effect: WorkerEffect): void {
    const { checker, network, random, stores, trace, worker } = this.#options;
    switch (effect.kind) {
      case 'send-message':
        checker?.workerSent(worker, effect.to, effect.message);
        if (effect.to !== 'driver') network.send(this.endpoint, effect.to, effect.message);
        else if (this.driver !== null) network.sendTo(this.endpoint, this.driver, effect.message);
        if (effect.message.kind === 'blocks') {
          this.#options.onBlocks(effect.message);
          const isNew = effect.message.batch > this.#sentThrough;
          if (isNew) this.#sentThrough = effect.message.batch;
          if (this.#diesAt('blocks-sent')) return;
          if (isNew && this.#reads > 0) this.#diesAt('sent-while-reading');
        }
        if (effect.message.kind === 'status') this.#diesAt('status-sent');
        return;
      case 'run-task':
        return this.#run(effect);
      case 'restore-state': {
        const name = `${effect.stage}/${effect.partition}`;
        this.#restoring.set(name, effect.since);
        return this.#inOrder('store', stores.successMs(random), () => {
          if (this.#restoring.get(name) === effect.since) this.#restore(effect);
        });
      }
      case 'forget-state':
        this.#forget(effect);
        return;
      case 'read-range': {
        const { task, part } = effect;
        const range = this.#options.runner.rangeOf(effect.range);
        return this.#io.sources.replay(task, { part, range }, () => {
          this.#step({ kind: 'range-read', task, part });
        });
      }
      case 'log-range': {
        const { kind: _kind, version, ...record } = effect;
        const by = { version, reach: this.machine.template!.reach };
        return this.#log.append(record, by, (refused) => {
          const { task, since, last } = record;
          if (refused !== null) {
            return this.#step({ kind: 'log-failed', task, since, error: refused });
          }
          if (this.#diesAt('range-logged')) return;
          if (last) this.#step({ kind: 'range-logged', task, since });
        });
      }
      case 'commit-output':
        return this.#commit(effect.task, effect.since);
      case 'take-snapshot':
        return this.#takeSnapshot(effect);
      case 'spill-blocks':
        return this.#spill(effect);
      case 'read-blocks':
        return this.#readBlocks(effect);
      case 'drop-spilled':
        return this.#options.spill?.drop(effect.through);
      case 'stop':
        this.stopped = true;
        return this.#io.close();
      case 'trace':
        if (trace.wanted) trace.note(`${this.name} ${JSON.stringify(effect.trace)}`);
        return;
      default:
        unreachable(effect);
    }
  }

  #spill({ spill: id, blocks }: Extract<WorkerEffect, { kind: 'spill-blocks' }>): void {
    const spill = this.#options.spill;
    // The usual limits are out of reach of what a simulation keeps.
    assert(spill !== null, 'blocks are spilled though there is room');
    this.#after(spill.callMs(), () => {
      if (this.#diesAt('blocks-spilled')) return;
      if (spill.failsToWrite()) return this.#step({ kind: 'spill-failed', spill: id });
      this.#step({ kind: 'blocks-spilled', spill: id, stored: spill.write(blocks) });
    });
  }

  #readBlocks({ read, stored }: Extract<WorkerEffect, { kind: 'read-blocks' }>): void {
    const spill = this.#options.spill;
    assert(spill !== null, 'blocks are read that were never spilled');
    // A file that is dropped while it is read stays open until then.
    const outputs = spill.read(stored);
    this.#reads++;
    this.#after(spill.callMs(), () => {
      this.#reads--;
      if (this.#diesAt('blocks-read')) return;
      if (spill.isDamaged()) return this.#options.onDamaged();
      this.#step({ kind: 'blocks-read', read, outputs });
    });
  }

  #forget({ stage, partition }: Place): void {
    const name = `${stage}/${partition}`;
    this.#restoring.delete(name);
    this.#io.sources.close({ stage, partition });
    for (const key of this.#outputs.keys()) {
      if (key.startsWith(`${name}@`)) this.#outputs.delete(key);
    }
  }

  #restore({ stage, partition, since, snapshot, behind, readsBehind }: RestoreState): void {
    const { runner, trace } = this.#options;
    const place = { stage, partition };
    const name = `${stage}/${partition}`;
    const { state, position } = (snapshot ?? {
      state: null,
      position: beginning,
    }) as Pick<SimulatedSnapshot, 'state' | 'position'>;
    trace.note(`${this.name} restores s${stage}p${partition}`);
    for (const key of this.#outputs.keys()) {
      if (key.startsWith(`${name}@`)) this.#outputs.delete(key);
    }
    for (const key of this.#uncommitted.keys()) {
      if (key.startsWith(`${name}@`)) this.#uncommitted.delete(key);
    }
    this.#log.restored(place);
    runner.restore(place, { snapshot: state, behind });
    const from = behind === null ? position : runner.rangeOf(behind);
    const { to, ended } = readsBehind === null ? from : runner.rangeOf(readsBehind);
    const restored = (): void => {
      if (this.#diesAt('state-restored')) return;
      this.#step({ kind: 'state-restored', ...place, since, ended: from.ended });
      this.#tellReady(place);
    };
    if (this.#options.isSource(stage)) this.#openSource(place, { to, ended }, restored);
    else restored();
  }

  #run(effect: RunTask): void {
    const { checker, costs, random, trace, worker, runner } = this.#options;
    const { run, task, part, last, inputs, triggerMs, final, replay, holdsBack } = effect;
    assert(!this.#busy, `worker ${worker} is asked to run two tasks at once`);
    this.#busy = true;
    const { stage, partition, batch } = task;
    const again = replay === null ? '' : replay.rerun ? ' rerun' : ' again';
    if (trace.wanted) {
      const { nowMs } = this.#options.clock;
      trace.note(`${this.name} ${nowMs} run s${stage}p${partition}@${batch}${again}`);
    }
    checker?.taskStarted(worker, effect);
    const name = `${stage}/${partition}`;
    const { sources } = this.#io;
    let taken: Taken | null = null;
    try {
      if (inputs === null && replay === null) taken = sources.take(task, { final, holdsBack });
    } catch (error) {
      return this.#fail(run, errorToData(error));
    }
    const known = replay === null ? null : runner.rangeOf(replay.range);
    const range = known ?? taken?.range ?? null;
    const chunk = known === null ? (taken?.chunk ?? null) : sources.replayed(task, part);
    // What is read again had its trigger before.
    const atMs = known?.triggerMs ?? triggerMs;
    const order: TaskOrder = { task, part, last, inputs, range, chunk, triggerMs: atMs, replay };
    const startedMs = this.#options.clock.nowMs;
    const { version } = this.machine.template!;
    const elapsedMs = costs.taskMs * 2 * random.float();
    // It runs at its end: whatever else happens until then must not change what it was given.
    this.#after(elapsedMs, () => {
      let outcome: TaskOutcome;
      try {
        outcome = runner.run(order);
      } catch (error) {
        return this.#fail(run, errorToData(error));
      }
      this.#busy = false;
      const outputTexts = outcome.outputs.map((output) => runner.textOf(output));
      this.#options.onTask({ ...order, outputTexts, startedMs, version });
      checker?.taskFinished(worker, effect, outcome.outputs);
      if (outcome.commits.length > 0) {
        this.#outputs.set(`${name}@${batch}`, outcome.commits);
        this.#uncommitted.set(`${name}@${batch}`, batch);
      }
      if (range !== null && replay?.rerun !== true) this.#positions.set(name, range);
      taken?.used();
      if (range?.ended === true && this.#diesAt('source-ended')) return;
      if (this.#diesAt('task-run')) return;
      this.#step({
        kind: 'task-finished',
        run,
        outputs: outcome.outputs,
        outputBytes: outcome.outputs.map((output) => runner.bytesOf(output)),
        range: outcome.range,
        commitPending: outcome.commits.length > 0 && replay?.rerun !== true,
        ended: range?.ended === true,
        sourceReady: sources.ready({ stage, partition }),
        elapsedMs,
      });
    });
  }

  #fail(run: number, error: StreamErrorData): void {
    this.#busy = false;
    this.#step({ kind: 'task-failed', run, error });
  }

  #commit(task: RunTask['task'], since: PlacementVersion): void {
    const key = `${task.stage}/${task.partition}@${task.batch}`;
    const commits = this.#outputs.get(key);
    assert(commits !== undefined, `${key} has nothing to commit`);
    this.#outputs.delete(key);
    let left = commits.length;
    for (const commit of commits) {
      this.#io.sinks.commit(commit, since, {
        onVisible: () => this.#options.onVisible(commit),
        onDone: (refused) => {
          if (refused !== null) {
            return this.#step({ kind: 'commit-failed', task, since, error: refused });
          }
          if (this.#diesAt('output-visible')) return;
          left--;
          if (left === 0) this.#uncommitted.delete(key);
          if (left === 0) this.#step({ kind: 'output-committed', task, since });
        },
      });
    }
  }

  #takeSnapshot({ task, since }: Extract<WorkerEffect, { kind: 'take-snapshot' }>): void {
    const { random, runner, stores } = this.#options;
    const state = runner.snapshot(task);
    const position = this.#positions.get(`${task.stage}/${task.partition}`) ?? beginning;
    const snapshot: SimulatedSnapshot = { state, position, since };
    this.#after(stores.callMs(random), () => {
      const fails = stores.fails(random, 0.25);
      if (!fails && this.#diesAt('snapshot-stored')) return;
      if (fails) this.#step({ kind: 'snapshot-failed', task, since, error: storeError });
      else this.#step({ kind: 'snapshot-stored', task, since, snapshot });
    });
  }

  #arm(): void {
    const { clock } = this.#options;
    const deadlineMs = this.machine.nextDeadlineMs() - this.#skewMs;
    if (this.#timer !== null && deadlineMs === this.#timerAtMs) return;
    if (this.#timer !== null) this.#timer.cancelled = true;
    this.#timer = null;
    this.#timerAtMs = deadlineMs;
    if (deadlineMs === Infinity) return;
    // Timers are never early; the gap keeps rounding from making one so.
    const timer = clock.at(Math.max(deadlineMs, clock.nowMs) + gapMs, () => {
      this.#act(() => {
        if (this.#timer === timer) this.#timer = null;
        this.#step({ kind: 'time-passed' });
      });
    });
    this.#timer = timer;
  }
}

type RestoreState = Extract<WorkerEffect, { kind: 'restore-state' }>;

/** Keeps what must happen one after the other apart from ties. */
const gapMs = 1e-6;

export const storeError: StreamErrorData = {
  code: 'store-unreachable',
  message: 'could not write to the store',
  hint: null,
  fields: {},
  stack: null,
};
