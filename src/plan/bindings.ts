// The live objects a plan names by id. Built with the plan by the same code on every worker.

import type { FunctionId } from '../expr/expr.ts';
import type { RowObject, RowValue } from '../schema/data-type.ts';
import type { SinkId, SourceId, TableId } from './logical-plan.ts';

/** `Source` and `Sink` are the ports' types; plan code never looks into them. */
export type Bindings<Source, Sink> = {
  readonly sources: ReadonlyMap<SourceId, Source>;
  readonly sinks: ReadonlyMap<SinkId, Sink>;
  readonly tables: ReadonlyMap<TableId, readonly RowObject[]>;
  readonly functions: ReadonlyMap<FunctionId, UserFunction>;
};

/** What operators may know beside the row. Same value on every replay of the micro-batch. */
export type OperatorContext = {
  /** The micro-batch's planned trigger time, epoch ms. Use it where you would use Date.now(). */
  readonly batchTimeMs: number;
  /** Uniform in [0, 1), seeded by micro-batch, partition and operator. */
  random(): number;
};

export type UserFunction =
  | { readonly kind: 'scalar'; readonly fn: (row: RowObject, ctx: OperatorContext) => RowValue }
  | { readonly kind: 'map'; readonly fn: (row: RowObject, ctx: OperatorContext) => RowObject }
  | {
      readonly kind: 'flat-map';
      readonly fn: (row: RowObject, ctx: OperatorContext) => Iterable<RowObject>;
    }
  | { readonly kind: 'aggregate'; readonly aggregate: CustomAggregate };

/**
 * A user's aggregate. Accumulators are JSON values, any numbers or bigints, so that they can cross
 * exchanges.
 */
export type CustomAggregate<Row = RowObject, Acc = unknown, Result = RowValue> = {
  readonly init: () => Acc;
  /** May change and return `acc`, or return a new one. */
  readonly add: (acc: Acc, row: Row) => Acc;
  /** Must be associative; `left` came first. */
  readonly merge: (left: Acc, right: Acc) => Acc;
  readonly result: (acc: Acc) => Result;
};
