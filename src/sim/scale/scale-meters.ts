// What is measured in a simulation of scale while it runs: times of micro-batches, messages, and
// how long queues became.

import { assert } from '../../base/assert.ts';
import type { Message } from '../network.ts';
import type { ScaleRun } from './scale-run.ts';
import type { ScaleHost } from './scale-host.ts';
import type { ScaleWorker } from './scale-worker.ts';
import type { SerialProcessor } from './serial-processor.ts';

export type RanAt = {
  readonly batch: number;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly workMs: number;
};

type Totals = {
  readonly nowMs: number;
  readonly done: number;
  readonly driverBusyMs: number;
  readonly driverMessages: number;
  readonly workMs: number;
  readonly workerBusyMs: number;
  readonly hostBusyMs: number;
  readonly flightMs: number;
};

type Moment = {
  readonly nowMs: number;
  readonly processor: SerialProcessor;
  readonly workers: readonly ScaleWorker[];
  readonly hosts: readonly ScaleHost[];
};

export class ScaleMeters {
  readonly #batches: number;
  readonly #partitions: number;
  readonly #triggerMs: Float64Array;
  readonly #firstStartMs: Float64Array;
  readonly #lastStartMs: Float64Array;
  readonly #doneMs: Float64Array;
  readonly #ran: Int32Array;
  readonly #messages = new Map<string, number>();
  #tasks = 0;
  #workMs = 0;
  #flightMs = 0;
  #from: Totals | null = null;
  #queuedFirstHalf = 0;
  /** Micro-batches that are done everywhere. */
  done = 0;
  driverMessages = 0;

  /** With a loss: what output has been visible, by micro-batch and partition with a sink. */
  readonly #seen: Uint8Array | null;

  constructor(options: {
    readonly batches: number;
    /** Tasks of a micro-batch; with a loss, partitions whose output becomes visible. */
    readonly partitions: number;
    readonly repeats: boolean;
  }) {
    const { batches, partitions, repeats } = options;
    this.#batches = batches;
    this.#partitions = partitions;
    this.#seen = repeats ? new Uint8Array(batches * partitions) : null;
    this.#triggerMs = new Float64Array(batches).fill(Infinity);
    this.#firstStartMs = new Float64Array(batches).fill(Infinity);
    this.#lastStartMs = new Float64Array(batches);
    this.#doneMs = new Float64Array(batches);
    this.#ran = new Int32Array(batches);
  }

  planned(batch: number, triggerMs: number): void {
    if (batch < this.#batches && triggerMs < this.#triggerMs[batch]!) {
      this.#triggerMs[batch] = triggerMs;
    }
  }

  ran({ batch, startedMs, endedMs, workMs }: RanAt): void {
    this.#tasks++;
    this.#workMs += workMs;
    if (batch >= this.#batches) return;
    this.#firstStartMs[batch] = Math.min(this.#firstStartMs[batch]!, startedMs);
    this.#lastStartMs[batch] = Math.max(this.#lastStartMs[batch]!, startedMs);
    if (this.#seen === null) this.#ended(batch, endedMs);
  }

  /** Output of the n-th partition with a sink: what is visible already is dropped. */
  visible(partition: number, { batch, atMs }: { readonly batch: number; readonly atMs: number }) {
    const seen = this.#seen;
    assert(seen !== null, 'output is told of where there is a loss');
    if (batch >= this.#batches || seen[batch * this.#partitions + partition] === 1) return;
    seen[batch * this.#partitions + partition] = 1;
    this.#ended(batch, atMs);
  }

  #ended(batch: number, atMs: number): void {
    this.#doneMs[batch] = Math.max(this.#doneMs[batch]!, atMs);
    this.#ran[batch]!++;
    assert(this.#ran[batch]! <= this.#partitions, `micro-batch ${batch} ran too often`);
    while (this.done < this.#batches && this.#ran[this.done] === this.#partitions) this.done++;
  }

  sent({ kind }: Message): void {
    this.#messages.set(kind, (this.#messages.get(kind) ?? 0) + 1);
  }

  flew(ms: number): void {
    this.#flightMs += ms;
  }

  /** The steady part begins. */
  begin(moment: Moment): void {
    this.#from = this.#totals(moment);
  }

  halve(processor: SerialProcessor): void {
    this.#queuedFirstHalf = processor.queuedMax;
    processor.queuedMax = processor.queued;
  }

  finish(end: Moment & Pick<ScaleRun, 'groups' | 'lostMs' | 'recoveredMs'>): ScaleRun {
    const { nowMs, processor, groups, lostMs, recoveredMs, workers } = end;
    const to = this.#totals(end);
    const from = this.#from ?? zero;
    const mean = (sum: number): number => sum / workers.length;
    return {
      workers: workers.length,
      hosts: end.hosts.length,
      triggerMs: this.#triggerMs,
      firstStartMs: this.#firstStartMs,
      lastStartMs: this.#lastStartMs,
      doneMs: this.#doneMs,
      elapsedMs: nowMs,
      groups,
      lostMs,
      recoveredMs,
      tasks: this.#tasks,
      messages: Object.fromEntries(this.#messages),
      steady: {
        batches: to.done - from.done,
        elapsedMs: to.nowMs - from.nowMs,
        driverBusyMs: to.driverBusyMs - from.driverBusyMs,
        driverMessages: to.driverMessages - from.driverMessages,
        workMs: mean(to.workMs - from.workMs),
        workerBusyMs: mean(to.workerBusyMs - from.workerBusyMs),
        flightMs: mean(to.flightMs - from.flightMs),
        hostBusyMs: (to.hostBusyMs - from.hostBusyMs) / end.hosts.length,
      },
      queues: {
        driverFirstHalf: this.#queuedFirstHalf,
        driverSecondHalf: processor.queuedMax,
        worker: workers.reduce((max, worker) => Math.max(max, worker.processor.queuedMax), 0),
        batchesHeld: workers.reduce((max, { machine }) => Math.max(max, machine.batchesHeld), 0),
      },
    };
  }

  #totals({ nowMs, processor, workers, hosts }: Moment): Totals {
    return {
      nowMs,
      done: this.done,
      driverBusyMs: processor.busyMs,
      workerBusyMs: workers.reduce((sum, worker) => sum + worker.processor.busyMs, 0),
      hostBusyMs: hosts.reduce((sum, host) => sum + host.processor.busyMs, 0),
      driverMessages: this.driverMessages,
      workMs: this.#workMs,
      flightMs: this.#flightMs,
    };
  }
}

const zero: Totals = {
  nowMs: 0,
  done: 0,
  driverBusyMs: 0,
  driverMessages: 0,
  workMs: 0,
  workerBusyMs: 0,
  hostBusyMs: 0,
  flightMs: 0,
};
