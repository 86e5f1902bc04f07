// What the builder builds: a DAG of immutable nodes, one an operator, each with the mistakes made
// in its call. Identity counts: a node that several streams share is one operator of the plan.

import type { CallSite } from '../base/call-site.ts';
import type { Expr } from '../expr/expr.ts';
import type { UserFunction } from '../plan/bindings.ts';
import type { AggregateCall, Column, WatermarkSpec, WindowSpec } from '../plan/logical-plan.ts';
import type { Sink } from '../ports/sink.ts';
import type { Source } from '../ports/source.ts';
import type { Field } from '../schema/data-type.ts';
import type { Mistake } from '../schema/mistake.ts';
import type { Table } from './table.ts';

export type StreamNode = {
  /** The user's own name for the operator. */
  readonly name: string | null;
  readonly site: CallSite;
  readonly fields: readonly Field[];
  readonly time: TimeAttribute;
  readonly mistakes: readonly Mistake[];
  /**
   * A mistake here or upstream left the columns in doubt: what seems wrong about columns further
   * down may only follow from it and is not reported.
   */
  readonly uncertain: boolean;
} & NodeKind;

/** Where a row's event time is; `column: null`: nowhere, and why. */
export type TimeAttribute =
  | {
      readonly column: string;
      /** Event time is the column's value minus this: a window's row belongs before its end. */
      readonly minusMs: number;
    }
  | { readonly column: null; readonly hint: string };

export type NodeKind =
  | {
      readonly kind: 'source';
      readonly source: Source;
      readonly watermark: WatermarkSpec;
      readonly onError: 'fail' | 'skip' | 'dead-letter';
      readonly deadLetter: Sink | null;
    }
  | { readonly kind: 'filter'; readonly input: StreamNode; readonly predicate: Expr }
  | { readonly kind: 'project'; readonly input: StreamNode; readonly columns: readonly Column[] }
  | { readonly kind: 'map' | 'flat-map'; readonly input: StreamNode; readonly fn: RowFunction }
  | { readonly kind: 'union'; readonly inputs: readonly StreamNode[] }
  | {
      readonly kind: 'join';
      readonly input: StreamNode;
      readonly table: Table;
      readonly how: 'inner' | 'left';
      readonly keys: readonly { readonly left: Expr; readonly right: string }[];
      readonly columns: readonly { readonly name: string; readonly column: string }[];
    }
  | {
      readonly kind: 'broadcast-join';
      readonly input: StreamNode;
      readonly right: StreamNode;
      readonly how: 'inner' | 'left';
      readonly keys: readonly { readonly left: Expr; readonly right: string }[];
      readonly columns: readonly { readonly name: string; readonly column: string }[];
    }
  | AggregateNode
  | { readonly kind: 'sink'; readonly input: StreamNode; readonly sink: Sink };

export type AggregateNode = {
  readonly kind: 'aggregate';
  readonly input: StreamNode;
  readonly keys: readonly Column[];
  readonly window: WindowSpec;
  readonly aggregates: readonly NamedAggregate[];
  readonly timeExpr: Expr | null;
  readonly allowedLatenessMs: number;
  readonly late: Sink | null;
  readonly emit: 'close' | 'update';
  /** Null: the planner's choice. */
  readonly fanIn: number | null;
};

/** A call whose custom function has no id before the plan is made. */
export type NamedAggregate = {
  readonly call: AggregateCall;
  readonly custom: UserFunction | null;
};

export type SinkNode = Extract<StreamNode, { readonly kind: 'sink' }>;

export function inputsOf(node: StreamNode): readonly StreamNode[] {
  if (node.kind === 'source') return [];
  if (node.kind === 'broadcast-join') return [node.input, node.right];
  return node.kind === 'union' ? node.inputs : [node.input];
}

/** A user's function of a whole row that gives rows. */
export type RowFunction = Extract<UserFunction, { kind: 'map' | 'flat-map' }>;
