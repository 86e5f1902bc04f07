// What a snapshot says of itself: whose state it is, and the structure that the state has, so that
// it can be read as data, and so that it is never taken for the state of something else. Names are
// for people and may change; expressions, types and windows may not.

import { canonicalJson } from '../../base/canonical-json.ts';
import type { Expr, FunctionId } from '../../expr/expr.ts';
import type { AggregateSpec, WindowSpec } from '../../plan/logical-plan.ts';
import type {
  AggregateDescription,
  CallDescription,
  ColumnDescription,
} from '../../plan/state-spec.ts';

export type StateDescription = {
  readonly pipeline: string;
  readonly stage: number;
  /** Id of the operator, or source, that the stage starts with. */
  readonly operator: string;
  /** By input exchange: the operator, or source, that the stage behind it starts with. */
  readonly inputs: readonly string[];
  /** By input exchange: partitions of that stage. */
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

/** Short for people; `whole` has all that must be the same. */
type Texts = { readonly short: string; readonly whole: string };

/** Whether the inputs are those of before, of which some may have more partitions. */
export function hasSameInputs(saved: StateDescription, own: StateDescription): boolean {
  const { inputs, producers } = saved;
  return (
    canonicalJson(inputs ?? null) === canonicalJson(own.inputs) &&
    producers.length === own.producers.length &&
    producers.every((count, index) => count <= own.producers[index]!)
  );
}

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
    // What could not be null and now may be is kept in the same way.
    if (left.whole === right.whole || `${left.whole} or null` === right.whole) continue;
    const isShort = left.short !== right.short;
    const [had, has] = isShort ? [left.short, right.short] : [left.whole, right.whole];
    return `${what} #${index + 1} had ${had}, now has ${has}`;
  }
  return textDifference(`the number of ${what}s`, `${before.length}`, `${now.length}`);
}

function textDifference(what: string, before: string, now: string): string | null {
  return before === now ? null : `${what} was ${before}, now is ${now}`;
}
