// A driver and workers whose messages, tasks and clock are in the hands of a test: nothing moves
// until it is told to. Prints what the machines ask for, one line an effect. Shared by the
// transcripts (transcript.test.ts) and by paper.test.ts.

import assert from 'node:assert/strict';
import type { StreamErrorData } from '../base/stream-error.ts';
import { DriverMachine } from './driver/driver-machine.ts';
import type { DriverEffect, DriverEvent } from './driver/events.ts';
import type { ExecutionMode } from '../plan/execution-mode.ts';
import type { PlanShape } from './driver/placement.ts';
import type { Incarnation, PlacementVersion, Term, WorkerId } from './protocol/ids.ts';
import { noBatch } from './protocol/ids.ts';
import type {
  BlockEntry,
  DriverMessage,
  KnownRanges,
  Peer,
  PeerMessage,
  Place,
  TaskName,
  WorkerMessage,
} from './protocol/messages.ts';
import type { WorkerEffect, WorkerEvent } from './worker/events.ts';
import { WorkerMachine } from './worker/worker-machine.ts';

export type Message = DriverMessage | WorkerMessage | PeerMessage;

export type ClusterOptions = {
  readonly shape: PlanShape;
  readonly workerCount: number;
  readonly groupSize: number;
  readonly intervalMs: number;
  readonly lookAhead: boolean;
  /** Default: drizzle. */
  readonly mode?: ExecutionMode;
  /** From one checkpoint to the next; absent: nothing is kept, and nobody may be lost. */
  readonly checkpointIntervalMs?: number | undefined;
};

/** How a task ends, where it is not as usual. */
export type Finish = {
  readonly ended?: boolean;
  readonly commitPending?: boolean;
  /** With interval 0: nothing more can be read at once. */
  readonly quiet?: boolean;
};

type RunTask = Extract<WorkerEffect, { kind: 'run-task' }>;

export class ScriptedCluster {
  readonly driver: DriverMachine;
  readonly workers = new Map<WorkerId, WorkerMachine>();
  readonly running = new Map<WorkerId, RunTask>();
  /** Every message sent so far, in order. */
  readonly sent: { readonly from: Peer; readonly to: Peer; readonly message: Message }[] = [];
  /** Every task started so far, in order. */
  readonly started: { readonly worker: WorkerId; readonly order: RunTask }[] = [];
  readonly log: string[] = [];
  nowMs = 0;
  readonly #links = new Map<string, Message[]>();
  readonly #delivered = new Map<string, Message>();

  constructor(options: ClusterOptions) {
    const { shape, workerCount, groupSize, intervalMs, lookAhead, mode = 'drizzle' } = options;
    const pace = { groupSize, intervalMs, lookAhead };
    const { checkpointIntervalMs } = options;
    const recovery =
      checkpointIntervalMs === undefined
        ? undefined
        : { checkpointIntervalMs, from: null, published: -1 as PlacementVersion, drainAt: noBatch };
    const job = { shape, workerCount, mode, pace, term: 1 as Term, recovery };
    this.driver = new DriverMachine(job);
    for (let id = 1; id <= workerCount; id++) {
      const worker = id as WorkerId;
      const machine = new WorkerMachine({ worker, incarnation: 1 as Incarnation });
      this.workers.set(worker, machine);
    }
  }

  joinAll(): void {
    for (const worker of this.workers.keys()) this.join(worker);
  }

  join(worker: WorkerId): void {
    const incarnation = 1 as Incarnation;
    this.tellDriver({ kind: 'worker-joined', worker, incarnation, host: worker });
  }

  tellDriver(event: DriverEvent): void {
    this.driver.step(this.nowMs, event);
    for (const effect of this.driver.takeEffects()) this.#onDriverEffect(effect);
  }

  tellWorker(worker: WorkerId, event: WorkerEvent): void {
    const machine = this.#machine(worker);
    machine.step(this.nowMs, event);
    for (const effect of machine.takeEffects()) this.#onWorkerEffect(worker, effect);
  }

  /** Hands over a message that may never have been sent. */
  inject(from: Peer, to: Peer, message: Message): void {
    this.#print(to, `← ${name(from)} ${printMessage(message)}`);
    if (to === 'driver') {
      assert(from !== 'driver');
      this.tellDriver({ kind: 'message-received', from, message: message as WorkerMessage });
      return;
    }
    const event = { kind: 'message-received', from, message } as const;
    this.tellWorker(to, event as Extract<WorkerEvent, { kind: 'message-received' }>);
  }

  /** Delivers the oldest message of a link; false when it has none. */
  deliver(from: Peer, to: Peer): boolean {
    const message = this.#links.get(linkOf(from, to))?.shift();
    if (message === undefined) return false;
    this.#delivered.set(linkOf(from, to), message);
    this.inject(from, to, message);
    return true;
  }

  /** Delivers once more what a link delivered last. */
  deliverAgain(from: Peer, to: Peer): void {
    const message = this.#delivered.get(linkOf(from, to));
    assert(message !== undefined, `nothing was delivered on ${linkOf(from, to)}`);
    this.inject(from, to, message);
  }

  /** Delivers what is under way, and what follows from it, link by link. */
  deliverAll(): void {
    const peers: readonly Peer[] = ['driver', ...this.workers.keys()];
    for (let moved = true; moved;) {
      moved = false;
      for (const from of peers) {
        for (const to of peers) while (this.deliver(from, to)) moved = true;
      }
    }
  }

  inFlight(from: Peer, to: Peer): number {
    return this.#links.get(linkOf(from, to))?.length ?? 0;
  }

  finish(worker: WorkerId, how: Finish = {}): void {
    const order = this.running.get(worker);
    assert(order !== undefined, `${name(worker)} runs no task`);
    this.running.delete(worker);
    const { stage, partition, batch } = order.task;
    const outputs = this.#outputsOf(stage).map((exchange) => `${partition}/${batch}/x${exchange}`);
    const ended = how.ended === true || order.final;
    this.#print(
      worker,
      `finished ${taskName(order.task)}${ended && !order.inputs ? ' ended' : ''}`,
    );
    this.tellWorker(worker, {
      kind: 'task-finished',
      run: order.run,
      outputs,
      outputBytes: outputs.map(() => 1),
      range: order.inputs === null ? `r${partition}@${batch}` : null,
      commitPending: how.commitPending === true,
      ended: order.inputs === null && ended,
      sourceReady: how.quiet !== true,
      elapsedMs: 1,
    });
  }

  fail(worker: WorkerId): void {
    const order = this.running.get(worker);
    assert(order !== undefined, `${name(worker)} runs no task`);
    this.running.delete(worker);
    this.tellWorker(worker, { kind: 'task-failed', run: order.run, error: scriptedError });
  }

  /** Sets the clock, and wakes the machines whose deadline has come. */
  advanceTo(nowMs: number): void {
    assert(nowMs >= this.nowMs, 'time goes forward');
    this.nowMs = nowMs;
    if (this.driver.nextDeadlineMs() <= nowMs) this.tellDriver({ kind: 'time-passed' });
    for (const [worker, machine] of this.workers) {
      if (machine.nextDeadlineMs() <= nowMs) this.tellWorker(worker, { kind: 'time-passed' });
    }
  }

  /** Lets everything happen at once, and time pass in steps of 1 ms, through `untilMs`. */
  runUntil(untilMs: number): void {
    for (;;) {
      this.#settle();
      if (this.nowMs >= untilMs) return;
      this.advanceTo(this.nowMs + 1);
    }
  }

  #settle(): void {
    for (let turns = 0; turns < 1000; turns++) {
      this.deliverAll();
      const busy = [...this.running.keys()];
      if (busy.length === 0) return;
      for (const worker of busy) this.finish(worker);
    }
    // With interval 0 there is always more to do: the next millisecond has to come all the same.
  }

  #onDriverEffect(effect: DriverEffect): void {
    switch (effect.kind) {
      case 'send-message':
        return this.#send('driver', effect.to, effect.message);
      case 'report-received':
      case 'worker-stopped':
        return;
      case 'read-log':
        return this.#print('driver', `read-log round=${effect.round} after=${effect.after}`);
      case 'log-ranges':
        return this.#print(
          'driver',
          `log-ranges round=${effect.round}${printKnown(effect.ranges)}`,
        );
      case 'journal-drain':
        return this.#print('driver', `journal-drain @${effect.batch}`);
      case 'journal-placement':
        return this.#print('driver', `journal-placement round=${effect.round} v${effect.version}`);
      case 'commit-checkpoint':
        return this.#print(
          'driver',
          `commit-checkpoint @${effect.batch}` +
            (effect.savepoint === null ? '' : ` savepoint=${effect.savepoint}`),
        );
      case 'savepoint-failed':
        return this.#print('driver', `savepoint-failed id=${effect.id} ${effect.error.code}`);
      case 'evict-worker':
        return this.#print('driver', `evict ${name(effect.worker)}`);
      case 'job-failed':
        return this.#print('driver', `job-failed by ${name(effect.worker)}: ${effect.error.code}`);
      default: {
        const { kind, ...fields } = effect.kind === 'trace' ? effect.trace : effect;
        return this.#print('driver', `${kind}${printFields(fields)}`);
      }
    }
  }

  #onWorkerEffect(worker: WorkerId, effect: WorkerEffect): void {
    switch (effect.kind) {
      case 'send-message':
        return this.#send(worker, effect.to, effect.message);
      case 'run-task': {
        assert(!this.running.has(worker), 'one task at a time');
        this.running.set(worker, effect);
        this.started.push({ worker, order: effect });
        return this.#print(worker, `run ${taskName(effect.task)}${printOrder(effect)}`);
      }
      case 'stop':
        return this.#print(worker, 'stop');
      case 'restore-state':
        return this.#print(worker, `restore ${placeName(effect)}${printRestore(effect)}`);
      case 'forget-state':
        return this.#print(worker, `forget ${placeName(effect)}`);
      case 'read-range':
      case 'log-range':
        return this.#print(worker, `${effect.kind} ${taskName(effect.task)} ${effect.range}`);
      case 'commit-output':
      case 'take-snapshot':
        return this.#print(worker, `${effect.kind} ${taskName(effect.task)}`);
      case 'trace': {
        const { kind, ...fields } = effect.trace;
        return this.#print(worker, `${kind}${printFields(fields)}`);
      }
    }
  }

  #send(from: Peer, to: Peer, message: Message): void {
    const link = linkOf(from, to);
    const queue = this.#links.get(link) ?? [];
    this.#links.set(link, queue);
    queue.push(message);
    this.sent.push({ from, to, message });
    this.#print(from, `→ ${name(to)} ${printMessage(message)}`);
  }

  #print(peer: Peer, text: string): void {
    this.log.push(`${name(peer)} ${text}`);
  }

  #machine(worker: WorkerId): WorkerMachine {
    const machine = this.workers.get(worker);
    assert(machine !== undefined, `no worker ${worker}`);
    return machine;
  }

  #outputsOf(stage: number): readonly number[] {
    const template = this.driver.template;
    assert(template !== null, 'no template');
    return template.stages[stage]?.outputs ?? [];
  }
}

/**
 * Stages by their partition counts, exchanges as from, to and perhaps fan-in; stages without inputs
 * are sources.
 */
export function shapeOf(
  partitions: readonly number[],
  exchanges: readonly (readonly [number, number, number?])[],
): PlanShape {
  return {
    planHash: 'plan',
    exchanges: exchanges.map(([from, to, fanIn]) => {
      return { from, to, ...(fanIn === undefined ? {} : { fanIn }) };
    }),
    stages: partitions.map((partitionCount, stage) => {
      const inputs = indexesWhere(exchanges, ([, to]) => to === stage);
      const outputs = indexesWhere(exchanges, ([from]) => from === stage);
      const sinks = outputs.length === 0;
      return { source: inputs.length === 0, inputs, outputs, sinks, partitionCount };
    }),
  };
}

function indexesWhere<Item>(
  items: readonly Item[],
  holds: (item: Item) => boolean,
): readonly number[] {
  return items.flatMap((item, index) => (holds(item) ? [index] : []));
}

const scriptedError: StreamErrorData = {
  code: 'scripted',
  message: 'could not run the task',
  hint: null,
  fields: {},
  stack: null,
};

export function taskName({ stage, partition, batch }: TaskName): string {
  return `s${stage}p${partition}@${batch}`;
}

export function name(peer: Peer): string {
  return peer === 'driver' ? 'd ' : `w${peer}`;
}

function placeName({ stage, partition }: Place): string {
  return `s${stage}p${partition}`;
}

function printRestore({
  snapshot,
  behind,
}: Extract<WorkerEffect, { kind: 'restore-state' }>): string {
  return ` from=${String(snapshot)}${behind === null ? '' : ` behind=${String(behind)}`}`;
}

function printKnown(known: readonly KnownRanges[]): string {
  return known
    .map((one) => ` ${placeName(one)}@${one.first}:[${one.ranges.flat().join(' ')}]`)
    .join('');
}

function linkOf(from: Peer, to: Peer): string {
  return `${name(from).trim()}>${name(to).trim()}`;
}

function printOrder(order: RunTask): string {
  if (order.inputs === null) {
    const ends = order.final ? ' final' : '';
    return ` trigger=${order.triggerMs}${ends}${order.holdsBack ? ' holds-back' : ''}`;
  }
  const inputs = order.inputs.map((handles) => handles.map(({ output }) => output));
  return ` from ${inputs.map((outputs) => `[${outputs.join(' ')}]`).join(' ')}`;
}

/** A message as one line, without what all of them carry. */
export function printMessage(message: Message): string {
  switch (message.kind) {
    case 'install-template': {
      const stages = message.template.stages.map(
        (stage, id) => `s${id} on ${stage.placement.map(name).join(',')}`,
      );
      return `install-template ${stages.join('; ')}`;
    }
    case 'backup': {
      const copies = message.copies.map(
        ({ batch, exchange, producer }) => `@${batch} x${exchange} p${producer}`,
      );
      return `backup ${copies.join(' ')}`;
    }
    case 'blocks':
      return `blocks @${message.batch} x${message.exchange}${printEntries(message.entries)}`;
    case 'progress': {
      const { doneThrough, takenThrough } = message;
      const taken = takenThrough === doneThrough ? '' : ` takenThrough=${takenThrough}`;
      return `progress doneThrough=${doneThrough}${taken}`;
    }
    case 'task-failed':
      return `task-failed ${taskName(message.task)} ${message.error.code}`;
    case 'report': {
      const { startedThrough, doneThrough, ended, pressure } = message.report;
      const ends = ended.length === 0 ? '' : ` ended=${ended.map(taskName).join(',')}`;
      const presses = pressure === 'none' ? '' : ` pressure=${pressure}`;
      return `report started=${startedThrough} done=${doneThrough}${ends}${presses}`;
    }
    case 'start-group': {
      const { group, first, count, intervalMs, anchorMs, reportAt, retireThrough } = message;
      return (
        `start-group g${group} [${first},${first + count}) interval=${intervalMs} ` +
        `anchor=${anchorMs} report-at=${reportAt} retire=${retireThrough}` +
        (message.stage === null ? '' : ` stage=${message.stage}`) +
        (message.final ? ' final' : '') +
        (message.checkpointAt === -1 ? '' : ` checkpoint-at=${message.checkpointAt}`)
      );
    }
    case 'hold-back':
      return `hold-back ${message.holdsBack}`;
    case 'ask-status':
      return (
        `ask-status round=${message.round}` +
        ` members=${message.members.map(({ worker }) => name(worker)).join(',')}`
      );
    case 'status': {
      const { status } = message;
      const owned = status.owned.map((one) => `${placeName(one)}@${one.next}`).join(' ');
      const kept = status.kept
        .map(
          (one) =>
            `${placeName(one)}:${one.spans.map(({ first, end }) => `[${first},${end})`).join('')}`,
        )
        .join(' ');
      return (
        `status round=${message.round} started=${status.startedThrough} ` +
        `done=${status.doneThrough} owned=${owned} kept=${kept} ranges=${printKnown(status.ranges)}`
      );
    }
    case 'recover': {
      const { round, template, checkpoint, end, moved, known, reruns } = message.recovery;
      const placed = moved.map(
        (at) => `${placeName(at)}>${name(template.stages[at.stage]!.placement[at.partition]!)}`,
      );
      const again = reruns.map(
        (one) =>
          `${placeName(one)}:${one.spans.map(({ first, end: to }) => `[${first},${to})`).join('')}`,
      );
      return (
        `recover round=${round} v${template.version} from=${checkpoint} end=${end} ` +
        `moved=${placed.join(' ')} known=${printKnown(known)} reruns=${again.join(' ')}`
      );
    }
    case 'snapshots-stored':
    case 'snapshot-failed':
      return `${message.kind} @${message.batch}`;
    case 'frontier':
      return `frontier through=${message.durableThrough}`;
    case 'template-installed':
    case 'stopped':
    case 'stop':
      return message.kind;
    case 'ask-cut':
    case 'cut-answer':
    case 'set-boundary':
    case 'stage-done':
    case 'ask-locations':
    case 'locations':
    case 'pull': {
      const { kind, term: _term, ...fields } = message;
      return `${kind}${printFields({ ...fields, incarnation: undefined, version: undefined })}`;
    }
  }
}

function printEntries(entries: readonly BlockEntry[]): string {
  return ` ${entries.map((entry) => `p${entry.producer}`).join(' ')}`;
}

function printFields(fields: object): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) => ` ${field}=${String(value)}`)
    .join('');
}
