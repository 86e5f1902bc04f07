// What of a plan bears on its state, as plain data for a checkpoint: a later run with another plan
// is compared with it, operator by operator, and told what differs.

import { canonicalJson } from '../base/canonical-json.ts';
import { printExpr } from '../expr/print.ts';
import type { DataType } from '../schema/data-type.ts';
import type { AggregateSpec } from './logical-plan.ts';
import type { PhysicalPlan, StageOperator } from './physical-plan.ts';

export type StageStructure = {
  readonly stage: number;
  /** Null: the stage's input comes over exchanges. */
  readonly source: string | null;
  readonly partitions: number;
  /** In the order of the rows, each before those that it feeds. */
  readonly operators: readonly OperatorStructure[];
};

export type OperatorStructure = {
  readonly id: string;
  readonly kind: string;
  /** Null: the operator keeps nothing from one micro-batch to the next. */
  readonly state: StateStructure | null;
};

/** Texts for comparison and for people; equal texts mean equal meaning. */
export type StateStructure = {
  readonly keys: readonly string[];
  readonly window: string;
  readonly aggregates: readonly string[];
  readonly input: 'rows' | 'partials';
};

export function planStructure(
  plan: PhysicalPlan,
  partitionCounts: readonly number[],
): readonly StageStructure[] {
  return plan.stages.map(({ id, input, root }) => ({
    stage: id,
    source: input.kind === 'scan' ? input.scan.source : null,
    partitions: partitionCounts[id]!,
    operators: root.flatMap(withConsumers),
  }));
}

function withConsumers(operator: StageOperator): readonly OperatorStructure[] {
  const { id, kind } = operator;
  const state =
    operator.kind === 'aggregate' ? stateStructure(operator.aggregate, operator.input) : null;
  return [{ id, kind, state }, ...operator.next.flatMap(withConsumers)];
}

function stateStructure(aggregate: AggregateSpec, input: 'rows' | 'partials'): StateStructure {
  return {
    keys: aggregate.keys.map(({ name, expr }) => `${name} = ${printExpr(expr)}`),
    window: canonicalJson(aggregate.window),
    aggregates: aggregate.aggregates.map(({ name, fn, args, k, custom, type, nullable }) => {
      const inputs = [...args.map(printExpr), ...(k === null ? [] : [`k ${k}`])].join(', ');
      const by = custom === null ? '' : ` by ${custom}`;
      return `${name} = ${fn}(${inputs})${by}: ${typeText(type)}${nullable ? '?' : ''}`;
    }),
    input,
  };
}

function typeText(type: DataType): string {
  return type.kind === 'timestamp' ? `timestamp ${type.encoding}` : type.kind;
}
