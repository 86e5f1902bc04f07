// What a worker knows of each micro-batch that is not retired: which blocks have come, which of its
// own tasks are done, what it has sent. Arrivals are recorded here before anybody asks who waits
// for them, so it does not matter whether the schedule or the block came first.

import { assert } from '../../base/assert.ts';
import type { BatchNumber } from '../protocol/ids.ts';
import type { BlockEntry, Handle } from '../protocol/messages.ts';

export class BatchTable {
  readonly #records = new Map<BatchNumber, BatchRecord>();
  readonly #producerCounts: readonly number[];
  readonly #taskCounts: readonly number[];

  /**
   * `producerCounts[exchange]`: producer partitions whose blocks make the exchange complete;
   * `taskCounts[stage]`: partitions of the stage that live here.
   */
  constructor(producerCounts: readonly number[], taskCounts: readonly number[]) {
    this.#producerCounts = producerCounts;
    this.#taskCounts = taskCounts;
  }

  get size(): number {
    return this.#records.size;
  }

  /** Records one producer's blocks; false when they are here already. */
  arrive(batch: BatchNumber, exchange: number, entry: BlockEntry): boolean {
    return this.#record(batch).arrive(exchange, entry);
  }

  complete(batch: BatchNumber, exchange: number): boolean {
    return this.#records.get(batch)?.missing(exchange) === 0;
  }

  /** All producers' handles in producer order, for a complete exchange. */
  inputs(batch: BatchNumber, exchange: number): readonly Handle[] {
    const record = this.#records.get(batch);
    assert(record !== undefined && record.missing(exchange) === 0, 'inputs are not complete');
    return record.handles(exchange);
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
    return (record?.tasksLeft[stage] ?? this.#taskCounts[stage]) === 0;
  }

  /** All local tasks are done and their output is visible. */
  done(batch: BatchNumber): boolean {
    const left = this.#records.get(batch)?.tasksLeft ?? this.#taskCounts;
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
      record = new BatchRecord(this.#producerCounts, this.#taskCounts);
      this.#records.set(batch, record);
    }
    return record;
  }
}

class BatchRecord {
  /** By stage: local tasks that are not done or not visible. */
  readonly tasksLeft: number[];
  readonly commitsPending: number[];
  readonly #missing: number[];
  readonly #inputs: (Handle[] | null)[];
  readonly #outputs: BlockEntry[][];

  constructor(producerCounts: readonly number[], taskCounts: readonly number[]) {
    this.tasksLeft = [...taskCounts];
    this.commitsPending = taskCounts.map(() => 0);
    this.#missing = [...producerCounts];
    this.#inputs = producerCounts.map(() => null);
    this.#outputs = producerCounts.map(() => []);
  }

  arrive(exchange: number, entry: BlockEntry): boolean {
    let handles = this.#inputs[exchange];
    if (handles === null || handles === undefined) {
      handles = new Array<Handle>(this.#missing[exchange]!).fill(undefined);
      this.#inputs[exchange] = handles;
    }
    assert(entry.producer < handles.length, `exchange ${exchange} has no such producer`);
    if (handles[entry.producer] !== undefined) return false;
    handles[entry.producer] = entry.output;
    this.#missing[exchange]!--;
    return true;
  }

  missing(exchange: number): number {
    return this.#missing[exchange]!;
  }

  handles(exchange: number): readonly Handle[] {
    return this.#inputs[exchange]!;
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
    this.#inputs.fill([]);
  }
}
