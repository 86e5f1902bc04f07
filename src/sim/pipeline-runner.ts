// Carries out the tasks of a real pipeline by the real data plane, as a worker's shell does.

import { assert } from '../base/assert.ts';
import { canonicalJson } from '../base/canonical-json.ts';
import type { Handle, Place } from '../control/protocol/messages.ts';
import { batchToRows } from '../data/columnar/rows.ts';
import type { InputHandle } from '../control/worker/events.ts';
import { OpenRows } from '../data/task/open-rows.ts';
import { TaskExecutor } from '../data/task/task-executor.ts';
import { inputBlock } from '../data/task/task.ts';
import type {
  ExchangeOutput,
  InputBlock,
  RangeRecord,
  TaskId,
  TaskInput,
  TaskResult,
} from '../data/task/task.ts';
import type { Bindings } from '../plan/bindings.ts';
import type { SourceId } from '../plan/logical-plan.ts';
import type { Exchange, PhysicalPlan, StageId } from '../plan/physical-plan.ts';
import type { Sink } from '../ports/sink.ts';
import type { Source } from '../ports/source.ts';
import { SinkPartitions } from '../plan/sink-partitions.ts';
import { SimulatedRows } from './simulated-rows.ts';
import type { ChosenRange } from './simulated-source.ts';
import type { Commit, TaskOrder, TaskOutcome, TaskRunner } from './task-runner.ts';

export type PipelineRunnerOptions = {
  readonly plan: PhysicalPlan;
  readonly bindings: Bindings<Source, Sink>;
  /** By stage. */
  readonly partitionCounts: readonly number[];
  /** What the data plane takes for time, less what the simulation does, ms. */
  readonly aheadMs?: number;
};

export class PipelineRunner implements TaskRunner {
  recordsLate = 0;
  readonly #openRows = new OpenRows();
  /** By stage and partition: the snapshots that its last one goes on from, and that one. */
  readonly #chains = new Map<string, readonly Uint8Array[]>();
  readonly #options: PipelineRunnerOptions;
  readonly #aheadMs: number;
  readonly #executor: TaskExecutor;
  readonly #sinkPartitions: SinkPartitions;

  constructor(options: PipelineRunnerOptions) {
    this.#options = options;
    this.#aheadMs = options.aheadMs ?? 0;
    const allocate = (byteLength: number): Uint8Array => new Uint8Array(byteLength);
    this.#executor = new TaskExecutor({ ...options, allocate });
    this.#sinkPartitions = new SinkPartitions(options.plan, options.partitionCounts);
  }

  run(order: TaskOrder): TaskOutcome {
    const { stage, partition, batch } = order.task;
    const task = { stage: stage as StageId, partition, batch, part: order.part };
    const result = this.#result(task, order);
    if (order.replay !== null && !order.replay.rerun) this.#executor.resume(task, result.range!);
    this.recordsLate += result.counts.recordsLate;
    // Of what runs again for others only the blocks are wanted.
    const rows =
      order.replay?.rerun === true ? [] : this.#openRows.add(task, result.sinks, order.last);
    const commits = rows.map((output): Commit => {
      const place = this.#sinkPartitions.of(output.sink, stage, partition);
      const given = { batch, rows: output.batch, watermarkMs: result.watermarkMs };
      const rows = batchToRows(output.batch);
      return { sink: output.sink, partition: place, batch, rows, output: given };
    });
    return { outputs: result.outputs, commits, range: result.range };
  }

  textOf(output: Handle): string {
    const { header, blocks } = output as ExchangeOutput;
    const texts = blocks.map((block) => (block === null ? null : String.fromCharCode(...block)));
    return canonicalJson([header, texts]);
  }

  bytesOf(output: Handle): number {
    const { blocks } = output as ExchangeOutput;
    return blocks.reduce((sum, block) => sum + (block?.length ?? 0), 0);
  }

  rangeOf(record: Handle): ChosenRange & { readonly triggerMs: number } {
    const { from, to, ended, batchTimeMs } = record as RangeRecord;
    return { from, to, ended, triggerMs: batchTimeMs - this.#aheadMs };
  }

  snapshot({ stage, partition }: Place): readonly Uint8Array[] {
    const place = { stage: stage as StageId, partition };
    const chain = this.#chains.get(`${stage}/${partition}`) ?? [];
    const kind = chain.length < chainMax ? 'delta' : 'base';
    const snapshot = this.#executor.snapshot(place, kind);
    const next = snapshot.kind === 'base' ? [snapshot.bytes] : [...chain, snapshot.bytes];
    this.#chains.set(`${stage}/${partition}`, next);
    return next;
  }

  restore(
    { stage, partition }: Place,
    { snapshot, behind }: { readonly snapshot: unknown; readonly behind: Handle | null },
  ): void {
    const place = { stage: stage as StageId, partition };
    this.#executor.forget(place);
    this.#openRows.forget(place);
    const chain = (snapshot ?? []) as readonly Uint8Array[];
    this.#chains.set(`${stage}/${partition}`, chain);
    if (chain.length > 0) this.#executor.restore(place, chain);
    if (behind !== null) this.#executor.resume(place, behind as RangeRecord);
  }

  #result(task: TaskId, order: TaskOrder): TaskResult {
    const input = this.#input(order);
    if (order.replay === null) return this.#executor.run(task, input);
    assert(input.kind === 'scan', 'only source tasks are replayed');
    const { range, before } = order.replay;
    const known = range as RangeRecord;
    const ranges = { known, before: before as RangeRecord | null };
    return this.#executor.replay(task, { chunk: input.chunk, ...ranges });
  }

  #input({ task, inputs, range, chunk: given, triggerMs }: TaskOrder): TaskInput {
    if (inputs !== null) {
      const { plan } = this.#options;
      const input = plan.stages[task.stage]?.input;
      assert(input?.kind === 'exchanges', 'only a stage behind exchanges has inputs');
      const blocks = inputs.map((handles, index) => {
        const exchange = plan.exchanges[input.exchanges[index] ?? -1];
        assert(exchange !== undefined, 'every input has an exchange');
        return blocksFor(handles, { exchange, consumer: task.partition });
      });
      return { kind: 'blocks', blocks };
    }
    assert(range !== null, 'a source task has a range');
    const chunk = given ?? sourceOfStage(this.#options, task.stage).chunk(task.partition, range);
    return { kind: 'scan', chunk, triggerMs: triggerMs + this.#aheadMs };
  }
}

/** Deltas behind a base, at most. */
const chainMax = 3;

/** The rows that a source stage reads. */
export function sourceOfStage(
  { plan, bindings }: Pick<PipelineRunnerOptions, 'plan' | 'bindings'>,
  stage: number,
): SimulatedRows {
  const input = plan.stages[stage]?.input;
  assert(input?.kind === 'scan', `stage ${stage} reads a source`);
  return simulatedSource(bindings, input.scan.source);
}

export function simulatedSource(
  bindings: PipelineRunnerOptions['bindings'],
  id: SourceId,
): SimulatedRows {
  const source = bindings.sources.get(id);
  assert(source instanceof SimulatedRows, 'simulated pipelines read simulated rows');
  return source;
}

function blocksFor(
  handles: readonly InputHandle[],
  to: { readonly exchange: Exchange; readonly consumer: number },
): readonly InputBlock[] {
  // Only task outputs are ever handed over, and opaquely.
  return handles.map(({ producer, output }) =>
    inputBlock(output as ExchangeOutput, { ...to, producer }),
  );
}
