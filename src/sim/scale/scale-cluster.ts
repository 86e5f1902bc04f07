// Thousands of workers on a virtual clock: the real driver and worker machines, with processors and
// links that cost time. Unlike `cluster.ts` it computes no results and checks no single event; what
// it holds is that every task ran once and in order, and it tells how long queues became.

import { assert, unreachable } from '../../base/assert.ts';
import { Random } from '../../base/random.ts';
import type { StreamErrorData } from '../../base/stream-error.ts';
import { DriverMachine } from '../../control/driver/driver-machine.ts';
import type { RecoveryOptions } from '../../control/driver/driver-machine.ts';
import type { DriverEffect, DriverEvent } from '../../control/driver/events.ts';
import type { Incarnation, PlacementVersion, Term, WorkerId } from '../../control/protocol/ids.ts';
import { noBatch } from '../../control/protocol/ids.ts';
import type {
  DriverMessage,
  Peer,
  PeerMessage,
  WorkerMessage,
} from '../../control/protocol/messages.ts';
import type { Message } from '../network.ts';
import type { Timer } from '../virtual-clock.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { messageBytes } from './message-bytes.ts';
import { ScaleHost } from './scale-host.ts';
import { ScaleMeters } from './scale-meters.ts';
import type { PermittedAt, ScaleLoss, ScaleOptions, ScaleRun } from './scale-run.ts';
import { ScaleStore, scaleLogName } from './scale-storage.ts';
import { ScaleWorker } from './scale-worker.ts';
import { Cores, SerialProcessor } from './serial-processor.ts';

/** Throws an AssertionError when a task is lost or repeated, or the job stands still. */
export function runScale(options: ScaleOptions): ScaleRun {
  return new ScaleCluster(options).run();
}

class ScaleCluster {
  readonly #options: ScaleOptions;
  readonly #clock: VirtualClock;
  readonly #driver: DriverMachine;
  readonly #processor: SerialProcessor;
  readonly #hosts: ScaleHost[] = [];
  readonly #workers: ScaleWorker[] = [];
  readonly #meters: ScaleMeters;
  readonly #store: ScaleStore | null;
  #lost: number | null = null;
  #lostMs: number | null = null;
  #checkpoints = 0;
  #recoveredMs: number | null = null;
  readonly #groups: PermittedAt[] = [];
  /** By worker and stage: partitions there. */
  readonly #taskCounts: Int32Array;
  /** By worker: the group whose end it has reported. */
  readonly #groupsReported: Int32Array;
  #linkFreeMs = 0;
  #timer: Timer | null = null;
  #timerAtMs = Infinity;
  #cutOff = false;

  constructor(options: ScaleOptions) {
    this.#options = options;
    const { shape, workerCount, mode, pace, seed } = options;
    const random = new Random(seed);
    this.#clock = new VirtualClock(random.fork(), 0);
    const cores = options.cores == null ? null : new Cores(options.cores);
    const { wakeMs } = options.costs.driver;
    this.#processor = new SerialProcessor(this.#clock, { cores, wakeMs });
    const { loss } = options;
    this.#driver = new DriverMachine({
      shape,
      workerCount,
      mode,
      pace,
      term: 1 as Term,
      ...(loss === undefined ? {} : lossOptions(loss)),
    });
    this.#taskCounts = new Int32Array(workerCount * shape.stages.length);
    this.#groupsReported = new Int32Array(workerCount);
    const partitions = shape.stages.reduce((sum, { sinks, partitionCount }) => {
      return loss === undefined || sinks ? sum + partitionCount : sum;
    }, 0);
    const { batches } = options;
    const meters = new ScaleMeters({ batches, partitions, repeats: loss !== undefined });
    this.#meters = meters;
    this.#store =
      loss === undefined ? null : new ScaleStore({ clock: this.#clock, meters, loss, shape });
    for (let index = 0; index < Math.ceil(workerCount / this.#workersPerHost); index++) {
      this.#hosts.push(new ScaleHost({ clock: this.#clock, cores, job: options }));
    }
    for (let index = 0; index < workerCount; index++) {
      const { wakeMs: workerWakeMs } = options.costs.worker;
      this.#workers.push(
        new ScaleWorker({
          worker: (index + 1) as WorkerId,
          clock: this.#clock,
          processor: new SerialProcessor(this.#clock, { cores, wakeMs: workerWakeMs }),
          random: random.fork(),
          meters,
          store: this.#store,
          job: options,
          permittedMs: (batch) => this.#permittedMs(batch),
          send: (to, message) => this.#route(to, index, message),
        }),
      );
    }
  }

  run(): ScaleRun {
    this.#workers.forEach((_, index) => {
      const worker = (index + 1) as WorkerId;
      const event = { worker, incarnation: 1 as Incarnation, host: index };
      this.#step({ kind: 'worker-joined', ...event });
    });
    this.#countTasks();
    for (const { atMs, urgent } of this.#options.planChanges ?? []) {
      this.#clock.at(atMs, () => this.#changePlan(urgent));
    }
    const { batches } = this.#options;
    const warmUp = this.#options.warmUpBatches ?? Math.floor(batches / 3);
    const half = Math.floor(batches / 2);
    const meters = this.#meters;
    while (meters.done < batches) {
      const { done } = meters;
      assert(this.#clock.nowMs < elapsedMsMax, 'the job makes no progress');
      assert(this.#clock.advance(), `everything waits after ${meters.done} micro-batches`);
      if (done === meters.done) continue;
      const nowMs = this.#clock.nowMs;
      if (done < warmUp && meters.done >= warmUp) {
        meters.begin({ nowMs, ...this.#processors() });
      }
      if (done < half && meters.done >= half) meters.halve(this.#processor);
    }
    return meters.finish({
      nowMs: this.#clock.nowMs,
      groups: this.#groups,
      lostMs: this.#lostMs,
      recoveredMs: this.#recoveredMs,
      ...this.#processors(),
    });
  }

  #lose({ worker, detectionMs }: ScaleLoss): void {
    this.#lost = worker;
    this.#lostMs = this.#clock.nowMs;
    this.#workers[worker]!.lose();
    const event = { worker: (worker + 1) as WorkerId, error: lostError };
    this.#clock.after(detectionMs, () => this.#tellSelf({ kind: 'worker-lost', ...event }));
  }

  /** What the driver hears from elsewhere than a link. */
  #tellSelf(event: DriverEvent): void {
    this.#processor.add({ costMs: 0, act: () => this.#step(event) });
  }

  #processors(): Pick<Parameters<ScaleMeters['begin']>[0], 'processor' | 'workers' | 'hosts'> {
    return { processor: this.#processor, workers: this.#workers, hosts: this.#hosts };
  }

  #changePlan(urgent: boolean): void {
    const { groupSize, intervalMs } = this.#options.pace;
    this.#processor.add({
      costMs: 0,
      act: () => this.#step({ kind: 'pace-changed', groupSize, intervalMs, urgent }),
    });
  }

  /** When the order came from the driver that permits a micro-batch, ms. */
  #permittedMs(batch: number): number {
    for (let index = this.#groups.length - 1; index >= 0; index--) {
      const group = this.#groups[index]!;
      if (batch >= group.first) return group.atMs;
    }
    return 0;
  }

  #countTasks(): void {
    const { template } = this.#driver;
    assert(template !== null, 'all workers have joined');
    const stages = template.stages.length;
    template.stages.forEach(({ placement }, stage) => {
      for (const worker of placement) this.#taskCounts[(worker - 1) * stages + stage]!++;
    });
  }

  /** Partitions of a stage, or of all, at a worker, counted from 0. */
  #tasksAt(worker: number, stage: number | null): number {
    const stages = this.#options.shape.stages.length;
    if (stage !== null) return this.#taskCounts[worker * stages + stage]!;
    let count = 0;
    for (let id = 0; id < stages; id++) count += this.#taskCounts[worker * stages + id]!;
    return count;
  }

  get #workersPerHost(): number {
    return this.#options.workersPerHost ?? 1;
  }

  #hostOf(worker: number): ScaleHost {
    return this.#hosts[Math.floor(worker / this.#workersPerHost)]!;
  }

  /** From a worker's thread, counted from 0, to whom it may concern. */
  #route(to: Peer, from: number, message: WorkerMessage | PeerMessage): void {
    if (from === this.#lost) return;
    const host = this.#hostOf(from);
    const sentMs = this.#clock.nowMs;
    if (to === 'driver') {
      host.send(message, (arrivalMs) => {
        this.#meters.flew(arrivalMs - sentMs);
        this.#tellDriver(from, message as WorkerMessage, arrivalMs);
      });
      return;
    }
    const handOver = (): void => {
      this.#meters.flew(this.#clock.nowMs - sentMs);
      this.#workers[to - 1]!.receive((from + 1) as WorkerId, message as PeerMessage);
    };
    const target = this.#hostOf(to - 1);
    if (target === host) return handOver();
    host.send(message, (arrivalMs) => {
      this.#clock.at(arrivalMs, () => target.receive(handOver));
    });
  }

  #tellDriver(from: number, heard: WorkerMessage, arrivalMs: number): void {
    this.#clock.at(arrivalMs, () => {
      if (this.#cutOff) return;
      this.#processor.add({
        costMs: this.#receiveMs(from, heard),
        act: () => {
          this.#meters.driverMessages++;
          const worker = (from + 1) as WorkerId;
          return this.#step({ kind: 'message-received', from: worker, message: heard });
        },
      });
    });
  }

  #receiveMs(from: number, message: WorkerMessage): number {
    const { receiveMs, completeTaskMs } = this.#options.costs.driver;
    if (completeTaskMs === 0) return receiveMs;
    if (message.kind === 'stage-done') {
      return receiveMs + completeTaskMs * this.#tasksAt(from, message.stage);
    }
    if (message.kind !== 'report' || this.#options.groupsPayPerTask !== true) return receiveMs;
    const group = this.#groups[this.#groupsReported[from]!];
    if (group === undefined || message.report.doneThrough < group.first + group.count - 1) {
      return receiveMs;
    }
    this.#groupsReported[from]!++;
    return receiveMs + completeTaskMs * this.#tasksAt(from, null);
  }

  /** Gives the time that what the driver does about it takes of its processor, ms. */
  #step(event: DriverEvent): number {
    if (this.#cutOff) return 0;
    const nowMs = this.#clock.nowMs;
    this.#driver.step(nowMs, event);
    const effects: DriverEffect[] = this.#driver.takeEffects();
    let elapsedMs = 0;
    let ordered: object | null = null;
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send-message':
          if (effect.message.kind === 'start-group' && effect.message !== ordered) {
            ordered = effect.message;
            elapsedMs += this.#options.costs.driver.orderMs;
          }
          elapsedMs += this.#sendMs(effect.to, effect.message);
          this.#send(effect.to, effect.message, nowMs + elapsedMs);
          break;
        case 'trace':
          this.#onTrace(effect.trace);
          break;
        case 'job-failed':
          assert(false, `the job failed: ${effect.error.message}`);
          break;
        case 'read-log':
        case 'log-ranges':
        case 'journal-placement':
        case 'commit-checkpoint':
          this.#keep(effect);
          break;
        case 'journal-drain':
          assert(false, 'jobs of scale are not stopped while something is kept');
          break;
        case 'evict-worker':
          assert(effect.worker - 1 === this.#lost, 'only who is lost is given up');
          break;
        case 'savepoint-made':
        case 'savepoint-failed':
        case 'job-started':
        case 'report-received':
        case 'worker-stopped':
        case 'job-finished':
          break;
        default:
          unreachable(effect);
      }
    }
    this.#arm();
    return elapsedMs;
  }

  #keep(effect: Extract<DriverEffect, { kind: StorageOrder }>): void {
    const store = this.#store;
    // Other jobs of scale lose nobody.
    assert(store !== null, `no ${effect.kind} is asked for`);
    const { log, loss } = store;
    switch (effect.kind) {
      case 'read-log': {
        const { round, after } = effect;
        for (const { worker } of effect.dead) log.close(scaleLogName(worker));
        if (effect.closesAll) log.closeBefore(effect.version + 1);
        this.#clock.after(loss.storeMs, () => {
          this.#tellSelf({ kind: 'log-read', round, ranges: log.read(after) });
        });
        return;
      }
      case 'log-ranges': {
        const { round, ranges } = effect;
        this.#clock.after(loss.appendMs, () => {
          log.add(ranges);
          this.#tellSelf({ kind: 'ranges-logged', round });
        });
        return;
      }
      case 'journal-placement': {
        const { round } = effect;
        const event = { kind: 'placement-journaled', round } as const;
        this.#clock.after(loss.storeMs, () => this.#tellSelf(event));
        return;
      }
      case 'commit-checkpoint': {
        const { batch } = effect;
        this.#clock.after(loss.storeMs, () => {
          log.coverThrough(batch);
          if (this.#checkpoints++ === 0) this.#clock.after(loss.behindMs, () => this.#lose(loss));
          this.#tellSelf({ kind: 'checkpoint-committed', batch });
        });
        return;
      }
      default:
        unreachable(effect);
    }
  }

  #onTrace(trace: Extract<DriverEffect, { kind: 'trace' }>['trace']): void {
    if (trace.kind === 'recovered') this.#recoveredMs ??= this.#clock.nowMs;
    if (trace.kind !== 'group-permitted') return;
    const { group, first, count } = trace;
    this.#groups.push({ atMs: this.#clock.nowMs, first, count });
    if (group !== this.#options.cutOffAfterGroup) return;
    // Behind all copies of the order that were just sent.
    this.#clock.at(Math.max(this.#linkFreeMs, this.#clock.nowMs), () => {
      this.#cutOff = true;
    });
  }

  #sendMs(to: WorkerId, message: DriverMessage): number {
    const { sendMs, launchTaskMs } = this.#options.costs.driver;
    if (message.kind !== 'start-group' || launchTaskMs === 0) return sendMs;
    const { stage } = message;
    if (stage === null && this.#options.groupsPayPerTask !== true) return sendMs;
    return sendMs + launchTaskMs * this.#tasksAt(to - 1, stage);
  }

  #send(to: WorkerId, message: DriverMessage, departureMs: number): void {
    const { delayMs, bytesPerMs } = this.#options.costs.link;
    const bytes = this.#bytes(message);
    this.#linkFreeMs = Math.max(this.#linkFreeMs, departureMs) + bytes / bytesPerMs;
    this.#meters.sent(message);
    this.#meters.driverMessages++;
    this.#clock.at(this.#linkFreeMs + delayMs, () => {
      this.#hostOf(to - 1).receive(() => {
        this.#meters.flew(this.#clock.nowMs - departureMs);
        this.#workers[to - 1]!.receive('driver', message);
      });
    });
  }

  #lastMessage: Message | null = null;
  #lastBytes = 0;

  /** The same message goes to every worker. */
  #bytes(message: DriverMessage): number {
    if (message !== this.#lastMessage) {
      this.#lastMessage = message;
      this.#lastBytes = messageBytes(message, this.#options.blockBytes);
    }
    return this.#lastBytes;
  }

  #arm(): void {
    const deadlineMs = this.#driver.nextDeadlineMs();
    if (this.#timer !== null && deadlineMs === this.#timerAtMs) return;
    if (this.#timer !== null) this.#timer.cancelled = true;
    this.#timer = null;
    this.#timerAtMs = deadlineMs;
    if (deadlineMs === Infinity) return;
    this.#timer = this.#clock.at(Math.max(deadlineMs, this.#clock.nowMs), () => {
      this.#timer = null;
      this.#processor.add({ costMs: 0, act: () => this.#step({ kind: 'time-passed' }) });
    });
  }
}

type StorageOrder = 'read-log' | 'log-ranges' | 'journal-placement' | 'commit-checkpoint';

function lossOptions({ checkpointIntervalMs, partMs }: ScaleLoss): {
  readonly partMs: number;
  readonly recovery: RecoveryOptions;
} {
  const published = -1 as PlacementVersion;
  return { partMs, recovery: { checkpointIntervalMs, from: null, published, drainAt: noBatch } };
}

const lostError: StreamErrorData = {
  code: 'host-lost',
  message: 'lost a host',
  hint: null,
  fields: {},
  stack: null,
};

/** Virtual time in which a run must end: an hour. */
const elapsedMsMax = 3_600_000;
