// What a task gives away: blocks for every exchange of the stage, rows for sinks. Takes them out of
// the builders and tables that the kernel filled, and leaves those empty for the next task.

import type { Exchange } from '../../plan/physical-plan.ts';
import type { SinkId } from '../../plan/logical-plan.ts';
import type { BatchBuilder } from '../columnar/batch-builder.ts';
import { encodeBatch } from '../columnar/batch-codec.ts';
import type { Batch } from '../columnar/batch.ts';
import type { StageKernel } from '../codegen/kernel.ts';
import type { MergeTable } from '../state/merge-table.ts';
import type { PartialTable } from '../state/partial-table.ts';
import type { Allocate, BlockHeader, ExchangeOutput, TaskResult } from './task.ts';

export type SinkRows = TaskResult['sinks'][number];

type Output = {
  readonly exchange: Exchange;
  /** One for each consumer partition, or one for whoever takes it. */
  readonly blockCount: number;
  readonly partials: PartialTable | MergeTable | null;
  readonly builders: readonly BatchBuilder[];
  /** No block for anybody: shared by all tasks that have nothing to send. */
  readonly nothing: readonly null[];
};

export class StageOutput {
  readonly #outputs: readonly Output[];
  readonly #sinks: readonly { readonly sink: SinkId; readonly builder: BatchBuilder }[];
  readonly #allocate: Allocate;

  constructor(kernel: StageKernel, allocate: Allocate) {
    const { context } = kernel;
    this.#allocate = allocate;
    this.#outputs = context.options.stage.outputs.map((id) => {
      const exchange = context.exchange(id);
      const blockCount = context.blockCount(exchange);
      return {
        exchange,
        blockCount,
        partials: context.partialExchanges.get(id) ?? null,
        builders: context.rowExchanges.get(id) ?? [],
        nothing: new Array<null>(blockCount).fill(null),
      };
    });
    this.#sinks = Array.from(context.sinks, ([sink, builder]) => ({ sink, builder }));
  }

  takeExchanges(header: BlockHeader): ExchangeOutput[] {
    const outputs: ExchangeOutput[] = [];
    for (const output of this.#outputs) outputs.push({ header, blocks: this.#blocks(output) });
    return outputs;
  }

  takeSinks(): SinkRows[] {
    const rows: SinkRows[] = [];
    for (const { sink, builder } of this.#sinks) {
      if (builder.rowCount === 0) continue;
      rows.push({ sink, batch: builder.finish() });
      builder.reset();
    }
    return rows;
  }

  /** Forgets what a task that failed has left. */
  discard(): void {
    for (const { partials, builders } of this.#outputs) {
      partials?.clear();
      for (const builder of builders) builder.reset();
    }
    for (const { builder } of this.#sinks) builder.reset();
  }

  #blocks(output: Output): readonly (Uint8Array | null)[] {
    const { partials, builders, blockCount, nothing } = output;
    if (partials !== null) {
      if (partials.count === 0) return nothing;
      const batches = partials.flush(blockCount);
      partials.clear();
      return batches.map((batch) => this.#encode(batch));
    }
    if (builders.every((builder) => builder.rowCount === 0)) return nothing;
    return builders.map((builder) => {
      if (builder.rowCount === 0) return null;
      const block = encodeBatch(builder, this.#allocate);
      builder.reset();
      return block;
    });
  }

  #encode(batch: Batch | null): Uint8Array | null {
    return batch === null ? null : encodeBatch(batch, this.#allocate);
  }
}
