// What every worker of a job must agree upon, as plain data that crosses threads and processes.

import type { PlanShape } from '../../control/driver/placement.ts';
import type { SinkId, SourceId } from '../../plan/logical-plan.ts';
import type { PhysicalPlan, StageOperator } from '../../plan/physical-plan.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import type { ClockBase } from './run-clock.ts';

export type JobConfig = {
  readonly planHash: string;
  /** Keyed partitions, as the planner was told. */
  readonly partitions: number;
  /** Partitions of each stage. */
  readonly partitionCounts: readonly number[];
  /** What each source's `layout` said. */
  readonly layouts: Readonly<Record<SourceId, JsonValue>>;
  readonly workerCount: number;
  /** When the run started, epoch ms. */
  readonly startMs: number;
  readonly clockBase: ClockBase;
  /** About how much one source task reads at most, bytes. */
  readonly bytesPerTask: number;
};

/** The control plane's view of a physical plan. */
export function planShape(plan: PhysicalPlan, partitionCounts: readonly number[]): PlanShape {
  return {
    planHash: plan.hash,
    exchanges: plan.exchanges.map(({ from, to }) => ({ from, to })),
    stages: plan.stages.map((stage) => ({
      source: stage.input.kind === 'scan',
      inputs: stage.input.kind === 'scan' ? [] : stage.input.exchanges,
      outputs: stage.outputs,
      partitionCount: partitionCounts[stage.id]!,
    })),
  };
}

/**
 * The sink partition that a stage's partition writes to. A sink may be fed by several stages (a
 * union, late rows): then each stage has a range of its own, in order of stages.
 */
export class SinkPartitions {
  readonly #firsts = new Map<string, number>();
  readonly #counts = new Map<SinkId, number>();

  constructor(plan: PhysicalPlan, partitionCounts: readonly number[]) {
    for (const stage of plan.stages) {
      const sinks = new Set<SinkId>();
      for (const operator of stage.root) collectSinks(operator, sinks);
      if (stage.input.kind === 'scan') {
        const { source } = stage.input.scan;
        const spec = plan.sources.find((other) => other.id === source);
        if (spec !== undefined && spec.deadLetter !== null) sinks.add(spec.deadLetter);
      }
      for (const sink of sinks) {
        const first = this.#counts.get(sink) ?? 0;
        this.#firsts.set(`${sink}@${stage.id}`, first);
        this.#counts.set(sink, first + partitionCounts[stage.id]!);
      }
    }
  }

  count(sink: SinkId): number {
    return this.#counts.get(sink) ?? 0;
  }

  of(sink: SinkId, stage: number, partition: number): number {
    return (this.#firsts.get(`${sink}@${stage}`) ?? 0) + partition;
  }
}

function collectSinks(operator: StageOperator, sinks: Set<SinkId>): void {
  if (operator.kind === 'to-sink') sinks.add(operator.sink);
  if (operator.kind === 'aggregate' && operator.aggregate.late !== null) {
    sinks.add(operator.aggregate.late);
  }
  for (const next of operator.next) collectSinks(next, sinks);
}
