// What must hold at every step of a run that loses workers, judged by what the machines order
// and by what stores and sinks have: one owner of a partition per placement version, tasks in order
// since the state they go on from, promises kept, the dead unheard, nothing visible before what it
// depends on is durable, no checkpoint before its output is visible, and nothing kept after one.

import { assert } from '../base/assert.ts';
import type { DriverEffect, DriverTrace } from '../control/driver/events.ts';
import type { Incarnation, WorkerId } from '../control/protocol/ids.ts';
import { noBatch } from '../control/protocol/ids.ts';
import type { DriverMessage, Place, StartGroup, TaskName } from '../control/protocol/messages.ts';
import type { Recovery } from '../control/protocol/recovery.ts';
import { replaysInOrder } from '../control/protocol/recovery.ts';
import { bundleFor, producersOf } from '../control/protocol/routing.ts';
import type { Template } from '../control/protocol/template.ts';
import type { WorkerEffect, WorkerEvent } from '../control/worker/events.ts';
import type { KeptLimits } from '../control/worker/spill-policy.ts';
import type { WorkerMachine } from '../control/worker/worker-machine.ts';
import type { FaultModel } from './faults.ts';
import { KeptMemory } from './kept-memory.ts';
import type { SimulatedSnapshot } from './simulated-worker.ts';

type RunTask = Extract<WorkerEffect, { kind: 'run-task' }>;
type CommitCheckpoint = Extract<DriverEffect, { kind: 'commit-checkpoint' }>;

/** What concerns the whole cluster. */
export class RecoveryChecker {
  readonly #templates = new Map<number, Template>();
  readonly #recoveries = new Map<number, Recovery>();
  #newest = -1;
  #checkpointed: number;
  /** No micro-batch from here on was ever permitted. */
  #permittedEnd = 0;
  readonly #checkpointIntervalMs: number;
  readonly limits: KeptLimits | null;
  /** The micro-batch of the checkpoint that is under way. */
  #pending: number = noBatch;
  /** The last one that failed since the last recovery: later stages may still ask for it. */
  #failed: number = noBatch;
  #checkpointDueMs = Infinity;

  /** `checkpointed`: the micro-batch that the run goes on behind; -1: from the beginning. */
  constructor({ checkpointIntervalMs, spill }: FaultModel, checkpointed: number) {
    this.#checkpointIntervalMs = checkpointIntervalMs;
    this.#checkpointed = checkpointed;
    this.limits = spill?.limits ?? null;
  }

  lifeOf(worker: WorkerId): LifeChecker {
    return new LifeChecker(this, worker);
  }

  /** The newest checkpoint that counts. */
  get checkpointed(): number {
    return this.#checkpointed;
  }

  get permittedEnd(): number {
    return this.#permittedEnd;
  }

  templateOf(version: number): Template {
    const template = this.#templates.get(version);
    assert(template !== undefined, `placement ${version} was never published`);
    return template;
  }

  recoveryOf(version: number): Recovery | undefined {
    return this.#recoveries.get(version);
  }

  /** Once for every message, however many workers get it. */
  driverSent(nowMs: number, message: DriverMessage): void {
    switch (message.kind) {
      case 'install-template':
        return this.#publish(message.template);
      case 'recover': {
        const { template, checkpoint } = message.recovery;
        this.#publish(template);
        this.#recoveries.set(template.version, message.recovery);
        this.#permitsBy(message.recovery);
        // Who is lost stores no part; and one that was complete was waited for.
        this.#pending = noBatch;
        this.#failed = noBatch;
        const newest = this.#checkpointed;
        return assert(checkpoint === newest, `goes on from @${checkpoint}, not from @${newest}`);
      }
      case 'start-group': {
        const { version, first, count, retireThrough } = message;
        this.#checkWhetherDue(nowMs, message);
        assert(version === this.#newest, `a group of placement ${version} after ${this.#newest}`);
        this.#permits(first + count);
        const kept = `retires @${retireThrough} with a checkpoint of @${this.#checkpointed}`;
        return assert(retireThrough === this.#checkpointed, kept);
      }
      case 'set-boundary':
        if (message.end <= this.#pending) this.#pending = noBatch;
        break;
      default:
        break;
    }
  }

  /** A driver that another has replaced: some of its workers may still listen. */
  formerDriverSent(message: DriverMessage): void {
    if (message.kind === 'start-group') this.#permits(message.first + message.count);
    if (message.kind === 'install-template') {
      this.#templates.set(message.template.version, message.template);
    }
    if (message.kind !== 'recover') return;
    const { template } = message.recovery;
    this.#templates.set(template.version, template);
    this.#recoveries.set(template.version, message.recovery);
    this.#permitsBy(message.recovery);
  }

  /** Another driver goes on from this checkpoint. */
  driverChanged(checkpointed: number): void {
    assert(checkpointed >= this.#checkpointed, 'a driver goes on from an older checkpoint');
    this.#checkpointed = checkpointed;
    this.#pending = noBatch;
    this.#checkpointDueMs = Infinity;
  }

  /** What a run before this one has read is known beyond what this one has permitted. */
  #permitsBy({ end, known }: Recovery): void {
    this.#permits(end);
    for (const { first, ranges } of known) this.#permits(first + ranges.length);
  }

  #permits(end: number): void {
    this.#permittedEnd = Math.max(this.#permittedEnd, end);
  }

  driverTraced(trace: DriverTrace): void {
    switch (trace.kind) {
      case 'checkpointed': {
        const { batch } = trace;
        const before = this.#checkpointed;
        assert(batch > before, `a checkpoint of @${batch} after @${before}`);
        this.#checkpointed = batch;
        this.#pending = noBatch;
        return;
      }
      case 'checkpoint-failed':
        if (trace.batch === this.#pending) this.#pending = noBatch;
        this.#failed = trace.batch;
        return;
      case 'ignored':
        return assert(
          trace.what !== 'checkpoint-committed',
          'a checkpoint is durable and the driver goes on from an older one',
        );
      default:
        break;
    }
  }

  /** What is kept is released by checkpoints: none may fail to come. */
  #checkWhetherDue(nowMs: number, { checkpointAt, final, first }: StartGroup): void {
    // Where every stage has an order of its own, the first one of a micro-batch asks.
    if (first < this.#permittedEnd && checkpointAt === noBatch) return;
    if (this.#checkpointDueMs === Infinity) {
      this.#checkpointDueMs = nowMs + this.#checkpointIntervalMs;
    }
    if (checkpointAt === this.#failed && checkpointAt !== noBatch) return;
    if (checkpointAt !== noBatch) {
      this.#pending = checkpointAt;
      this.#checkpointDueMs = nowMs + this.#checkpointIntervalMs;
      return;
    }
    const lateMs = nowMs - this.#checkpointDueMs;
    const missed = lateMs > checkpointLateMsMax && this.#pending === noBatch && !final;
    assert(!missed, `nobody asks for a checkpoint that has been due for ${lateMs} ms`);
  }

  /** `isPending`: output of the partition through the micro-batch was given and is not visible. */
  checkpointOrdered(
    { batch, template, snapshots }: CommitCheckpoint,
    isPending: (owner: WorkerId, place: Place) => boolean,
  ): void {
    const missing = new Set<string>();
    const { version } = template;
    template.stages.forEach(({ placement }, stage) => {
      placement.forEach((owner, partition) => {
        const name = `s${stage}p${partition}`;
        missing.add(name);
        const pending = isPending(owner, { stage, partition });
        assert(!pending, `a checkpoint of @${batch} overtakes the output of ${name}`);
      });
    });
    for (const { stage, partition, snapshot } of snapshots) {
      const known = missing.delete(`s${stage}p${partition}`);
      assert(known, `a checkpoint holds s${stage}p${partition} twice`);
      const { since } = snapshot as SimulatedSnapshot;
      const current = template.reach !== 'all' || since === version;
      assert(current, `a checkpoint of placement ${version} holds state of ${since}`);
    }
    assert(missing.size === 0, `a checkpoint lacks ${[...missing].join(', ')}`);
  }

  #publish(template: Template): void {
    const { version } = template;
    assert(version > this.#newest, `placement ${version} is published after ${this.#newest}`);
    this.#newest = version;
    this.#templates.set(version, template);
  }
}

/** Orders are rare where a micro-batch takes long; the next one of them asks. */
const checkpointLateMsMax = 1;

/** What concerns one life of a worker. */
export class LifeChecker {
  readonly #all: RecoveryChecker;
  readonly #worker: WorkerId;
  #template: Template | null = null;
  /** By `stage/partition`: the micro-batch and the part that must run next. */
  readonly #next = new Map<string, { readonly batch: number; readonly part: number }>();
  /** It has told the driver in a round that it starts nothing beyond. */
  #promised = Infinity;
  /** The last round in which it was asked. */
  #round = -1;
  /** Whose voice counts; null: everybody's. */
  #members: ReadonlyMap<WorkerId, Incarnation> | null = null;
  #term = 0;
  readonly #questions = new Map<string, AskStatus>();
  #retired: number = noBatch;
  /** By `stage/partition`: the trigger of its last task, ms. */
  readonly #triggersMs = new Map<string, number>();
  /** By the worker's own clock, which never goes back for it. */
  #nowMs = 0;
  #lastGroup = -1;
  readonly #memory: KeptMemory;

  constructor(all: RecoveryChecker, worker: WorkerId) {
    this.#all = all;
    this.#worker = worker;
    this.#memory = new KeptMemory(all.limits);
  }

  /** The micro-batch of the oldest block on its spill disk; Infinity: there is none. */
  onDisk(oldestBatch: number): void {
    const kept = oldestBatch > this.#retired;
    assert(kept, `worker ${this.#worker} leaves @${oldestBatch} on disk after @${this.#retired}`);
  }

  stepped(
    nowMs: number,
    machine: WorkerMachine,
    { event, effects }: { readonly event: WorkerEvent; readonly effects: readonly WorkerEffect[] },
  ): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    if (event.kind === 'message-received') this.#received(machine, event, effects);
    for (const effect of effects) this.#ordered(effect);
    if (this.#template?.reach === 'lost') {
      const { retiredThrough } = machine;
      const covered = retiredThrough <= this.#all.checkpointed;
      assert(covered, `worker ${this.#worker} releases @${retiredThrough}, which nothing covers`);
      this.#memory.stepped(event, effects, this.#template);
      this.#memory.check(machine);
    }
    // Of every micro-batch something is kept until a checkpoint covers it, and not longer.
    const heldMax = Math.max(0, this.#all.permittedEnd - 1 - this.#retired);
    const held = machine.batchesHeld;
    assert(held <= heldMax, `worker ${this.#worker} keeps ${held} micro-batches, not ${heldMax}`);
  }

  #received(
    machine: WorkerMachine,
    { from, message }: Extract<WorkerEvent, { kind: 'message-received' }>,
    effects: readonly WorkerEffect[],
  ): void {
    if (message.kind === 'start-group') this.#permitted(machine, message);
    if (message.kind === 'ask-status') this.#questions.set(nameOfRound(message), message);
    if (from === 'driver' || !('incarnation' in message)) return;
    if (this.#members === null || this.#members.get(from) === message.incarnation) return;
    const refused = effects.some(
      (effect) => effect.kind === 'trace' && effect.trace.kind === 'ignored',
    );
    assert(refused, `worker ${this.#worker} listens to ${from}, who is no member`);
  }

  #answered({ term, round, members }: AskStatus): void {
    this.#round = term > this.#term ? round : Math.max(this.#round, round);
    this.#term = term;
    this.#members = new Map(members.map(({ worker, incarnation }) => [worker, incarnation]));
  }

  #permitted(machine: WorkerMachine, { version, group, retireThrough }: StartGroup): void {
    // An order that comes while a recovery waits for the running task is heard later.
    if (version !== this.#template?.version || group <= this.#lastGroup) return;
    this.#lastGroup = group;
    this.#retired = Math.max(this.#retired, Math.min(retireThrough, machine.doneThrough));
  }

  #ordered(effect: WorkerEffect): void {
    switch (effect.kind) {
      case 'run-task':
        return this.#started(effect);
      case 'send-message':
        if (effect.message.kind === 'template-installed') this.#installed(effect.message.version);
        if (effect.message.kind === 'status') {
          this.#answered(this.#questions.get(nameOfRound(effect.message))!);
          this.#promised = effect.message.status.startedThrough;
        }
        return;
      case 'drop-spilled': {
        const covered = effect.through <= this.#all.checkpointed;
        return assert(covered, `worker ${this.#worker} drops @${effect.through} from its disk`);
      }
      case 'trace':
        return assert(
          effect.trace.kind !== 'ignored' || effect.trace.why !== 'no-room',
          `worker ${this.#worker} has no room for what it cannot use yet`,
        );
      default:
        break;
    }
  }

  #installed(version: number): void {
    const before = this.#template?.version ?? -1;
    assert(version > before, `worker ${this.#worker} goes from placement ${before} to ${version}`);
    this.#template = this.#all.templateOf(version);
    this.#promised = Infinity;
    this.#lastGroup = -1;
    const recovery = this.#all.recoveryOf(version);
    if (recovery === undefined) return;
    assert(recovery.round >= this.#round, 'an order of an older round is carried out');
    this.#retired = Math.max(this.#retired, recovery.checkpoint);
    const beginnings = new Map<string, number>();
    for (const { stage, partition } of recovery.moved) {
      const known = recovery.known.find(
        (place) => place.stage === stage && place.partition === partition,
      );
      const again = known === undefined || replaysInOrder(recovery.template, stage);
      const next = again ? recovery.checkpoint + 1 : known.first + known.ranges.length;
      beginnings.set(`${stage}/${partition}`, next);
    }
    this.#template.stages.forEach(({ placement }, stage) => {
      placement.forEach((owner, partition) => {
        const place = `${stage}/${partition}`;
        const batch = beginnings.get(place);
        if (owner !== this.#worker) this.#next.delete(place);
        else if (batch !== undefined) this.#next.set(place, { batch, part: 0 });
      });
    });
  }

  #started({ task, part, last, replay, inputs, triggerMs }: RunTask): void {
    assert(this.#template !== null, 'a task runs before there is a placement');
    if (replay?.rerun === true) return;
    this.#checkTime(task, { triggerMs, isFree: inputs === null && replay === null });
    if (inputs !== null && this.#template.partMs === null) this.#checkComplete(task, inputs);
    const { stage, partition, batch } = task;
    const owner = this.#template.stages[stage]!.placement[partition];
    assert(owner === this.#worker, `${nameOf(task)} runs on ${this.#worker}, not on ${owner}`);
    const allowed = batch <= this.#promised;
    assert(allowed, `${nameOf(task)} starts though @${this.#promised} was to be the last`);
    const place = `${stage}/${partition}`;
    const next = this.#next.get(place) ?? { batch: 0, part: 0 };
    const inOrder = next.batch === batch && next.part === part;
    assert(inOrder, `${nameOf(task)} part ${part} where @${next.batch} part ${next.part} was next`);
    this.#next.set(place, last ? { batch: batch + 1, part: 0 } : { batch, part: part + 1 });
  }

  /** A source task that is not read again starts when it is triggered; time never goes back. */
  #checkTime(
    task: TaskName,
    { triggerMs, isFree }: { readonly triggerMs: number; readonly isFree: boolean },
  ): void {
    const place = `${task.stage}/${task.partition}`;
    const lastMs = this.#triggersMs.get(place) ?? -Infinity;
    const early = isFree && triggerMs > Math.max(this.#nowMs, lastMs);
    assert(!early, `${nameOf(task)} starts before its time`);
    this.#triggersMs.set(place, triggerMs);
  }

  #checkComplete(task: TaskName, inputs: NonNullable<RunTask['inputs']>): void {
    const { stages, exchanges } = this.#template!;
    stages[task.stage]!.inputs.forEach((input, index) => {
      const exchange = exchanges[input]!;
      const { length } = stages[exchange.from]!.placement;
      const { first, end } = producersOf(exchange, bundleFor(exchange, task.partition), length);
      const got = inputs[index]!.map(({ producer }) => producer);
      const complete = got.length === end - first && got.every((one, at) => one === first + at);
      assert(complete, `${nameOf(task)} runs without all its inputs`);
    });
  }
}

type AskStatus = Extract<DriverMessage, { kind: 'ask-status' }>;

function nameOfRound({ term, round }: { readonly term: number; readonly round: number }): string {
  return `${term}/${round}`;
}

function nameOf({ stage, partition, batch }: TaskName): string {
  return `s${stage}p${partition}@${batch}`;
}
