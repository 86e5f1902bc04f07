// What a worker knows of each micro-batch that is not retired: which blocks have come, which of its
// own tasks are done, what it has sent. Arrivals are recorded here before anybody asks who waits
// for them, so it does not matter whether the schedule or the block came first.

import { assert } from '../../base/assert.ts';
import type { BatchNumber } from '../protocol/ids.ts';
import type { BlockEntry, Handle } from '../protocol/messages.ts';

export class BatchTable {
  readonly #records = new Map<BatchNumber, BatchRecord>();
  readonly #producerCounts: readonly number[];

  /** `producerCounts[exchange]`: producer partitions whose blocks make the exchange complete. */
  constructor(producerCounts: readonly number[]) {
    this.#producerCounts = producerCounts;
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

  taskDone(batch: BatchNumber): void {
    this.#record(batch).tasksDone++;
  }

  commitPending(batch: BatchNumber): void {
    this.#record(batch).commitsPending++;
  }

  committed(batch: BatchNumber): void {
    const record = this.#record(batch);
    assert(record.commitsPending > 0, `micro-batch ${batch} has no commit pending`);
    record.commitsPending--;
  }

  /** All `taskCount` local tasks are done and their output is visible. */
  done(batch: BatchNumber, taskCount: number): boolean {
    const record = this.#records.get(batch);
    if (record === undefined) return taskCount === 0;
    return record.tasksDone === taskCount && record.commitsPending === 0;
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
      record = new BatchRecord(this.#producerCounts);
      this.#records.set(batch, record);
    }
    return record;
  }
}

class BatchRecord {
  tasksDone = 0;
  commitsPending = 0;
  readonly #missing: number[];
  readonly #inputs: (Handle[] | null)[];
  readonly #outputs: BlockEntry[][];

  constructor(producerCounts: readonly number[]) {
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

  produce(exchange: number, entry: BlockEntry): readonly BlockEntry[] {
    const outputs = this.#outputs[exchange]!;
    outputs.push(entry);
    return outputs;
  }

  dropInputs(): void {
    this.#inputs.fill([]);
  }
}
