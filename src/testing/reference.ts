// The reference: a slow, obviously right interpreter of the logical plan over micro-batches, which
// judges kernels and simulations. It shares no code with the data plane, keeps every row of every
// open window and computes results from them when they are due.
//
// What it decides:
// - Watermarks are those of `reference-watermark.ts`; late rows and windows of
//   `reference-window.ts`; results of `reference-aggregate.ts`.
// - Rows that an aggregate emits in micro-batch b are seen by the operators behind it in b.
// - Allowed lateness adds up along a path of aggregates, since an aggregate that waits for late
//   rows is late itself: without it the next one would drop what the first one waited for.
// - Arrival order is micro-batch, then producer (sources in plan order, then partition), then row.
//   Rows that an aggregate emits are in no order: do not judge ties behind one.
// - A broadcast join sees what was broadcast through the micro-batch, the last of each key in order
//   of arrival; its time is that of the rows it joins.
// - Outputs of one micro-batch are a multiset, and doubles are sums in another order than the
//   kernels': compare by `rowsDifference`.
// - Bad records are not modelled: all rows are good ones.

import { assert } from '../base/assert.ts';
import type { Expr, FunctionId } from '../expr/expr.ts';
import { evaluate } from '../expr/interpret.ts';
import type { Bindings, OperatorContext, UserFunction } from '../plan/bindings.ts';
import type {
  LogicalOperator,
  LogicalPlan,
  OperatorId,
  SinkId,
  SourceId,
} from '../plan/logical-plan.ts';
import type { RowObject, RowSchema, RowValue } from '../schema/data-type.ts';
import { ReferenceWatermarks } from './reference-watermark.ts';
import { ReferenceWindows } from './reference-window.ts';

export type ReferenceBatch = {
  /** The trigger time, epoch ms. */
  readonly batchTimeMs: number;
  /** By source and source partition. A source has the same number of partitions every time. */
  readonly sources: ReadonlyMap<SourceId, readonly ReferenceInput[]>;
};

export type ReferenceInput = {
  readonly rows: readonly RowObject[];
  /** Nothing follows in this partition, ever. */
  readonly ended: boolean;
};

export type ReferenceOutput = {
  /** By sink, late sinks included, and by position of the micro-batch. */
  readonly sinks: ReadonlyMap<SinkId, readonly (readonly RowObject[])[]>;
  /** Late rows by aggregate and micro-batch. */
  readonly late: ReadonlyMap<OperatorId, readonly number[]>;
  /** Input watermark of each aggregate after each micro-batch. */
  readonly watermarks: ReadonlyMap<OperatorId, readonly number[]>;
};

export type ReferenceBindings = Pick<Bindings<unknown, unknown>, 'tables' | 'functions'>;

export function runReference(
  plan: LogicalPlan,
  bindings: ReferenceBindings,
  batches: readonly ReferenceBatch[],
): ReferenceOutput {
  const reference = new Reference(plan, bindings);
  for (const batch of batches) reference.run(batch);
  return reference.output;
}

/** A row and the rank of the producer that it came from. */
type Arrival = { readonly row: RowObject; readonly lane: number };
type Operator<Kind> = Extract<LogicalOperator, { kind: Kind }>;

class Reference {
  readonly output: {
    readonly sinks: Map<SinkId, RowObject[][]>;
    readonly late: Map<OperatorId, number[]>;
    readonly watermarks: Map<OperatorId, number[]>;
  };
  readonly #plan: LogicalPlan;
  readonly #bindings: ReferenceBindings;
  readonly #watermarks: ReferenceWatermarks;
  readonly #windows: ReadonlyMap<OperatorId, ReferenceWindows>;
  /** By broadcast join: the latest row of each key. */
  readonly #latest = new Map<OperatorId, RowObject[]>();
  /** Of the present micro-batch: the rows that left each operator. */
  #rows = new Map<OperatorId, readonly Arrival[]>();
  #ctx: OperatorContext = contextOf(0);

  constructor(plan: LogicalPlan, bindings: ReferenceBindings) {
    this.#plan = plan;
    this.#bindings = bindings;
    this.#watermarks = new ReferenceWatermarks(plan);
    const aggregates = plan.operators.filter((operator) => operator.kind === 'aggregate');
    const lateness = addedLateness(plan);
    this.#windows = new Map(
      aggregates.map((operator) => [
        operator.id,
        new ReferenceWindows(operator, lateness.get(operator.id) ?? 0),
      ]),
    );
    this.output = {
      sinks: new Map(plan.sinks.map((sink) => [sink.id, []])),
      late: new Map(aggregates.map((operator) => [operator.id, []])),
      watermarks: new Map(aggregates.map((operator) => [operator.id, []])),
    };
  }

  run(batch: ReferenceBatch): void {
    this.#ctx = contextOf(batch.batchTimeMs);
    this.#rows = new Map();
    for (const rows of this.output.sinks.values()) rows.push([]);
    this.#watermarks.startBatch();
    this.#plan.operators.forEach((operator, rank) => {
      this.#rows.set(operator.id, this.#apply(operator, rank, batch));
    });
  }

  #apply(operator: LogicalOperator, rank: number, batch: ReferenceBatch): readonly Arrival[] {
    switch (operator.kind) {
      case 'source':
        return this.#scan(operator, rank, batch);
      case 'filter':
        return this.#input(operator.input).filter(
          ({ row }) => this.#value(operator.predicate, row) === true,
        );
      case 'project':
        return this.#input(operator.input).map(({ row, lane }) => ({
          row: Object.fromEntries(
            operator.columns.map(({ name, expr }) => [name, this.#value(expr, row)]),
          ),
          lane,
        }));
      case 'map':
        return this.#input(operator.input).map(({ row, lane }) => {
          const fn = this.#function(operator.fn, 'map');
          return { row: conform(fn.fn(row, this.#ctx), operator.schema), lane };
        });
      case 'flat-map':
        return this.#input(operator.input).flatMap(({ row, lane }) => {
          const fn = this.#function(operator.fn, 'flat-map');
          return Array.from(fn.fn(row, this.#ctx), (result) => ({
            row: conform(result, operator.schema),
            lane,
          }));
        });
      case 'union':
        return operator.inputs.flatMap((id) => this.#input(id));
      case 'join':
        return this.#input(operator.input).flatMap(({ row, lane }) =>
          this.#join(operator, row).map((joined) => ({ row: joined, lane })),
        );
      case 'broadcast-join': {
        this.#hear(operator);
        return this.#input(operator.input).flatMap(({ row, lane }) =>
          this.#joinLatest(operator, row).map((joined) => ({ row: joined, lane })),
        );
      }
      case 'aggregate':
        return this.#aggregate(operator, rank);
      case 'sink':
        this.#emit(
          operator.sink,
          this.#input(operator.input).map(({ row }) => row),
        );
        return [];
    }
  }

  #scan(operator: Operator<'source'>, rank: number, batch: ReferenceBatch): readonly Arrival[] {
    const partitions = batch.sources.get(operator.source);
    assert(partitions !== undefined, `no input for the source ${operator.source}`);
    const rows = partitions.map((input) => input.rows.map((row) => conform(row, operator.schema)));
    this.#watermarks.addSource(
      operator.id,
      partitions.map(({ ended }, index) => ({ rows: rows[index], ended })),
      batch.batchTimeMs,
    );
    return rows.flatMap((list, index) => list.map((row) => ({ row, lane: rank * 10_000 + index })));
  }

  #join(operator: Operator<'join'>, row: RowObject): readonly RowObject[] {
    const table = this.#bindings.tables.get(operator.table);
    assert(table !== undefined, `no rows for the table ${operator.table}`);
    const keys = operator.keys.map(({ left, right }) => ({ value: this.#value(left, row), right }));
    const matches = table.filter((candidate) =>
      keys.every(({ value, right }) => value !== null && sameKey(value, candidate[right])),
    );
    const add = (match: RowObject): RowObject => ({
      ...row,
      ...Object.fromEntries(
        operator.columns.map(({ name, column }) => [name, match[column] ?? null]),
      ),
    });
    return matches.length === 0 && operator.how === 'left' ? [add({})] : matches.map(add);
  }

  /** The broadcast rows of the micro-batch take the place of those before them, in order. */
  #hear({ id, right, keys }: Operator<'broadcast-join'>): void {
    const latest = this.#latest.get(id) ?? [];
    this.#latest.set(id, latest);
    for (const { row } of this.#input(right).toSorted((a, b) => a.lane - b.lane)) {
      const same = latest.findIndex((other) =>
        keys.every((key) => sameKey(row[key.right] ?? null, other[key.right])),
      );
      if (same >= 0) latest[same] = row;
      else latest.push(row);
    }
  }

  #joinLatest(operator: Operator<'broadcast-join'>, row: RowObject): readonly RowObject[] {
    const { id, how, keys, columns } = operator;
    const match = this.#latest.get(id)?.find((other) =>
      keys.every(({ left, right }) => {
        const value = this.#value(left, row);
        return value !== null && sameKey(value, other[right]);
      }),
    );
    if (match === undefined && how === 'inner') return [];
    const added = columns.map(({ name, column }) => [name, match?.[column] ?? null]);
    return [{ ...row, ...Object.fromEntries(added) }];
  }

  #aggregate(operator: Operator<'aggregate'>, rank: number): readonly Arrival[] {
    const windows = this.#windows.get(operator.id);
    assert(windows !== undefined, `no windows for ${operator.id}`);
    const arrivals = this.#input(operator.input).toSorted((a, b) => a.lane - b.lane);
    const watermark = this.#watermarks.addAggregate(operator);
    const { emitted, late } = windows.run({
      rows: arrivals.map(({ row }) => row),
      value: (expr, row) => this.#value(expr, row),
      custom: (id) => this.#function(id, 'aggregate').aggregate,
      ...watermark,
    });
    if (operator.late !== null) this.#emit(operator.late, late);
    this.output.late.get(operator.id)?.push(late.length);
    this.output.watermarks.get(operator.id)?.push(watermark.afterMs);
    return emitted.map((row) => ({ row, lane: rank * 10_000 }));
  }

  #emit(sink: SinkId, rows: readonly RowObject[]): void {
    const batch = this.output.sinks.get(sink)?.at(-1);
    assert(batch !== undefined, `the plan does not list the sink ${sink}`);
    batch.push(...rows);
  }

  #input(id: OperatorId): readonly Arrival[] {
    const rows = this.#rows.get(id);
    assert(rows !== undefined, `the operator ${id} has not run`);
    return rows;
  }

  #value(expr: Expr, row: RowObject): RowValue {
    return evaluate(expr, row, (id, seen) => this.#function(id, 'scalar').fn(seen, this.#ctx));
  }

  #function<K extends UserFunction['kind']>(id: FunctionId, kind: K): UserFunctionOf<K> {
    const found = this.#bindings.functions.get(id);
    assert(found !== undefined && isKind(found, kind), `no ${kind} function ${id}`);
    return found;
  }
}

type UserFunctionOf<K> = Extract<UserFunction, { kind: K }>;

function isKind<K extends UserFunction['kind']>(
  fn: UserFunction,
  kind: K,
): fn is UserFunctionOf<K> {
  return fn.kind === kind;
}

/** Random numbers are seeded by partitions, which the reference does not have. */
function contextOf(batchTimeMs: number): OperatorContext {
  return {
    batchTimeMs,
    random: () => {
      throw new Error('the reference cannot judge a pipeline that draws random numbers');
    },
  };
}

/** The columns of the schema and no others; what is missing is null. */
function conform(row: RowObject, schema: RowSchema): RowObject {
  return Object.fromEntries(schema.fields.map(({ name }) => [name, row[name] ?? null]));
}

function sameKey(value: RowValue, other: RowValue | undefined): boolean {
  return other !== undefined && other !== null && value === other;
}

/** Allowed lateness of each aggregate plus that of the slowest chain of aggregates above it. */
function addedLateness(plan: LogicalPlan): ReadonlyMap<OperatorId, number> {
  const added = new Map<OperatorId, number>();
  const of = (id: OperatorId): number => added.get(id) ?? 0;
  for (const operator of plan.operators) {
    if (operator.kind === 'source') continue;
    const inputs = operator.kind === 'union' ? operator.inputs : [operator.input];
    const own = operator.kind === 'aggregate' ? operator.allowedLatenessMs : 0;
    added.set(operator.id, Math.max(0, ...inputs.map(of)) + own);
  }
  return added;
}
