// What must hold in every run, checked at every step against what all machines did so far: each
// task runs once, in order, on its owner, within what is permitted and with exactly its inputs; no
// worker runs ahead or keeps records without bound; the driver's traffic does not grow with tasks.

import { assert } from '../base/assert.ts';
import { inFlightMax, reportIntervalMs } from '../control/limits.ts';
import type { WorkerId } from '../control/protocol/ids.ts';
import type {
  DriverMessage,
  Handle,
  Peer,
  PeerMessage,
  TaskName,
  WorkerMessage,
} from '../control/protocol/messages.ts';
import type { Template, TemplateExchange } from '../control/protocol/template.ts';
import type { InputHandle, WorkerEffect } from '../control/worker/events.ts';
import type { WorkerMachine } from '../control/worker/worker-machine.ts';

type RunTask = Extract<WorkerEffect, { kind: 'run-task' }>;

/** What a task has given, part by part. */
type Outputs = { readonly parts: readonly (readonly Handle[])[]; readonly closed: boolean };

type Place = { readonly stage: number; readonly partition: number };

export class ScheduleChecker {
  #template: Template | null = null;
  /** First micro-batch beyond all orders so far. */
  #permittedEnd = 0;
  #startedThrough = -1;
  #groupSizeMax = 1;
  #groups = 0;
  /** Orders for one stage of one micro-batch. */
  #stageOrders = 0;
  #cuts = 0;
  #toDriver = 0;
  #tasks = 0;
  /** By stage and partition: the micro-batch whose task must run next. */
  readonly #next = new Map<string, number>();
  /** By task: what it gave. */
  readonly #outputs = new Map<string, Outputs>();
  /** By stage and partition: the part that comes next. */
  readonly #parts = new Map<string, number>();
  /** By task and input exchange: how much it has taken. */
  readonly #taken = new Map<string, number>();
  /** By source stage and partition: the trigger of its last task. */
  readonly #triggersMs = new Map<string, number>();
  readonly #frames = new Set<string>();
  readonly #done = new Map<WorkerId, number>();
  /** By source stage and partition: the workers that its rows reach. */
  readonly #downstream = new Map<string, ReadonlySet<WorkerId>>();

  get groups(): number {
    return this.#groups;
  }

  get tasks(): number {
    return this.#tasks;
  }

  get cuts(): number {
    return this.#cuts;
  }

  sourcesOf(worker: WorkerId): readonly Place[] {
    const places: Place[] = [];
    this.#template?.stages.forEach((stage, id) => {
      if (!stage.source) return;
      stage.placement.forEach((owner, partition) => {
        if (owner === worker) places.push({ stage: id, partition });
      });
    });
    return places;
  }

  /** The driver sends a message; `first` for the first of the workers that it goes to. */
  driverSent(message: DriverMessage, first: boolean): void {
    if (message.kind === 'install-template') this.#onTemplate(message.template);
    if (!first) return;
    if (message.kind === 'start-group') {
      const nextStage = message.stage !== null && message.first === this.#permittedEnd - 1;
      const follows = message.first === this.#permittedEnd || nextStage;
      assert(follows, 'a group does not follow the last one');
      assert(message.count >= 1, 'a group has micro-batches');
      if (message.stage !== null) this.#stageOrders++;
      this.#permittedEnd = message.first + message.count;
      this.#groupSizeMax = Math.max(this.#groupSizeMax, message.count);
      this.#groups++;
    }
    if (message.kind === 'set-boundary') {
      assert(message.end > this.#startedThrough, 'a boundary withdraws what was started');
      assert(message.end <= this.#permittedEnd, 'a boundary permits what no group did');
      this.#permittedEnd = message.end;
      this.#cuts++;
    }
  }

  workerSent(worker: WorkerId, to: Peer, message: WorkerMessage | PeerMessage): void {
    if (to === 'driver') this.#toDriver++;
    if (message.kind !== 'blocks') return;
    const parts = message.entries.map(({ producer, part }) => `${producer}.${part}`).join(' ');
    const frame = `w${worker}>w${to} x${message.exchange}@${message.batch} ${parts}`;
    // A pull may be repeated on its way; then what it asks for is sent again.
    const pulled = this.#template?.delivery === 'pull';
    assert(pulled || !this.#frames.has(frame), `${frame} is sent twice`);
    this.#frames.add(frame);
    const consumers = this.#installed().stages[this.#exchange(message.exchange).to];
    for (const { producer } of message.entries) {
      const isWanted = consumers?.placement.some(
        (owner, consumer) => owner === to && this.#feeds(message.exchange, producer, consumer),
      );
      assert(isWanted === true, `${frame} goes where nobody waits for it`);
    }
  }

  taskStarted(worker: WorkerId, { task, part, last, inputs, triggerMs }: RunTask): void {
    const template = this.#installed();
    const stage = template.stages[task.stage];
    assert(stage !== undefined, `no stage ${task.stage}`);
    assert(stage.placement[task.partition] === worker, `${name(task)} runs on a stranger`);
    const place = `${task.stage}/${task.partition}`;
    const expected = this.#next.get(place) ?? 0;
    assert(task.batch === expected, `${name(task)} runs where @${expected} was next`);
    assert(part === (this.#parts.get(place) ?? 0), `${name(task)} leaves out a part`);
    this.#parts.set(place, last ? 0 : part + 1);
    if (last) this.#next.set(place, expected + 1);
    this.#tasks++;
    assert(task.batch < this.#permittedEnd, `${name(task)} runs without permission`);
    this.#startedThrough = Math.max(this.#startedThrough, task.batch);
    if (stage.source) {
      this.#checkInFlight(worker, task);
      const lastMs = this.#triggersMs.get(place) ?? -Infinity;
      assert(triggerMs >= lastMs, `${name(task)} is triggered at ${triggerMs}, after ${lastMs}`);
      this.#triggersMs.set(place, triggerMs);
    }
    assert(stage.source === (inputs === null), `${name(task)}: only sources have no inputs`);
    stage.inputs.forEach((exchange, index) => {
      this.#checkInputs({ task, last }, exchange, inputs?.[index] ?? []);
    });
  }

  taskFinished(worker: WorkerId, { task, last }: RunTask, outputs: readonly Handle[]): void {
    assert(
      this.#installed().stages[task.stage]?.placement[task.partition] === worker,
      'a stranger',
    );
    const given = this.#outputs.get(name(task)) ?? { parts: [], closed: false };
    this.#outputs.set(name(task), { parts: [...given.parts, outputs], closed: last });
  }

  /** A worker's machine made a step. */
  stepped(worker: WorkerId, machine: WorkerMachine): void {
    const before = this.#done.get(worker) ?? -1;
    assert(machine.doneThrough >= before, `worker ${worker} undid a micro-batch`);
    this.#done.set(worker, machine.doneThrough);
    // Between the last retirement and the last permission lie a few groups and the look-ahead.
    const heldMax = 4 * this.#groupSizeMax + 2 * lookAheadMax;
    assert(machine.batchesHeld <= heldMax, `worker ${worker} holds ${machine.batchesHeld} records`);
  }

  /** The job has finished; every task through `lastBatch` must have run. */
  finished(lastBatch: number, elapsedMs: number): void {
    if (lastBatch < 0) return assert(this.#tasks === 0, 'tasks of a job that never began');
    const template = this.#installed();
    template.stages.forEach((stage, id) => {
      stage.placement.forEach((_, partition) => {
        const next = this.#next.get(`${id}/${partition}`) ?? 0;
        assert(next > lastBatch, `s${id}p${partition} ended before @${lastBatch}`);
      });
    });
    const workers = this.#done.size;
    const periodic = Math.ceil(elapsedMs / reportIntervalMs) + 2;
    // Of a stage launched by itself come: who has the blocks of each input, and that it is done.
    const inputs = Math.max(...template.stages.map((stage) => stage.inputs.length));
    const perStage = this.#stageOrders * (1 + inputs);
    const toDriverMax = workers * (2 * this.#groups + perStage + 2 * this.#cuts + periodic + 4);
    assert(this.#toDriver <= toDriverMax, `${this.#toDriver} messages to the driver`);
  }

  #onTemplate(template: Template): void {
    if (this.#template !== null) return;
    this.#template = template;
    template.stages.forEach((stage, id) => {
      if (!stage.source) return;
      for (const partition of stage.placement.keys()) {
        this.#downstream.set(`${id}/${partition}`, this.#reachedFrom({ stage: id, partition }));
      }
    });
  }

  /** The workers of all partitions downstream, however long the way is. */
  #reachedFrom(start: Place): ReadonlySet<WorkerId> {
    const { stages } = this.#installed();
    const workers = new Set<WorkerId>();
    const seen = new Set<string>();
    const places = [start];
    for (let place = places.pop(); place !== undefined; place = places.pop()) {
      const { stage, partition } = place;
      for (const exchange of stages[stage]?.outputs ?? []) {
        const { to } = this.#exchange(exchange);
        stages[to]?.placement.forEach((worker, consumer) => {
          const next = { stage: to, partition: consumer };
          if (seen.has(`${to}/${consumer}`) || !this.#feeds(exchange, partition, consumer)) return;
          seen.add(`${to}/${consumer}`);
          workers.add(worker);
          places.push(next);
        });
      }
    }
    return workers;
  }

  #exchange(exchange: number): TemplateExchange {
    const found = this.#installed().exchanges[exchange];
    assert(found !== undefined, `no exchange ${exchange}`);
    return found;
  }

  #feeds(exchange: number, producer: number, consumer: number): boolean {
    const { fanIn } = this.#exchange(exchange);
    return (
      fanIn === undefined || (producer >= consumer * fanIn && producer < (consumer + 1) * fanIn)
    );
  }

  /** Directly told, a source waits at `inFlightMax`; through another worker, at twice that. */
  #checkInFlight(worker: WorkerId, task: TaskName): void {
    const downstream = this.#downstream.get(`${task.stage}/${task.partition}`) ?? [];
    for (const consumer of new Set([worker, ...downstream])) {
      const ahead = task.batch - (this.#done.get(consumer) ?? -1);
      const aheadMax = consumer === worker ? inFlightMax : 2 * inFlightMax;
      assert(ahead <= aheadMax, `${name(task)} is ${ahead} ahead of worker ${consumer}`);
    }
  }

  /** Every input is what its producer gave for the micro-batch; the last part misses none. */
  #checkInputs(
    { task, last }: { readonly task: TaskName; readonly last: boolean },
    exchange: number,
    handles: readonly InputHandle[],
  ): void {
    const template = this.#installed();
    const { from } = this.#exchange(exchange);
    const producers = template.stages[from];
    const position = producers?.outputs.indexOf(exchange) ?? -1;
    assert(producers !== undefined && position >= 0, `no exchange ${exchange}`);
    const own = [...producers.placement.keys()].filter((producer) =>
      this.#feeds(exchange, producer, task.partition),
    );
    for (const { producer: partition, output } of handles) {
      const producer = { stage: from, partition, batch: task.batch };
      const given = this.#outputs.get(name(producer));
      assert(own.includes(partition), `${name(task)} has an input of another consumer`);
      assert(given !== undefined, `${name(task)} runs before ${name(producer)}`);
      assert(
        given.parts.some((part) => part[position] === output),
        `${name(task)} has other inputs than ${name(producer)} gave`,
      );
    }
    const key = `${name(task)} x${exchange}`;
    const taken = (this.#taken.get(key) ?? 0) + handles.length;
    this.#taken.set(key, taken);
    if (!last) return;
    this.#taken.delete(key);
    let all = 0;
    own.forEach((partition) => {
      const given = this.#outputs.get(name({ stage: from, partition, batch: task.batch }));
      assert(given?.closed === true, `${name(task)} ends before its inputs`);
      all += given.parts.length;
    });
    assert(taken === all, `${name(task)} lacks inputs`);
    const ordered = handles.every(({ producer }, index) => producer === own[index]);
    assert(template.partMs !== null || ordered, `${name(task)} has its inputs in another order`);
  }

  #installed(): Template {
    assert(this.#template !== null, 'no template yet');
    return this.#template;
  }
}

const lookAheadMax = 66;

function name({ stage, partition, batch }: TaskName): string {
  return `s${stage}p${partition}@${batch}`;
}
