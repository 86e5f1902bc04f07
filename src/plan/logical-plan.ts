// The logical plan: the DAG of operators a user wrote, as immutable data. It names functions,
// sources, sinks and tables by id; the live objects are in `Bindings`, which never cross a thread
// or process: every worker builds its own by running the job's code and compares plan hashes.

import type { Expr, FunctionId } from '../expr/expr.ts';
import type { DataType, RowSchema } from '../schema/data-type.ts';

export type OperatorId = string & { readonly brand: 'OperatorId' };
export type SourceId = string & { readonly brand: 'SourceId' };
export type SinkId = string & { readonly brand: 'SinkId' };
export type TableId = string & { readonly brand: 'TableId' };

export type LogicalPlan = {
  readonly name: string;
  /** Inputs before their consumers. Ids are stable: derived from kind, name and position. */
  readonly operators: readonly LogicalOperator[];
  readonly sources: readonly SourceSpec[];
  readonly sinks: readonly SinkSpec[];
  readonly tables: readonly TableSpec[];
  /** Text of each user function, so that the plan hash changes when the code does. */
  readonly functions: readonly FunctionSpec[];
};

export type LogicalOperator = {
  readonly id: OperatorId;
  /** The rows that leave the operator. */
  readonly schema: RowSchema;
  /** The event-time column of `schema`, or null when rows have no event time. */
  readonly timeColumn: string | null;
} & LogicalKind;

export type LogicalKind =
  | { readonly kind: 'source'; readonly source: SourceId }
  | { readonly kind: 'filter'; readonly input: OperatorId; readonly predicate: Expr }
  | { readonly kind: 'project'; readonly input: OperatorId; readonly columns: readonly Column[] }
  | ({ readonly kind: 'map' } & RowFunction)
  | ({ readonly kind: 'flat-map' } & RowFunction)
  | { readonly kind: 'union'; readonly inputs: readonly OperatorId[] }
  | {
      readonly kind: 'join';
      readonly input: OperatorId;
      readonly table: TableId;
      readonly how: 'inner' | 'left';
      /** Equal pairs; a null key matches nothing. Duplicate table keys give several rows. */
      readonly keys: readonly { readonly left: Expr; readonly right: string }[];
      /** Table columns that are added, `name` as they are called afterwards. */
      readonly columns: readonly { readonly name: string; readonly column: string }[];
    }
  | {
      /**
       * Rows of `input` with the latest row of the same key that `right` has given, micro-batch by
       * micro-batch: those of one meet what was given through it. Latest by order of arrival.
       */
      readonly kind: 'broadcast-join';
      readonly input: OperatorId;
      readonly right: OperatorId;
      readonly how: 'inner' | 'left';
      /** Equal pairs; a null key matches nothing. */
      readonly keys: readonly { readonly left: Expr; readonly right: string }[];
      /** Columns of `right` that are added, `name` as they are called afterwards. */
      readonly columns: readonly { readonly name: string; readonly column: string }[];
    }
  | ({
      readonly kind: 'aggregate';
      readonly input: OperatorId;
      /** Without keys: partials that one task merges at most; missing: the planner's choice. */
      readonly fanIn?: number;
    } & AggregateSpec)
  | { readonly kind: 'sink'; readonly input: OperatorId; readonly sink: SinkId };

export type RowFunction = {
  readonly input: OperatorId;
  readonly fn: FunctionId;
  /** Input columns that the function may read; missing: all of them. */
  readonly columns?: readonly string[];
};

export type Column = { readonly name: string; readonly expr: Expr };

/** Output: keys, then windowStart and windowEnd (timestamps; not for `global`), then aggregates. */
export type AggregateSpec = {
  readonly keys: readonly Column[];
  readonly window: WindowSpec;
  readonly aggregates: readonly AggregateCall[];
  /** Event time of the input rows; null only for a global window. */
  readonly time: Expr | null;
  /** A window stays open this long after the watermark passed its end. */
  readonly allowedLatenessMs: number;
  /** Where rows go that came after their last window was closed; null: counted only. */
  readonly late: SinkId | null;
  /** `close`: once, when the window closes. `update`: changed rows after every micro-batch. */
  readonly emit: 'close' | 'update';
};

/**
 * Windows of event time, `[start, end)`. `global` never closes before the end of input. A session
 * of one key grows while the next row is less than `gapMs` from it; its end is last row + gapMs.
 */
export type WindowSpec =
  | { readonly kind: 'tumbling'; readonly sizeMs: number; readonly offsetMs: number }
  | {
      readonly kind: 'hopping';
      readonly sizeMs: number;
      readonly hopMs: number;
      readonly offsetMs: number;
    }
  | { readonly kind: 'session'; readonly gapMs: number }
  | { readonly kind: 'global' };

export type AggregateFunction =
  | 'count'
  | 'sum'
  | 'min'
  | 'max'
  | 'avg'
  | 'first'
  | 'last'
  | 'count-distinct'
  | 'approx-count-distinct'
  | 'top-k'
  | 'custom';

/**
 * One aggregate. Null arguments are skipped; without any value the result is null (count: 0).
 * `count` with no argument counts rows. `first`/`last` go by event time, ties by arrival. `top-k`:
 * args are [value, by]; the `k` values with the greatest `by`, ties by arrival, as a json list.
 * Arrival is the order of micro-batches, then of source partitions, then of rows; where a hopping
 * or session window is merged from parts, the earlier part's rows came first.
 * `custom`: fn names a `CustomAggregate` in the bindings, which gets whole rows; the planner makes
 * the columns of those rows its `args`, so a kernel builds the row of exactly these.
 */
export type AggregateCall = {
  readonly name: string;
  readonly fn: AggregateFunction;
  readonly args: readonly Expr[];
  readonly k: number | null;
  readonly custom: FunctionId | null;
  readonly type: DataType;
  readonly nullable: boolean;
};

export type SourceSpec = {
  readonly id: SourceId;
  readonly name: string;
  /** Connector kind and what it reads, for `explain` and errors: `files data/*.jsonl`. */
  readonly description: string;
  readonly schema: RowSchema;
  readonly format: SourceFormat;
  readonly timeColumn: string | null;
  readonly watermark: WatermarkSpec;
  readonly onError: 'fail' | 'skip' | 'dead-letter';
  readonly deadLetter: SinkId | null;
};

/** `rows`: the connector hands over plain objects; the others: bytes of whole records. */
export type SourceFormat =
  | { readonly kind: 'json-lines' }
  | {
      readonly kind: 'csv';
      readonly delimiter: string;
      /** Column names in file order; null: every file's first line is the header. */
      readonly header: readonly string[] | null;
    }
  | { readonly kind: 'rows' };

export type WatermarkSpec = {
  /** The watermark of a partition is its greatest event time minus this. */
  readonly delayMs: number;
  /** A partition without records for this long no longer holds the watermark back; null: never. */
  readonly idleMs: number | null;
  /** An event time further than this ahead of the trigger time makes a bad record. */
  readonly aheadMsMax: number;
};

export type SinkSpec = {
  readonly id: SinkId;
  readonly name: string;
  readonly description: string;
  /** Rows that arrive; dead letters and late rows have schemas of their own. */
  readonly schema: RowSchema;
  /** 1: all rows meet in one sink partition; null: one for each partition of the last stage. */
  readonly partitions: 1 | null;
};

export type TableSpec = {
  readonly id: TableId;
  readonly name: string;
  readonly schema: RowSchema;
  readonly rowCount: number;
  /** Hash of the rows, part of the plan hash. */
  readonly contentHash: string;
};

export type FunctionSpec = { readonly id: FunctionId; readonly source: string };
