// What a worker knows of each micro-batch that is not retired: which blocks have come, which of its
// own tasks are done, what it has sent. Arrivals are recorded here before anybody asks who waits
// for them, so it does not matter whether the schedule or the block came first.

import { assert } from '../../base/assert.ts';
import type { BatchNumber } from '../protocol/ids.ts';
import type { BlockEntry } from '../protocol/messages.ts';
import type { InputHandle } from './events.ts';

export type BatchTableOptions = {
  /** By exchange: producer partitions whose blocks make it complete. */
  readonly producerCounts: readonly number[];
  /** By stage: partitions that live here. */
  readonly taskCounts: readonly number[];
  /** Producers give their blocks in parts. */
  readonly hasParts: boolean;
};

export class BatchTable {
  readonly #records = new Map<BatchNumber, BatchRecord>();
  readonly #options: BatchTableOptions;

  constructor(options: BatchTableOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#records.size;
  }

  /** Records one producer's part; false when it is here already. */
  arrive(batch: BatchNumber, exchange: number, entry: BlockEntry): boolean {
    return this.#record(batch).arrive(exchange, entry);
  }

  complete(batch: BatchNumber, exchange: number): boolean {
    return this.#records.get(batch)?.missing(exchange) === 0;
  }

  /**
   * What has come: without parts and complete, of all producers in their order; with parts, in the
   * order of arrival.
   */
  inputs(batch: BatchNumber, exchange: number): readonly InputHandle[] {
    return this.#records.get(batch)?.inputs(exchange) ?? [];
  }

  /** Keeps a local producer's output and gives all of the exchange's so far. */
  produce(batch: BatchNumber, exchange: number, entry: BlockEntry): readonly BlockEntry[] {
    return this.#record(batch).produce(exchange, entry);
  }

  /** What local producers have given for the exchange so far. */
  outputs(batch: BatchNumber, exchange: number): readonly BlockEntry[] {
    return this.#records.get(batch)?.outputs(exchange) ?? [];
  }

  /** The task ran; with `commitPending` its output is not visible yet. */
  taskDone(batch: BatchNumber, stage: number, commitPending: boolean): void {
    const record = this.#record(batch);
    if (commitPending) record.commitsPending[stage]!++;
    else record.tasksLeft[stage]!--;
  }

  /** The output of a task that ran before is visible. */
  committed(batch: BatchNumber, stage: number): void {
    const record = this.#record(batch);
    assert(record.commitsPending[stage]! > 0, `micro-batch ${batch} has no commit pending`);
    record.commitsPending[stage]!--;
    record.tasksLeft[stage]!--;
  }

  /** All local tasks of the stage are done and their output is visible. */
  stageDone(batch: BatchNumber, stage: number): boolean {
    const record = this.#records.get(batch);
    return (record?.tasksLeft[stage] ?? this.#options.taskCounts[stage]) === 0;
  }

  /** All local tasks are done and their output is visible. */
  done(batch: BatchNumber): boolean {
    const left = this.#records.get(batch)?.tasksLeft ?? this.#options.taskCounts;
    return left.every((count) => count === 0);
  }

  /** Forgets local producers' blocks of the exchange: everybody who needs them has them. */
  dropOutputs(batch: BatchNumber, exchange: number): void {
    this.#records.get(batch)?.dropOutputs(exchange);
  }

  /** Forgets the inputs of a micro-batch that is done; its outputs stay until it is retired. */
  dropInputs(batch: BatchNumber): void {
    this.#records.get(batch)?.dropInputs();
  }

  retireThrough(batch: BatchNumber): void {
    for (const number of this.#records.keys()) {
      if (number <= batch) this.#records.delete(number);
    }
  }

  #record(batch: BatchNumber): BatchRecord {
    let record = this.#records.get(batch);
    if (record === undefined) {
      record = new BatchRecord(this.#options);
      this.#records.set(batch, record);
    }
    return record;
  }
}

class BatchRecord {
  /** By stage: local tasks that are not done or not visible. */
  readonly tasksLeft: number[];
  readonly commitsPending: number[];
  /** By exchange: producers whose last part is not here. */
  readonly #missing: number[];
  readonly #arrived: InputHandle[][];
  /** By exchange and producer: the part that comes next, Infinity behind the last. */
  readonly #nextParts: (number[] | null)[];
  readonly #outputs: BlockEntry[][];

  readonly #hasParts: boolean;

  constructor({ producerCounts, taskCounts, hasParts }: BatchTableOptions) {
    this.#hasParts = hasParts;
    this.tasksLeft = [...taskCounts];
    this.commitsPending = taskCounts.map(() => 0);
    this.#missing = [...producerCounts];
    this.#arrived = producerCounts.map(() => []);
    this.#nextParts = producerCounts.map(() => null);
    this.#outputs = producerCounts.map(() => []);
  }

  arrive(exchange: number, { producer, part, last, output }: BlockEntry): boolean {
    const next = (this.#nextParts[exchange] ??= new Array<number>(this.#missing[exchange]!).fill(
      0,
    ));
    assert(producer < next.length, `exchange ${exchange} has no such producer`);
    if (part < next[producer]!) return false;
    assert(part === next[producer], `exchange ${exchange} lost a part of producer ${producer}`);
    this.#arrived[exchange]!.push({ producer, output });
    next[producer] = last ? Infinity : part + 1;
    if (last) this.#missing[exchange]!--;
    const whole = !this.#hasParts && this.#missing[exchange] === 0;
    if (whole) this.#arrived[exchange]!.sort((a, b) => a.producer - b.producer);
    return true;
  }

  missing(exchange: number): number {
    return this.#missing[exchange]!;
  }

  inputs(exchange: number): readonly InputHandle[] {
    return this.#arrived[exchange]!;
  }

  outputs(exchange: number): readonly BlockEntry[] {
    return this.#outputs[exchange]!;
  }

  produce(exchange: number, entry: BlockEntry): readonly BlockEntry[] {
    const outputs = this.#outputs[exchange]!;
    outputs.push(entry);
    return outputs;
  }

  dropOutputs(exchange: number): void {
    this.#outputs[exchange] = [];
  }

  dropInputs(): void {
    this.#arrived.fill([]);
  }
}
