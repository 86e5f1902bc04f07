// Runs a whole physical plan micro-batch by micro-batch in one thread, blocks handed over by hand:
// what tests hold against the reference.

import type { KernelBindings } from '../codegen/kernel-context.ts';
import { encodeUtf8 } from '../columnar/utf8.ts';
import { batchToRows } from '../columnar/rows.ts';
import type { SinkId } from '../../plan/logical-plan.ts';
import { partitionCountsOf as countsOf } from '../../plan/partition-counts.ts';
import type { Exchange, PhysicalPlan, Stage } from '../../plan/physical-plan.ts';
import { producersOf } from '../../plan/routing.ts';
import type { SourceData } from '../../ports/source-chunk.ts';
import type { RowObject } from '../../schema/data-type.ts';
import type { ReferenceBatch, ReferenceInput } from '../../testing/reference.ts';
import { TaskExecutor } from './task-executor.ts';
import { inputBlock } from './task.ts';
import type { Allocate, ExchangeOutput, InputBlock, TaskResult } from './task.ts';

export type RunOptions = {
  readonly plan: PhysicalPlan;
  readonly bindings: KernelBindings;
  readonly batches: readonly ReferenceBatch[];
  readonly allocate?: Allocate;
};

export type RunOutput = {
  /** By sink and by position of the micro-batch. */
  readonly sinks: ReadonlyMap<SinkId, readonly (readonly RowObject[])[]>;
  readonly late: number;
  readonly recordsIn: number;
  readonly recordsBad: number;
  /** Every task's result, in the order of running. */
  readonly results: readonly TaskResult[];
};

export const allocateBytes: Allocate = (length) => new Uint8Array(length);

export function partitionCountsOf(plan: PhysicalPlan, first: ReferenceBatch): number[] {
  return countsOf(plan, (source) => first.sources.get(source)!.length);
}

export function runPlan({ plan, bindings, batches, allocate }: RunOptions): RunOutput {
  const partitionCounts = partitionCountsOf(plan, batches[0]!);
  const executor = new TaskExecutor({
    plan,
    bindings,
    partitionCounts,
    allocate: allocate ?? allocateBytes,
  });
  const sinks = new Map<SinkId, RowObject[][]>();
  for (const { id } of plan.sinks)
    sinks.set(
      id,
      batches.map(() => []),
    );
  const results: TaskResult[] = [];
  batches.forEach((batch, index) => {
    const sent = new Map<number, ExchangeOutput[]>();
    for (const stage of plan.stages) {
      for (let partition = 0; partition < partitionCounts[stage.id]!; partition++) {
        const task = { stage: stage.id, partition, batch: index, part: 0 };
        const result = executor.run(task, inputOf(plan, stage, { partition, batch, sent }));
        results.push(result);
        stage.outputs.forEach((exchange, at) => {
          sent.set(exchange, [...(sent.get(exchange) ?? []), result.outputs[at]!]);
        });
        for (const { sink, batch: rows } of result.sinks) {
          sinks.get(sink)![index]!.push(...batchToRows(rows));
        }
      }
    }
  });
  const total = (count: (result: TaskResult) => number): number =>
    results.reduce((sum, result) => sum + count(result), 0);
  return {
    sinks,
    results,
    late: total(({ counts }) => counts.recordsLate),
    recordsIn: total(({ counts }) => counts.recordsIn),
    recordsBad: total(({ counts }) => counts.recordsBad),
  };
}

export type InputScope = {
  readonly partition: number;
  readonly batch: ReferenceBatch;
  /** By exchange: by producer. */
  readonly sent: ReadonlyMap<number, readonly ExchangeOutput[]>;
};

export function inputOf(plan: PhysicalPlan, stage: Stage, scope: InputScope) {
  const { partition, batch, sent } = scope;
  const { input } = stage;
  if (input.kind === 'exchanges') {
    const blocks = input.exchanges.map((exchange) =>
      blocksFor(plan.exchanges[exchange]!, partition, sent.get(exchange) ?? []),
    );
    return { kind: 'blocks', blocks } as const;
  }
  const given = batch.sources.get(input.scan.source)![partition]!;
  const { format } = plan.sources.find(({ id }) => id === input.scan.source)!;
  const data = format.kind === 'rows' ? rowsData(given) : bytesData(given);
  const chunk = { from: 0, to: given.rows.length, ended: given.ended, data };
  return { kind: 'scan', chunk, triggerMs: batch.batchTimeMs } as const;
}

function blocksFor(
  exchange: Exchange,
  consumer: number,
  outputs: readonly ExchangeOutput[],
): readonly InputBlock[] {
  const { first, count } = producersOf(exchange, consumer, outputs.length);
  return outputs
    .map((output, producer) => inputBlock(output, { exchange, consumer, producer }))
    .slice(first, first + count);
}

function rowsData({ rows }: ReferenceInput): SourceData {
  return rows.length === 0 ? { kind: 'none' } : { kind: 'rows', rows };
}

/** JSON lines, in two pieces when there are several. */
function bytesData({ rows }: ReferenceInput): SourceData {
  if (rows.length === 0) return { kind: 'none' };
  const half = Math.ceil(rows.length / 2);
  const pieces = [rows.slice(0, half), rows.slice(half)].filter((part) => part.length > 0);
  return {
    kind: 'bytes',
    pieces: pieces.map((part) => {
      const bytes = encodeUtf8(part.map((row) => `${jsonLine(row)}\n`).join(''));
      const place = { origin: 'memory', originOffset: 0, columns: null };
      return { bytes, start: 0, end: bytes.length, ...place };
    }),
  };
}

function jsonLine(row: RowObject): string {
  const members = Object.entries(row).map(([name, value]) => {
    const text = typeof value === 'bigint' ? value.toString() : JSON.stringify(value);
    return `${JSON.stringify(name)}:${text}`;
  });
  return `{${members.join(',')}}`;
}
