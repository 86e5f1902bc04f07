// The physical plan: stages cut at exchanges, as immutable data. A stage is one generated kernel; a
// task runs it for one partition and one micro-batch. Inside a stage, operators form a tree rooted
// at the stage's input; `next` lists the consumers of an operator's rows.

import type { Expr, FunctionId } from '../expr/expr.ts';
import type { Field, RowSchema } from '../schema/data-type.ts';
import type {
  AggregateSpec,
  Column,
  FunctionSpec,
  OperatorId,
  SinkId,
  SinkSpec,
  SourceId,
  SourceSpec,
  TableId,
  TableSpec,
} from './logical-plan.ts';
import type { StateSpec } from './state-spec.ts';

export type StageId = number & { readonly brand: 'StageId' };
export type ExchangeId = number & { readonly brand: 'ExchangeId' };

export type PhysicalPlan = {
  readonly name: string;
  /** Producers before consumers; `stages[i].id === i`. */
  readonly stages: readonly Stage[];
  /** `exchanges[i].id === i`. */
  readonly exchanges: readonly Exchange[];
  readonly sources: readonly SourceSpec[];
  readonly sinks: readonly SinkSpec[];
  readonly tables: readonly TableSpec[];
  readonly functions: readonly FunctionSpec[];
  /** Hash of everything above, hex; equal hashes mean equal meaning. */
  readonly hash: string;
  /** What the aggregates keep, in the user's words. */
  readonly state: readonly StateSpec[];
};

export type Stage = {
  readonly id: StageId;
  readonly input: StageInput;
  /** Partitions of the stage: fixed by the plan, or known once the source's are counted. */
  readonly partitions: PartitionCount;
  readonly root: readonly StageOperator[];
  /** Exchanges that leave the stage, in order of `ExchangeId`. */
  readonly outputs: readonly ExchangeId[];
};

export type PartitionCount =
  | { readonly kind: 'source'; readonly source: SourceId }
  | { readonly kind: 'fixed'; readonly count: number }
  | { readonly kind: 'largest'; readonly of: readonly PartitionCount[] };

export type StageInput =
  | { readonly kind: 'scan'; readonly scan: ScanInput }
  | {
      /** All exchanges that meet in the stage; every one must be complete before a task runs. */
      readonly kind: 'exchanges';
      readonly exchanges: readonly ExchangeId[];
    };

export type ScanInput = {
  readonly source: SourceId;
  /** Fields that are read, after projection push-down; the stage's input schema. */
  readonly fields: readonly Field[];
  /** The event-time field's name, read even when nothing else needs it. */
  readonly timeColumn: string | null;
  /** String equalities pushed into the scanner: all must hold. */
  readonly equals: readonly { readonly column: string; readonly value: string }[];
};

export type Exchange = {
  readonly id: ExchangeId;
  readonly from: StageId;
  readonly to: StageId;
  /** Columns of the blocks. */
  readonly schema: RowSchema;
  readonly carries: 'rows' | 'partials';
  readonly partitioning: Partitioning;
};

export type Partitioning =
  | { readonly kind: 'hash'; readonly keys: readonly string[] }
  | { readonly kind: 'single' }
  | {
      /**
       * Consumer partition c takes the producers [c · fanIn, (c + 1) · fanIn) and waits for no
       * other: a level of a tree; with 1 rows stay in their partition.
       */
      readonly kind: 'fan-in';
      readonly fanIn: number;
    }
  /** Every consumer partition takes every row. */
  | { readonly kind: 'broadcast' };

/** `id` is the logical operator it came from. `schema`: the rows that leave it. */
export type StageOperator = {
  readonly id: OperatorId;
  readonly schema: RowSchema;
  readonly next: readonly StageOperator[];
} & StageOperatorKind;

export type StageFunction = {
  readonly fn: FunctionId;
  /** Columns that the function may read; missing: all of them. */
  readonly columns?: readonly string[];
};

export type StageOperatorKind =
  | { readonly kind: 'filter'; readonly predicate: Expr }
  | { readonly kind: 'project'; readonly columns: readonly Column[] }
  | ({ readonly kind: 'map' } & StageFunction)
  | ({ readonly kind: 'flat-map' } & StageFunction)
  | {
      readonly kind: 'join';
      readonly table: TableId;
      readonly how: 'inner' | 'left';
      readonly keys: readonly { readonly left: Expr; readonly right: string }[];
      readonly columns: readonly { readonly name: string; readonly column: string }[];
    }
  | {
      /**
       * Root of a stage: keeps the latest row of each key that `broadcast` exchanges bring, and
       * joins the rows of the other exchanges with it.
       */
      readonly kind: 'broadcast-join';
      readonly how: 'inner' | 'left';
      readonly keys: readonly { readonly left: Expr; readonly right: string }[];
      readonly columns: readonly { readonly name: string; readonly column: string }[];
      /** Schema of the exchanges whose rows are joined. */
      readonly inputSchema: RowSchema;
      /** Schema of the broadcast exchanges. */
      readonly tableSchema: RowSchema;
    }
  | {
      /** Map-side half of an aggregate: this micro-batch's table of partials, then `exchange`. */
      readonly kind: 'partial-aggregate';
      readonly aggregate: AggregateSpec;
      readonly exchange: ExchangeId;
    }
  | {
      /** Root of a level of a tree: merges this micro-batch's partials of its producers. */
      readonly kind: 'merge-partials';
      readonly aggregate: AggregateSpec;
      readonly exchange: ExchangeId;
    }
  | {
      /** Root of a stage with keyed state: folds partials or rows, emits closed windows. */
      readonly kind: 'aggregate';
      readonly aggregate: AggregateSpec;
      /** What the input exchanges carry; the same for all of them. */
      readonly input: 'rows' | 'partials';
      /** Schema of the input exchanges. */
      readonly inputSchema: RowSchema;
      /** Schema of the late rows, when `aggregate.late` is set (input is `rows` then). */
      readonly lateSchema: RowSchema | null;
      /** Partials that one task merges at most; null: they are merged here, however many. */
      readonly fanIn: number | null;
    }
  | { readonly kind: 'to-exchange'; readonly exchange: ExchangeId }
  | { readonly kind: 'to-sink'; readonly sink: SinkId };
