// Carries out the tasks of a real pipeline by the real data plane, as a worker's shell does.

import { assert } from '../base/assert.ts';
import { canonicalJson } from '../base/canonical-json.ts';
import type { Handle } from '../control/protocol/messages.ts';
import { batchToRows } from '../data/columnar/rows.ts';
import type { InputHandle } from '../control/worker/events.ts';
import { OpenRows } from '../data/task/open-rows.ts';
import { TaskExecutor } from '../data/task/task-executor.ts';
import { inputBlock } from '../data/task/task.ts';
import type { ExchangeOutput, InputBlock, RangeRecord, TaskInput } from '../data/task/task.ts';
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
};

export class PipelineRunner implements TaskRunner {
  recordsLate = 0;
  readonly #openRows = new OpenRows();
  readonly #options: PipelineRunnerOptions;
  readonly #executor: TaskExecutor;
  readonly #sinkPartitions: SinkPartitions;

  constructor(options: PipelineRunnerOptions) {
    this.#options = options;
    const allocate = (byteLength: number): Uint8Array => new Uint8Array(byteLength);
    this.#executor = new TaskExecutor({ ...options, allocate });
    this.#sinkPartitions = new SinkPartitions(options.plan, options.partitionCounts);
  }

  run(order: TaskOrder): TaskOutcome {
    const { stage, partition, batch } = order.task;
    const task = { stage: stage as StageId, partition, batch, part: order.part };
    const result = this.#executor.run(task, this.#input(order));
    this.recordsLate += result.counts.recordsLate;
    const commits = this.#openRows.add(task, result.sinks, order.last).map((output): Commit => {
      const rows = batchToRows(output.batch);
      const place = this.#sinkPartitions.of(output.sink, stage, partition);
      return { sink: output.sink, partition: place, batch, rows };
    });
    return { outputs: result.outputs, commits, range: result.range };
  }

  textOf(output: Handle): string {
    const { header, blocks } = output as ExchangeOutput;
    const texts = blocks.map((block) => (block === null ? null : String.fromCharCode(...block)));
    return canonicalJson([header, texts]);
  }

  rangeOf(record: Handle): ChosenRange & { readonly triggerMs: number } {
    const { from, to, ended, batchTimeMs } = record as RangeRecord;
    return { from, to, ended, triggerMs: batchTimeMs };
  }

  snapshot(): unknown {
    throw new Error('not yet');
  }

  restore(): void {
    throw new Error('not yet');
  }

  #input({ task, inputs, range, triggerMs }: TaskOrder): TaskInput {
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
    const source = sourceOfStage(this.#options, task.stage);
    return { kind: 'scan', chunk: source.chunk(task.partition, range), triggerMs };
  }
}

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
