// What an aggregate keeps from one micro-batch to the next, in the words of whoever wrote it: keys,
// window and aggregates over the columns that come in, before the planner has moved anything. So it
// stays the same when only what stands around it changes. Snapshots hold it, and so do checkpoints.

import { assert } from '../base/assert.ts';
import type { Expr } from '../expr/expr.ts';
import { printExpr } from '../expr/print.ts';
import { rewrite } from '../expr/walk.ts';
import type { DataType } from '../schema/data-type.ts';
import type {
  AggregateCall,
  AggregateSpec,
  LogicalOperator,
  LogicalPlan,
  OperatorId,
  WindowSpec,
} from './logical-plan.ts';

export type StateSpec = {
  readonly operator: OperatorId;
  readonly aggregate: AggregateDescription;
  /** The event time that windows go by, as people read it; null: a global window. */
  readonly time: string | null;
};

export type AggregateDescription = {
  readonly keys: readonly ColumnDescription[];
  readonly window: WindowSpec;
  readonly allowedLatenessMs: number;
  readonly aggregates: readonly CallDescription[];
};

export type ColumnDescription = {
  readonly name: string;
  /** As people read it, over the columns that come into the aggregate. */
  readonly expr: string;
  readonly type: DataType;
  readonly nullable: boolean;
};

export type CallDescription = {
  readonly name: string;
  readonly fn: AggregateCall['fn'];
  readonly args: readonly Omit<ColumnDescription, 'name'>[];
  readonly k: number | null;
  readonly type: DataType;
  readonly nullable: boolean;
};

type Aggregate = Extract<LogicalOperator, { kind: 'aggregate' }>;

/** `optimized`: rules have added up how long each aggregate waits for late rows. */
export function stateSpecs(written: LogicalPlan, optimized: LogicalPlan): readonly StateSpec[] {
  return aggregatesOf(written).map((aggregate) => {
    const { id, time } = aggregate;
    const planned = aggregatesOf(optimized).find((other) => other.id === id);
    assert(planned !== undefined, `the planner keeps the aggregate ${id}`);
    const { allowedLatenessMs } = planned;
    const described = describeAggregate({ ...aggregate, allowedLatenessMs });
    return {
      operator: id,
      aggregate: described,
      time: time === null ? null : textOf(time),
    };
  });
}

function aggregatesOf({ operators }: LogicalPlan): readonly Aggregate[] {
  return operators.filter((operator) => operator.kind === 'aggregate');
}

/** A user's function is what the user makes of it: its text may change. */
function textOf(expr: Expr): string {
  return printExpr(
    rewrite(expr, (node) => {
      if (node.kind !== 'lambda') return node;
      const { type, nullable } = node;
      return { kind: 'column', name: 'function', type, nullable };
    }),
  );
}

export function describeAggregate(
  spec: Pick<AggregateSpec, 'keys' | 'window' | 'allowedLatenessMs' | 'aggregates'>,
): AggregateDescription {
  return {
    keys: spec.keys.map(({ name, expr }) => {
      return { name, expr: textOf(expr), type: expr.type, nullable: expr.nullable };
    }),
    window: spec.window,
    allowedLatenessMs: spec.allowedLatenessMs,
    aggregates: spec.aggregates.map(({ name, fn, args, k, type, nullable }) => {
      const described = args.map((arg) => {
        return { expr: textOf(arg), type: arg.type, nullable: arg.nullable };
      });
      return { name, fn, args: described, k, type, nullable };
    }),
  };
}
