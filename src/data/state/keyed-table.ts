// The groups of an aggregate as a fresh table: what every kind of keyed state starts from.

import type { FunctionId } from '../../expr/expr.ts';
import type { UserFunction } from '../../plan/bindings.ts';
import type { AggregateSpec } from '../../plan/logical-plan.ts';
import type { Field, RowSchema } from '../../schema/data-type.ts';
import { createAccumulator } from './accumulator.ts';
import type { Accumulator } from './accumulator.ts';
import { GroupTable } from './group-table.ts';

export type KeyedStateOptions = {
  readonly aggregate: AggregateSpec;
  /** Rows that leave the aggregate. */
  readonly schema: RowSchema;
  readonly functions: ReadonlyMap<FunctionId, UserFunction>;
};

export function keyFieldsOf(aggregate: Pick<AggregateSpec, 'keys'>): Field[] {
  return aggregate.keys.map(({ name, expr }) => {
    return { name, path: [name], type: expr.type, nullable: expr.nullable };
  });
}

/** A fresh table of groups by key. */
export function keyedTable({ aggregate, functions }: KeyedStateOptions): GroupTable {
  return new GroupTable(keyFieldsOf(aggregate), accumulatorsOf(aggregate, functions));
}

export function accumulatorsOf(
  aggregate: AggregateSpec,
  functions: ReadonlyMap<FunctionId, UserFunction>,
): Accumulator[] {
  return aggregate.aggregates.map((call) => createAccumulator(call, functions));
}
