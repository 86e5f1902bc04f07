// What a snapshot says of itself: whose state it is, and the structure that the state has, so that
// it can be read as data, and so that it is never taken for the state of something else. Names are
// for people and may change; expressions, types and windows may not.

import { canonicalJson } from '../../base/canonical-json.ts';
import type { Expr, FunctionId } from '../../expr/expr.ts';
import { printExpr } from '../../expr/print.ts';
import type { AggregateCall, AggregateSpec, WindowSpec } from '../../plan/logical-plan.ts';
import type { DataType } from '../../schema/data-type.ts';

export type StateDescription = {
  readonly pipeline: string;
  readonly stage: number;
  /** Id of the operator, or source, that the stage starts with. */
  readonly operator: string;
  /** By input exchange: partitions of the stage behind it. */
  readonly producers: readonly number[];
  /** The keyed state; null where there is none. */
  readonly aggregate: AggregateDescription | null;
  /** The rows that were broadcast; absent where none are. */
  readonly broadcast?: BroadcastDescription;
};

export type BroadcastDescription = {
  readonly columns: readonly Omit<ColumnDescription, 'expr'>[];
  /** Names of columns: of equal ones the latest row is kept. */
  readonly keys: readonly string[];
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

/** `resolve`: what a column that the planner made was computed from. */
export function describeAggregate(
  spec: AggregateSpec,
  resolve: (expr: Expr) => Expr,
): AggregateDescription {
  const textOf = (expr: Expr): string => printExpr(resolve(expr));
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

/** Stands for the user's function of every custom aggregate. */
export const savedCustom = 'saved' as FunctionId;

/** An aggregate with state of the described structure; its expressions are never evaluated. */
export function savedAggregate(description: AggregateDescription): AggregateSpec {
  const { keys, window, allowedLatenessMs, aggregates } = description;
  const columnOf = (column: Omit<ColumnDescription, 'name'>): Expr => {
    const { expr, type, nullable } = column;
    return { kind: 'column', name: expr, type, nullable };
  };
  return {
    keys: keys.map((key) => ({ name: key.name, expr: columnOf(key) })),
    window,
    aggregates: aggregates.map(({ name, fn, args, k, type, nullable }) => {
      const custom = fn === 'custom' ? savedCustom : null;
      return { name, fn, args: args.map(columnOf), k, custom, type, nullable };
    }),
    time: null,
    allowedLatenessMs,
    late: null,
    emit: 'close',
  };
}

/** Why state of `saved` cannot be that of `own`; null: it can. */
export function stateDifference(saved: StateDescription, own: StateDescription): string | null {
  if (saved.operator !== own.operator) return `it is that of operator "${saved.operator}"`;
  const producers = producersDifference(saved.producers, own.producers);
  if (producers !== null) return producers;
  const broadcast = broadcastDifference(saved.broadcast, own.broadcast);
  if (broadcast !== null) return broadcast;
  if (saved.aggregate === null || own.aggregate === null) {
    if (saved.aggregate === own.aggregate) return null;
    return saved.aggregate === null ? 'it has no keyed state' : 'it has keyed state';
  }
  const before = saved.aggregate;
  const now = own.aggregate;
  return (
    listDifference('key', before.keys.map(keyTexts), now.keys.map(keyTexts)) ??
    textDifference('the window', printWindow(before.window), printWindow(now.window)) ??
    textDifference(
      'allowed lateness',
      `${before.allowedLatenessMs} ms`,
      `${now.allowedLatenessMs} ms`,
    ) ??
    listDifference('aggregate', before.aggregates.map(callTexts), now.aggregates.map(callTexts))
  );
}

/** Rows are kept as they came, so names count, too: who swaps two columns means others. */
function broadcastDifference(
  before: BroadcastDescription | undefined,
  now: BroadcastDescription | undefined,
): string | null {
  if (before === undefined || now === undefined) {
    if (before === now) return null;
    return before === undefined ? 'it has no broadcast rows' : 'it has broadcast rows';
  }
  const texts = ({ columns }: BroadcastDescription): readonly Texts[] =>
    columns.map(({ name, ...column }) => keyTexts({ name, expr: name, ...column }));
  return (
    listDifference('broadcast column', texts(before), texts(now)) ??
    textDifference('the broadcast key', before.keys.join(', '), now.keys.join(', '))
  );
}

/** A source may have got more partitions. */
function producersDifference(before: readonly number[], now: readonly number[]): string | null {
  for (let index = 0; index < before.length && index < now.length; index++) {
    if (before[index]! <= now[index]!) continue;
    return `input #${index + 1} had ${before[index]} producers, now has ${now[index]}`;
  }
  return textDifference('the number of inputs', `${before.length}`, `${now.length}`);
}

/** Short for people; `whole` has all that must be the same. */
type Texts = { readonly short: string; readonly whole: string };

function keyTexts({ expr, type, nullable }: ColumnDescription): Texts {
  return { short: expr, whole: `${expr}: ${type.kind}${nullable ? ' or null' : ''}` };
}

function callTexts({ fn, args, k, type }: CallDescription): Texts {
  const more = k === null ? [] : [`k = ${k}`];
  const short = `${fn}(${[...args.map(({ expr }) => expr), ...more].join(', ')})`;
  const typed = args.map((arg) => `${arg.expr}: ${arg.type.kind}`);
  return { short, whole: `${fn}(${[...typed, ...more].join(', ')}): ${type.kind}` };
}

function printWindow(window: WindowSpec): string {
  return canonicalJson(window);
}

function listDifference(
  what: string,
  before: readonly Texts[],
  now: readonly Texts[],
): string | null {
  for (let index = 0; index < Math.min(before.length, now.length); index++) {
    const left = before[index]!;
    const right = now[index]!;
    if (left.whole === right.whole) continue;
    const isShort = left.short !== right.short;
    const [had, has] = isShort ? [left.short, right.short] : [left.whole, right.whole];
    return `${what} #${index + 1} had ${had}, now has ${has}`;
  }
  return textDifference(`the number of ${what}s`, `${before.length}`, `${now.length}`);
}

function textDifference(what: string, before: string, now: string): string | null {
  return before === now ? null : `${what} was ${before}, now is ${now}`;
}
