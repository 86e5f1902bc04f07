// What a worker knows of each micro-batch that is not retired: which blocks have come, which of its
// own tasks are done, what it has sent. Arrivals are recorded here before anybody asks who waits
// for them, so it does not matter whether the schedule or the block came first.

import { assert } from '../../base/assert.ts';
import type { BatchNumber } from '../protocol/ids.ts';
import type { BlockEntry } from '../protocol/messages.ts';
import type { ProducerRange, Routed } from '../protocol/routing.ts';
import { bundleFor, bundleOf, producersOf } from '../protocol/routing.ts';
import type { InputHandle } from './events.ts';

export type BatchTableOptions = {
  readonly exchanges: readonly AwaitedExchange[];
  /** By stage: partitions that live here. */
  readonly taskCounts: readonly number[];
  /** Producers give their blocks in parts. */
  readonly hasParts: boolean;
};

export type AwaitedExchange = Routed & {
  /** Producer partitions. */
  readonly producerCount: number;
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

  /** A consumer partition misses none of the producers that it waits for. */
  complete(batch: BatchNumber, exchange: number, consumer: number): boolean {
    const record = this.#records.get(batch);
    if (record !== undefined) return record.complete(exchange, consumer);
    // Nothing has come; it is enough where nobody feeds the consumer.
    const awaited = this.#options.exchanges[exchange]!;
    const { first, end } = producersOf(
      awaited,
      bundleFor(awaited, consumer),
      awaited.producerCount,
    );
    return first === end;
  }

  /**
   * What has come for a consumer partition: without parts and complete, of all its producers in
   * their order; with parts, in the order of arrival.
   */
  inputs(batch: BatchNumber, exchange: number, consumer: number): readonly InputHandle[] {
    return this.#records.get(batch)?.inputs(exchange, consumer) ?? [];
  }

  /** Keeps a local producer's output and gives all of its bundle's so far. */
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

  /** Forgets local producers' blocks of a bundle: everybody who needs them has them. */
  dropOutputs(batch: BatchNumber, exchange: number, bundle: number): void {
    this.#records.get(batch)?.dropOutputs(exchange, bundle);
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
  readonly #options: BatchTableOptions;
  /** By exchange and bundle. */
  readonly #gatherings: readonly Map<number, Gathering>[];
  /** By exchange and bundle: of local producers. */
  readonly #outputs: readonly Map<number, BlockEntry[]>[];

  constructor(options: BatchTableOptions) {
    const { exchanges, taskCounts } = options;
    this.#options = options;
    this.tasksLeft = [...taskCounts];
    this.commitsPending = taskCounts.map(() => 0);
    this.#gatherings = exchanges.map(() => new Map());
    this.#outputs = exchanges.map(() => new Map());
  }

  arrive(exchange: number, entry: BlockEntry): boolean {
    const awaited = this.#options.exchanges[exchange]!;
    assert(entry.producer < awaited.producerCount, `exchange ${exchange} has no such producer`);
    return this.#gathering(exchange, bundleOf(awaited, entry.producer)).arrive(entry);
  }

  complete(exchange: number, consumer: number): boolean {
    const bundle = bundleFor(this.#options.exchanges[exchange]!, consumer);
    return this.#gathering(exchange, bundle).missing === 0;
  }

  inputs(exchange: number, consumer: number): readonly InputHandle[] {
    const bundle = bundleFor(this.#options.exchanges[exchange]!, consumer);
    return this.#gatherings[exchange]!.get(bundle)?.arrived ?? [];
  }

  outputs(exchange: number): readonly BlockEntry[] {
    return [...this.#outputs[exchange]!.values()].flat();
  }

  produce(exchange: number, entry: BlockEntry): readonly BlockEntry[] {
    const bundle = bundleOf(this.#options.exchanges[exchange]!, entry.producer);
    const outputs = this.#outputs[exchange]!.get(bundle);
    if (outputs !== undefined) {
      outputs.push(entry);
      return outputs;
    }
    const begun = [entry];
    this.#outputs[exchange]!.set(bundle, begun);
    return begun;
  }

  dropOutputs(exchange: number, bundle: number): void {
    this.#outputs[exchange]!.delete(bundle);
  }

  dropInputs(): void {
    for (const gatherings of this.#gatherings) {
      for (const gathering of gatherings.values()) gathering.arrived = [];
    }
  }

  #gathering(exchange: number, bundle: number): Gathering {
    const known = this.#gatherings[exchange]!.get(bundle);
    if (known !== undefined) return known;
    const { exchanges, hasParts } = this.#options;
    const awaited = exchanges[exchange]!;
    const producers = producersOf(awaited, bundle, awaited.producerCount);
    const made = new Gathering({ exchange, producers, hasParts });
    this.#gatherings[exchange]!.set(bundle, made);
    return made;
  }
}

/** What has come of the producers of one bundle. */
class Gathering {
  /** Producers whose last part is not here. */
  missing: number;
  arrived: InputHandle[] = [];
  readonly #exchange: number;
  readonly #first: number;
  readonly #hasParts: boolean;
  /** By producer: the part that comes next, Infinity behind the last. */
  readonly #nextParts: number[];

  constructor(options: {
    readonly exchange: number;
    readonly producers: ProducerRange;
    readonly hasParts: boolean;
  }) {
    const { exchange, producers, hasParts } = options;
    this.#exchange = exchange;
    this.#first = producers.first;
    this.#hasParts = hasParts;
    this.missing = producers.end - producers.first;
    this.#nextParts = new Array<number>(this.missing).fill(0);
  }

  arrive({ producer, part, last, output }: BlockEntry): boolean {
    const next = this.#nextParts[producer - this.#first]!;
    if (part < next) return false;
    assert(part === next, `exchange ${this.#exchange} lost a part of producer ${producer}`);
    this.arrived.push({ producer, output });
    this.#nextParts[producer - this.#first] = last ? Infinity : part + 1;
    if (last) this.missing--;
    const whole = !this.#hasParts && this.missing === 0;
    if (whole) this.arrived.sort((a, b) => a.producer - b.producer);
    return true;
  }
}
