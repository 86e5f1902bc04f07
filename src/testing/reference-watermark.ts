// Watermarks of the reference. A source partition's is the greatest event time seen minus the
// delay, before any filter; an aggregate's input watermark is the least of its producers (source
// partitions and aggregates upstream) that are neither idle nor at their end, and never goes back.
// When all of those that have not ended are idle it stays, and the aggregate is idle as a producer;
// when all have ended it is +Infinity. So an ended partition never lets an idle one's rows be late.

import { assert } from '../base/assert.ts';
import type { LogicalOperator, LogicalPlan, OperatorId } from '../plan/logical-plan.ts';
import type { RowObject } from '../schema/data-type.ts';

type Producer = { readonly watermarkMs: number; readonly idle: boolean };

type SourcePartition = {
  watermarkMs: number;
  /** Batch time of the last micro-batch with a record, or of the first one. */
  activeMs: number;
};

export class ReferenceWatermarks {
  readonly #plan: LogicalPlan;
  readonly #partitions = new Map<OperatorId, SourcePartition[]>();
  /** Input watermark of each aggregate so far. */
  readonly #aggregates = new Map<OperatorId, number>();
  /** Of the present micro-batch: what an operator's consumers have as producers. */
  #producers = new Map<OperatorId, readonly Producer[]>();

  constructor(plan: LogicalPlan) {
    this.#plan = plan;
  }

  startBatch(): void {
    this.#producers = new Map();
  }

  addSource(
    id: OperatorId,
    inputs: readonly { readonly rows: readonly RowObject[]; readonly ended: boolean }[],
    batchTimeMs: number,
  ): void {
    const operator = this.#operator(id);
    assert(operator.kind === 'source', `${id} is no source`);
    const spec = this.#plan.sources.find((source) => source.id === operator.source);
    assert(spec !== undefined, `the plan does not list the source ${operator.source}`);
    const { timeColumn, watermark } = spec;
    const partitions =
      this.#partitions.get(id) ??
      inputs.map(() => ({ watermarkMs: -Infinity, activeMs: batchTimeMs }));
    assert(partitions.length === inputs.length, `the source ${id} changed its partitions`);
    this.#partitions.set(id, partitions);
    const producers = inputs.map(({ rows, ended }, index): Producer => {
      const partition = partitions[index];
      for (const row of rows) {
        const time = timeColumn === null ? null : row[timeColumn];
        if (typeof time !== 'number') continue;
        partition.watermarkMs = Math.max(partition.watermarkMs, time - watermark.delayMs);
      }
      if (rows.length > 0) partition.activeMs = batchTimeMs;
      if (ended) partition.watermarkMs = Infinity;
      const quietMs = batchTimeMs - partition.activeMs;
      const idle = watermark.idleMs !== null && quietMs >= watermark.idleMs;
      return { watermarkMs: partition.watermarkMs, idle };
    });
    this.#producers.set(id, producers);
  }

  /** The aggregate's input watermark before and after the present micro-batch. */
  addAggregate(operator: Extract<LogicalOperator, { kind: 'aggregate' }>): {
    readonly beforeMs: number;
    readonly afterMs: number;
  } {
    const beforeMs = this.#aggregates.get(operator.id) ?? -Infinity;
    const running = this.#producersOf(operator.input).filter(
      ({ watermarkMs }) => watermarkMs < Infinity,
    );
    const awake = running.filter(({ idle }) => !idle);
    const afterMs = nextWatermark(beforeMs, running, awake);
    this.#aggregates.set(operator.id, afterMs);
    const idle = running.length > 0 && awake.length === 0;
    this.#producers.set(operator.id, [{ watermarkMs: afterMs, idle }]);
    return { beforeMs, afterMs };
  }

  #producersOf(id: OperatorId): readonly Producer[] {
    const known = this.#producers.get(id);
    if (known !== undefined) return known;
    const operator = this.#operator(id);
    assert(operator.kind !== 'source', `the source ${id} has not run`);
    if (operator.kind !== 'union') return this.#producersOf(operator.input);
    return operator.inputs.flatMap((input) => this.#producersOf(input));
  }

  #operator(id: OperatorId): LogicalOperator {
    const operator = this.#plan.operators.find((candidate) => candidate.id === id);
    assert(operator !== undefined, `the plan has no operator ${id}`);
    return operator;
  }
}

function nextWatermark(
  beforeMs: number,
  running: readonly Producer[],
  awake: readonly Producer[],
): number {
  if (running.length === 0) return Infinity;
  if (awake.length === 0) return beforeMs;
  return Math.max(beforeMs, Math.min(...awake.map(({ watermarkMs }) => watermarkMs)));
}
