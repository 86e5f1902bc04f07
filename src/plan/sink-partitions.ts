// Which partition of a sink a task writes to.

import type { SinkId } from './logical-plan.ts';
import type { PhysicalPlan, Stage, StageOperator } from './physical-plan.ts';

/**
 * The sink partition that a stage's partition writes to. A sink may be fed by several stages (a
 * union, late rows): then each stage has a range of its own, in order of stages.
 */
export class SinkPartitions {
  readonly #firsts = new Map<string, number>();
  readonly #feeding = new Set<number>();

  constructor(plan: PhysicalPlan, partitionCounts: readonly number[]) {
    const counts = new Map<SinkId, number>();
    for (const stage of plan.stages) {
      const sinks = sinksFedBy(plan, stage);
      if (sinks.size > 0) this.#feeding.add(stage.id);
      for (const sink of sinks) {
        const first = counts.get(sink) ?? 0;
        this.#firsts.set(`${sink}@${stage.id}`, first);
        counts.set(sink, first + partitionCounts[stage.id]!);
      }
    }
  }

  /** Tasks of the stage may have rows for a sink. */
  feeds(stage: number): boolean {
    return this.#feeding.has(stage);
  }

  of(sink: SinkId, stage: number, partition: number): number {
    return (this.#firsts.get(`${sink}@${stage}`) ?? 0) + partition;
  }
}

/** The sinks that the stage's tasks may have rows for, side outputs too. */
export function sinksFedBy(plan: PhysicalPlan, stage: Stage): ReadonlySet<SinkId> {
  const sinks = new Set<SinkId>();
  for (const operator of stage.root) collectSinks(operator, sinks);
  if (stage.input.kind === 'scan') {
    const { source } = stage.input.scan;
    const spec = plan.sources.find((other) => other.id === source);
    if (spec !== undefined && spec.deadLetter !== null) sinks.add(spec.deadLetter);
  }
  return sinks;
}

function collectSinks(operator: StageOperator, sinks: Set<SinkId>): void {
  if (operator.kind === 'to-sink') sinks.add(operator.sink);
  if (operator.kind === 'aggregate' && operator.aggregate.late !== null) {
    sinks.add(operator.aggregate.late);
  }
  for (const next of operator.next) collectSinks(next, sinks);
}
