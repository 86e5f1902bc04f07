// The fluent, immutable builder of streams: every method gives a new object around a new node, runs
// nothing and never throws for a mistake. Static types: `C` is the columns of the rows.

import { captureCallSite } from '../base/call-site.ts';
import type { Duration } from '../base/duration.ts';
import type { Expression, Operand } from '../expr/expression.ts';
import type { OperatorContext } from '../plan/bindings.ts';
import type { TypedSink } from '../ports/typed.ts';
import type { Schema } from '../schema/schema.ts';
import type { Columns, NamesOf, RowOf, TimestampType, ValueType } from '../schema/value-type.ts';
import type { Aggregate } from './aggregates.ts';
import * as grouped from './build-aggregate.ts';
import * as build from './build.ts';
import type { StreamNode } from './node.ts';
import type { Pipeline } from './pipeline.ts';
import type { Scope } from './scope.ts';
import type { Table } from './table.ts';
import type { Window } from './windows.ts';

/** Columns of `A` and `B`; where both have one, that of `B`. */
export type Merged<A extends Columns, B extends Columns> = {
  readonly [Name in keyof A | keyof B]: Name extends keyof B
    ? B[Name]
    : Name extends keyof A
      ? A[Name]
      : never;
};

/** The columns that a callback's object of expressions or aggregates describes. */
export type ColumnsIn<Described> = {
  readonly [Name in keyof Described]: Described[Name] extends {
    readonly valueType: infer T extends ValueType;
  }
    ? T
    : never;
};

export type Expressions = { readonly [name: string]: Expression };

export type Aggregates<C extends Columns> = {
  readonly [name: string]: Aggregate<ValueType, RowOf<C>>;
};

/** Columns that windowed aggregates add behind the keys. */
export type WindowColumns = {
  readonly windowStart: TimestampType;
  readonly windowEnd: TimestampType;
};

export type JoinHow = 'inner' | 'left';

/** Columns of the right side that a join adds: by name, or renamed as `{ newName: 'column' }`. */
export type JoinColumns<T extends Columns> =
  | readonly (keyof T & string)[]
  | { readonly [name: string]: keyof T & string };

export type JoinOptions<
  C extends Columns,
  T extends Columns,
  On extends JoinOn<C, T>,
  How extends JoinHow,
  Added extends JoinColumns<T>,
> = {
  /** Left columns and the columns of the right side that must equal them. */
  readonly on: On;
  /** `left` keeps rows that match nothing, with nulls. Default `inner`. */
  readonly how?: How;
  /** Default: all columns of the right side but those that `on` names. */
  readonly columns?: Added;
};

export type JoinOn<C extends Columns, T extends Columns> = {
  readonly [Left in keyof C]?: NamesOf<T, C[Left]['tag']>;
};

/** The columns that a join adds. */
export type JoinAdded<T extends Columns, On, How extends JoinHow, Added> = {
  readonly [Name in keyof Chosen<T, On, Added>]: Chosen<
    T,
    On,
    Added
  >[Name] extends infer Column extends keyof T
    ? ValueType<
        T[Column]['tag'],
        T[Column]['value'],
        T[Column]['missing'] | (How extends 'left' ? null : never)
      >
    : never;
};

type Chosen<T extends Columns, On, Added> = [Added] extends [never]
  ? AllBut<T, On>
  : Added extends readonly (infer Name extends string)[]
    ? { readonly [N in Name]: N }
    : Added;

type AllBut<T extends Columns, On> = {
  readonly [Name in keyof T as Name extends On[keyof On] ? never : Name]: Name;
};

/** A stream of rows. */
export class Stream<C extends Columns> {
  /** Static only. */
  declare readonly columns: C;
  protected readonly owner: Pipeline;
  readonly node: StreamNode;

  constructor(owner: Pipeline, node: StreamNode) {
    this.owner = owner;
    this.node = node;
  }

  /**
   * Keeps the rows for which the expression is true: not those for which it is false or null.
   *
   * @example
   * stream.filter((e) => e.event_type.eq('view').and(e.price.gt(100)));
   */
  filter(predicate: (e: Scope<C>) => Operand<'boolean', unknown>): Stream<C> {
    const site = captureCallSite(this.filter);
    return new Stream(this.owner, build.filter(this.node, predicate, site));
  }

  /**
   * Keeps the rows for which a plain function gives true. Opaque to the planner: prefer `filter`.
   *
   * @example
   * stream.filterRow((row) => row.url.startsWith('https:'));
   */
  filterRow(predicate: (row: RowOf<C>, context: OperatorContext) => boolean): Stream<C> {
    const site = captureCallSite(this.filterRow);
    return new Stream(this.owner, build.filterRow(this.node, predicate, site));
  }

  /**
   * Makes rows of these columns: expressions by name, or columns as they are. Keep the event-time
   * column where windows follow.
   *
   * @example
   * stream.select((e) => ({ at: e.event_time, total: e.price.mul(e.quantity) }));
   */
  select<Selected extends Expressions>(
    define: (e: Scope<C>) => Selected,
  ): Stream<ColumnsIn<Selected>>;
  // The compiler explains a mistake by the last overload: for a name, that lists the columns.
  select<const Names extends readonly (keyof C & string)[]>(
    ...names: Names
  ): Stream<Pick<C, Names[number]>>;
  select(...selection: readonly unknown[]): unknown {
    const site = captureCallSite(this.select);
    return new Stream(this.owner, build.select(this.node, selection, site));
  }

  /**
   * One row for each row, by a plain function. Opaque to the planner: prefer `select`.
   *
   * @example
   * stream.map(schema({ at: timestamp(), host: string() }), (row) => ({
   *   at: row.at,
   *   host: new URL(row.url).host,
   * }));
   */
  map<D extends Columns>(
    rowSchema: Schema<D>,
    fn: (row: RowOf<C>, context: OperatorContext) => RowOf<D>,
  ): Stream<D> {
    const site = captureCallSite(this.map);
    return new Stream(this.owner, build.map(this.node, { kind: 'map', rowSchema, fn }, site));
  }

  /**
   * Any number of rows for each row, by a plain function.
   *
   * @example
   * stream.flatMap(schema({ at: timestamp(), word: string() }), (row) =>
   *   row.text.split(' ').map((word) => ({ at: row.at, word })),
   * );
   */
  flatMap<D extends Columns>(
    rowSchema: Schema<D>,
    fn: (row: RowOf<C>, context: OperatorContext) => Iterable<RowOf<D>>,
  ): Stream<D> {
    const site = captureCallSite(this.flatMap);
    return new Stream(this.owner, build.map(this.node, { kind: 'flat-map', rowSchema, fn }, site));
  }

  /**
   * The rows of all, which must have the same columns.
   *
   * @example
   * clicks.union(views, purchases);
   */
  union(...others: readonly Stream<C>[]): Stream<C> {
    const site = captureCallSite(this.union);
    const nodes = others.map((other) => other.node);
    const owner = others.reduce((all, other) => all.with(other.owner), this.owner);
    return new Stream(owner, build.union(this.node, nodes, site));
  }

  /**
   * The stream as something that others can be joined with: every partition of theirs gets all of
   * its rows and keeps the latest of each key. For small streams that change now and then, such as
   * rules, prices or exchange rates; a column may say that a key is gone.
   *
   * @example
   * clicks.join(views.broadcast(), { on: { user: 'user' }, columns: { lastPage: 'page' } });
   */
  broadcast(): BroadcastStream<C> {
    return new BroadcastStream(this.owner, this.node);
  }

  /**
   * Adds the columns of a static table's rows that match: one row for each match. Or those of the
   * latest matching row of a broadcast stream: rows of a micro-batch meet what was broadcast
   * through that micro-batch, the last of each key in order of source partition and record. Which
   * records share a micro-batch is decided as they arrive and never again. A null key matches
   * nothing. The broadcast stream's event time holds back no window behind the join. Keys stay for
   * good: the latest rows of all of them have to fit into the memory of every partition.
   *
   * @example
   * stream.join(ads, { on: { ad_id: 'ad_id' } });
   * stream.join(clicks.broadcast(), { on: { shop: 'shop' }, columns: { lastItem: 'item' } });
   */
  join<
    T extends Columns,
    const On extends JoinOn<C, T>,
    How extends JoinHow = 'inner',
    const Added extends JoinColumns<T> = never,
  >(
    right: Table<T> | BroadcastStream<T>,
    options: JoinOptions<C, T, On, How, Added>,
  ): Stream<Merged<C, JoinAdded<T, On, How, Added>>> {
    const site = captureCallSite(this.join);
    const isStream = right instanceof BroadcastStream;
    const owner = isStream ? this.owner.with(right.owner) : this.owner;
    const side: build.JoinSide = isStream
      ? { kind: 'broadcast', node: right.node }
      : { kind: 'table', table: right };
    return new Stream(owner, build.join(this.node, { ...options, right: side }, site));
  }

  /**
   * Groups rows by columns or by expressions.
   *
   * @example
   * stream.groupBy('campaign_id').window(tumbling('10s')).aggregate(() => ({ views: count() }));
   * stream.groupBy((e) => ({ host: e.host.lower() })).aggregate((e) => ({ load: avg(e.load) }));
   */
  groupBy<Keys extends Expressions>(
    define: (e: Scope<C>) => Keys,
  ): GroupedStream<C, ColumnsIn<Keys>>;
  groupBy<const Names extends readonly (keyof C & string)[]>(
    ...names: Names
  ): GroupedStream<C, Pick<C, Names[number]>>;
  groupBy(...selection: readonly unknown[]): unknown {
    const site = captureCallSite(this.groupBy);
    return new GroupedStream(this.owner, grouped.groupBy(this.node, selection, site));
  }

  /**
   * Windows over all rows together.
   *
   * @example
   * stream.window(tumbling('1s')).aggregate(() => ({ events: count() }));
   */
  window(window: Window, options: WindowOptions = {}): WindowedStream<C, NoColumns> {
    const site = captureCallSite(this.window);
    const grouping = grouped.window(grouped.ungrouped(this.node), { window, ...options }, site);
    return new WindowedStream(this.owner, grouping);
  }

  /**
   * Names the last operator: its id in plans, metrics and checkpoints, stable when the pipeline
   * changes around it.
   *
   * @example
   * stream.filter((e) => e.price.gt(0)).named('paid');
   */
  named(name: string): this {
    const site = captureCallSite(this.named);
    return this.rebuilt(build.named(this.node, name, site));
  }

  protected rebuilt(node: StreamNode): this {
    return Reflect.construct(this.constructor, [this.owner, node]) as this;
  }

  /**
   * Sends the rows to a sink and gives the pipeline, to be run or to go on from.
   *
   * @example
   * const job = stream.to(sink, { name: 'campaigns' });
   */
  to(sink: TypedSink<RowOf<C>>, options: { readonly name?: string } = {}): Pipeline {
    const site = captureCallSite(this.to);
    return this.owner.withOutput(build.to(this.node, { sink, ...options }, site));
  }
}

/** A stream of which every partition of a joined stream has the latest rows. */
export class BroadcastStream<C extends Columns> {
  /** Static only. */
  declare readonly columns: C;
  readonly owner: Pipeline;
  readonly node: StreamNode;

  constructor(owner: Pipeline, node: StreamNode) {
    this.owner = owner;
    this.node = node;
  }
}

export type NoColumns = Readonly<Record<never, ValueType>>;

export type WindowOptions = {
  /** How long after its end a window still takes rows. Default 0. */
  readonly allowedLateness?: Duration;
};

export type AggregateOptions = {
  /**
   * `close`, the default: one row when a window closes, or the input ends. `update`: changed rows
   * after every micro-batch.
   */
  readonly emit?: 'close' | 'update';
};

/**
 * How an aggregate without keys comes together. Its rows meet in one partition, and what every
 * partition before it has added up is merged on the way there.
 */
export type TreeOptions = {
  /**
   * Partitions whose parts one task merges at most, from 2 on; default 32. Where more come
   * together, stages in between merge them level by level, and each task waits for its own inputs
   * only. With `lateTo`, and for sessions, all rows have to meet: `explain` says so.
   */
  readonly fanIn?: number;
};

/** Rows by key, over all time until `window` says otherwise. */
export class GroupedStream<C extends Columns, K extends Columns> {
  readonly #owner: Pipeline;
  readonly #grouping: grouped.Grouping;

  constructor(owner: Pipeline, grouping: grouped.Grouping) {
    this.#owner = owner;
    this.#grouping = grouping;
  }

  /**
   * Divides each group by windows of event time.
   *
   * @example
   * stream.groupBy('user').window(session('30m'), { allowedLateness: '5s' });
   */
  window(window: Window, options: WindowOptions = {}): WindowedStream<C, K> {
    const site = captureCallSite(this.window);
    const grouping = grouped.window(this.#grouping, { window, ...options }, site);
    return new WindowedStream(this.#owner, grouping);
  }

  /**
   * One row for each group: keys, then aggregates. Without a window a group ends with the input,
   * so endless input wants `{ emit: 'update' }`.
   *
   * @example
   * stream.groupBy('user').aggregate((e) => ({ spent: sum(e.price) }), { emit: 'update' });
   */
  aggregate<A extends Aggregates<C>>(
    define: (e: Scope<C>) => A,
    options: AggregateOptions = {},
  ): Stream<Merged<K, ColumnsIn<A>>> {
    const site = captureCallSite(this.aggregate);
    return new Stream(this.#owner, grouped.aggregate(this.#grouping, { define, ...options }, site));
  }
}

/** Rows by key and window. */
export class WindowedStream<C extends Columns, K extends Columns> {
  readonly #owner: Pipeline;
  readonly #grouping: grouped.Grouping;

  constructor(owner: Pipeline, grouping: grouped.Grouping) {
    this.#owner = owner;
    this.#grouping = grouping;
  }

  /**
   * One row for each group and window: keys, `windowStart`, `windowEnd`, then aggregates.
   *
   * @example
   * stream.groupBy('campaign_id').window(tumbling('10s')).aggregate((e) => ({
   *   views: count(),
   *   revenue: sum(e.price),
   * }));
   * stream.window(tumbling('1s')).aggregate(() => ({ events: count() }), { fanIn: 8 });
   */
  aggregate<A extends Aggregates<C>>(
    define: (e: Scope<C>) => A,
    options: AggregateOptions & ([keyof K] extends [never] ? TreeOptions : unknown) = {},
  ): AggregatedStream<Merged<Merged<K, WindowColumns>, ColumnsIn<A>>, C> {
    const site = captureCallSite(this.aggregate);
    const node = grouped.aggregate(this.#grouping, { define, ...options }, site);
    return new AggregatedStream(this.#owner, node);
  }
}

/** The rows of windows. `In`: the columns of the rows that went in. */
export class AggregatedStream<C extends Columns, In extends Columns> extends Stream<C> {
  /**
   * Sends the rows that came after their last window had closed to a sink, as they came. Without
   * it they are only counted.
   *
   * @example
   * windows.aggregate(() => ({ views: count() })).lateTo(lateRows).to(sink);
   */
  lateTo(sink: TypedSink<RowOf<In>>): AggregatedStream<C, In> {
    const site = captureCallSite(this.lateTo);
    return new AggregatedStream(this.owner, grouped.lateTo(this.node, sink, site));
  }
}
