// A stage behind exchanges: folds the blocks of a micro-batch into keyed state in producer order,
// closes windows by the watermark that the blocks' headers carry, and sends on what left them. A
// stage without state passes rows through its kernel. What is broadcast is taken first, so that the
// other rows of the micro-batch meet it; its watermark holds nothing back.

import { assert } from '../../base/assert.ts';
import type { Exchange } from '../../plan/physical-plan.ts';
import { producersOf } from '../../plan/routing.ts';
import { decodeBatch } from '../columnar/batch-codec.ts';
import type { Batch } from '../columnar/batch.ts';
import { compileKernel } from '../codegen/kernel.ts';
import type { AggregateRoot, StageKernel } from '../codegen/kernel.ts';
import type { KernelOptions } from '../codegen/kernel-context.ts';
import { BroadcastTable } from '../state/broadcast-table.ts';
import { createKeyedState } from '../state/keyed-state.ts';
import type { KeyedState } from '../state/keyed-state.ts';
import type { SnapshotKind } from '../snapshot/snapshot-file.ts';
import { describeState } from './describe-state.ts';
import { InputWatermark } from './input-watermark.ts';
import { PartitionState } from './partition-state.ts';
import type { PartitionIdentity, StateSnapshot } from './partition-state.ts';
import { StageOutput } from './stage-output.ts';
import type { SinkRows } from './stage-output.ts';
import { TaskOrder } from './task-order.ts';
import type { Allocate, BlockHeader, InputBlock, TaskId, TaskResult } from './task.ts';
import { userError } from './user-error.ts';

type Partition = {
  readonly watermark: InputWatermark;
  readonly state: KeyedState | null;
  /** What has been broadcast, in the stage of a broadcast join. */
  readonly table: BroadcastTable | null;
  /** Both of them, for snapshots. */
  readonly whole: PartitionState;
};
type Counts = { recordsIn: number; recordsLate: number; bytesIn: number };

export class ExchangeStage {
  readonly kind = 'exchange';
  readonly #kernel: StageKernel;
  readonly #output: StageOutput;
  readonly #exchanges: readonly Exchange[];
  /** By input exchange: partitions of the stage that feeds it. */
  readonly #producerCounts: readonly number[];
  readonly #partitions: (Partition | undefined)[] = [];
  readonly #taskOrder = new TaskOrder();
  readonly #identity: Omit<PartitionIdentity, 'partition'>;
  /** Input exchanges in the order in which they are taken. */
  readonly #order: readonly number[];
  /** Rows that leave the windows go to these sinks as they are. */
  readonly #directSinks: readonly SinkRows['sink'][] | null;

  constructor(options: { readonly kernel: KernelOptions; readonly allocate: Allocate }) {
    const { input } = options.kernel.stage;
    assert(input.kind === 'exchanges', 'the stage is fed by exchanges');
    this.#kernel = compileKernel(options.kernel, null);
    this.#output = new StageOutput(this.#kernel, options.allocate);
    this.#exchanges = input.exchanges.map((id) => this.#kernel.context.exchange(id));
    const { partitionCounts, plan, stage } = options.kernel;
    this.#identity = {
      partitionCount: partitionCounts[stage.id]!,
      description: describeState(plan, stage, partitionCounts),
    };
    this.#producerCounts = this.#exchanges.map(({ from }) => partitionCounts[from]!);
    const inputs = [...this.#exchanges.keys()];
    const rank = (index: number): number => (this.#isBroadcast(index) ? 0 : 1);
    this.#order = inputs.toSorted((a, b) => rank(a) - rank(b));
    this.#directSinks = this.#kernel.aggregate && directSinks(this.#kernel.aggregate);
  }

  run(task: TaskId, blocks: readonly (readonly InputBlock[])[]): TaskResult {
    this.#taskOrder.start(task);
    const { calls } = this.#kernel.context;
    const partition = this.#partition(task.partition);
    const batchTimeMs = greatestBatchTime(blocks);
    calls.begin({ ...task, batchTimeMs });
    try {
      return this.#run(partition, blocks, batchTimeMs);
    } catch (error) {
      this.#output.discard();
      this.#kernel.localPartials?.clear();
      throw userError(error, { calls, where: null });
    }
  }

  #isBroadcast(index: number): boolean {
    return this.#exchanges[index]!.partitioning.kind === 'broadcast';
  }

  /** See `TaskExecutor.snapshot`. */
  snapshot(index: number, kind: SnapshotKind): StateSnapshot {
    const batch = this.#taskOrder.lastOf(index);
    assert(batch !== undefined, `partition ${index} has had a task`);
    return this.#partition(index).whole.snapshot(batch, kind);
  }

  restore(index: number, snapshots: readonly Uint8Array[]): void {
    assert(this.#partitions[index] === undefined, `partition ${index} has not had a task`);
    const partition = this.#fresh(index);
    const batch = partition.whole.restore(snapshots);
    this.#partitions[index] = partition;
    this.#taskOrder.resume(index, batch);
  }

  renumber(partition: number, batch: number): void {
    this.#taskOrder.renumber(partition, batch);
  }

  /** The partition has moved away, or is to be restored anew. */
  forget(partition: number): void {
    this.#partitions[partition] = undefined;
    this.#taskOrder.forget(partition);
  }

  stateBytes(): number {
    let size = 0;
    for (const partition of this.#partitions) {
      size += partition?.state?.byteSize() ?? 0;
      size += partition?.table?.byteSize() ?? 0;
    }
    return size;
  }

  #run(
    partition: Partition,
    blocks: readonly (readonly InputBlock[])[],
    batchTimeMs: number,
  ): TaskResult {
    const { watermark, state, table } = partition;
    const { calls, holder } = this.#kernel.context;
    const counts: Counts = { recordsIn: 0, recordsLate: 0, bytesIn: 0 };
    const bound = watermark.boundMs;
    holder.table = table;
    for (const index of this.#order) {
      for (const { block } of blocks[index]!) {
        if (block !== null) this.#take(partition, { block, index, counts });
      }
    }
    if (state !== null && this.#kernel.localPartials !== null) {
      this.#foldLocal(state, watermark.watermarkMs);
    }
    watermark.advance(blocks.filter((_, index) => !this.#isBroadcast(index)));
    const sinks = state === null ? [] : this.#close(state, watermark.watermarkMs, bound);
    counts.recordsLate += calls.lateRows;
    const header: BlockHeader = {
      watermarkMs: state === null ? watermark.leastMs : watermark.watermarkMs,
      idle: watermark.idle,
      batchTimeMs,
    };
    const outputs = this.#output.takeExchanges(header);
    for (const rows of this.#output.takeSinks()) sinks.push(rows);
    let rowsOut = 0;
    for (const { batch } of sinks) rowsOut += batch.rowCount;
    const { watermarkMs } = watermark;
    const total = { ...counts, recordsBad: 0, rowsOut };
    return { outputs, sinks, range: null, watermarkMs, counts: total };
  }

  #take(
    { state, table, watermark }: Partition,
    from: { readonly block: Uint8Array; readonly index: number; readonly counts: Counts },
  ): void {
    const { block, index, counts } = from;
    const { schema, partitioning } = this.#exchanges[index]!;
    const batch = decodeBatch(schema, block);
    counts.recordsIn += batch.rowCount;
    counts.bytesIn += block.length;
    const { merged, functions } = this.#kernel;
    const { rows } = functions;
    if (partitioning.kind === 'broadcast') table!.fold(batch);
    else if (merged !== null) merged.fold(batch);
    else if (rows !== null) {
      // An aggregate's rows are late or not; those that pass through are judged further down.
      const atMs = state === null ? watermark.boundMs : watermark.watermarkMs;
      rows(batch.vectors, batch.rowCount, atMs);
    } else counts.recordsLate += state!.fold(batch, watermark.watermarkMs);
  }

  /** Rows became partials; lateness was judged row by row. */
  #foldLocal(state: KeyedState, watermarkMs: number): void {
    const partials = this.#kernel.localPartials!;
    if (partials.count === 0) return;
    const [batch] = partials.flush(1);
    partials.clear();
    const late = state.fold(batch!, watermarkMs);
    assert(late === 0, 'late rows do not become partials');
  }

  #close(state: KeyedState, watermarkMs: number, boundMs: number): SinkRows[] {
    const closed: Batch | null = state.finish(watermarkMs);
    if (closed === null) return [];
    if (this.#directSinks !== null) {
      return this.#directSinks.map((sink) => ({ sink, batch: closed }));
    }
    this.#kernel.functions.output!(closed.vectors, closed.rowCount, boundMs);
    return [];
  }

  #partition(index: number): Partition {
    return (this.#partitions[index] ??= this.#fresh(index));
  }

  #fresh(index: number): Partition {
    const { aggregate: root, context, join } = this.#kernel;
    const state =
      root === null
        ? null
        : createKeyedState({
            aggregate: root.aggregate,
            schema: root.schema,
            functions: context.functionsOf(root.id),
          });
    const producers = this.#exchanges
      .map((exchange, input) => producersOf(exchange, index, this.#producerCounts[input]!))
      .filter((_, input) => !this.#isBroadcast(input));
    const watermark = new InputWatermark(producers);
    const keys = join?.keys.map(({ right }) => right) ?? [];
    const table = join && new BroadcastTable(join.tableSchema, keys);
    const identity = { ...this.#identity, partition: index };
    const parts = [watermark, state, table].filter((part) => part !== null);
    return { watermark, state, table, whole: new PartitionState(identity, parts) };
  }
}

/** The sinks, if all that follows the windows is sinks of the same columns. */
function directSinks(root: AggregateRoot): readonly SinkRows['sink'][] | null {
  const sinks: SinkRows['sink'][] = [];
  for (const next of root.next) {
    if (next.kind !== 'to-sink') return null;
    const names = next.schema.fields.map(({ name }) => name);
    const own = root.schema.fields.map(({ name }) => name);
    if (names.join('\n') !== own.join('\n')) return null;
    sinks.push(next.sink);
  }
  // Late rows may go to one of these sinks as well: then one builder must hold both.
  const { late } = root.aggregate;
  return (late !== null && sinks.includes(late)) || new Set(sinks).size < sinks.length
    ? null
    : sinks;
}

function greatestBatchTime(blocks: readonly (readonly InputBlock[])[]): number {
  let batchTimeMs = -Infinity;
  for (const producers of blocks) {
    for (const { header } of producers) {
      if (header.batchTimeMs > batchTimeMs) batchTimeMs = header.batchTimeMs;
    }
  }
  return batchTimeMs;
}
