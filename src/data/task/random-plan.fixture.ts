// Random pipelines and random input for them, for property tests: every operator, every kind of
// window and aggregate, several source partitions, disorder, idle partitions.

import fc from 'fast-check';
import type { Expr, FunctionId } from '../../expr/expr.ts';
import type { CustomAggregate, UserFunction } from '../../plan/bindings.ts';
import type { AggregateCall, LogicalPlan, SourceId, TableId } from '../../plan/logical-plan.ts';
import type { WindowSpec } from '../../plan/logical-plan.ts';
import type { PhysicalPlan } from '../../plan/physical-plan.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import type { RowObject } from '../../schema/data-type.ts';
import {
  aggregateCall,
  call,
  column,
  lambda,
  literal,
  PlanBuilder,
  schemaOf,
} from '../../testing/plan-builder.ts';
import type { Rows, TypeName } from '../../testing/plan-builder.ts';
import type { ReferenceBatch, ReferenceBindings } from '../../testing/reference.ts';

const columns = {
  text: 'string?',
  name: 'string',
  int: 'int32?',
  long: 'int64?',
  real: 'float64?',
  flag: 'boolean?',
  doc: 'json?',
  time: 'timestamp',
} as const satisfies { readonly [name: string]: TypeName };

const schema = schemaOf(columns);
const names = Object.keys(columns) as (keyof typeof columns)[];

function of(name: keyof typeof columns): Expr {
  return column(name, columns[name]);
}

const tables = new Map<TableId, readonly RowObject[]>([
  [
    'unique' as TableId,
    ['a', 'b', 'ä', '', 'a-long-key-1'].map((key, index) => ({
      key,
      group: index === 3 ? null : `g${index % 2}`,
      weight: index * 2,
      amount: BigInt(index),
    })),
  ],
  [
    'repeated' as TableId,
    [1, 2, 1, null, 3, 1].map((key, index) => ({ id: key, label: 'xyz'[index % 3]! })),
  ],
]);

const sumText: CustomAggregate<RowObject, string[], string> = {
  init: () => [],
  add: (parts, row) => [...parts, String(row['name'])],
  merge: (left, right) => [...left, ...right],
  result: (parts) => parts.toSorted().join('+'),
};

const functions = new Map<FunctionId, UserFunction>([
  [
    'double' as FunctionId,
    { kind: 'scalar', fn: (row) => (row['real'] === null ? null : Number(row['real']) * 2) },
  ],
  [
    'rename' as FunctionId,
    {
      kind: 'map',
      fn: (row) => ({ ...row, name: `${String(row['name'])}!`, text: row['name']! }),
    },
  ],
  [
    'repeat' as FunctionId,
    {
      kind: 'flat-map',
      *fn(row) {
        const count = Math.abs(Number(row['int'] ?? 1)) % 3;
        for (let index = 0; index < count; index++) yield { ...row, int: index };
      },
    },
  ],
  ['sumText' as FunctionId, { kind: 'aggregate', aggregate: sumText as CustomAggregate }],
]);

export const randomBindings: ReferenceBindings = { tables, functions };

/** `broadcast`: what may be broadcast, its order of arrival being that of the reference. */
type Step = (builder: PlanBuilder, rows: Rows, broadcast: Rows) => Rows;
/** `ordered`: the order of arrival is that of the reference. */
type AggregateStep = (builder: PlanBuilder, rows: Rows, ordered: boolean) => Rows;

const predicates: readonly Expr[] = [
  call('eq', 'boolean', of('name'), literal('a', 'string')),
  call('ne', 'boolean?', of('text'), literal('b', 'string')),
  call('gt', 'boolean?', of('real'), literal(0, 'float64')),
  call('or', 'boolean?', of('flag'), call('lt', 'boolean?', of('int'), literal(1, 'int32'))),
  call('is-null', 'boolean', of('long')),
];

const filterStep = fc.constantFrom(...predicates).map(
  (predicate): Step =>
    (builder, rows) =>
      builder.filter(rows, predicate),
);

const projectStep = fc
  .constantFrom<{ readonly [name: string]: Expr }>(
    { name: call('concat', 'string', of('name'), literal('-', 'string')) },
    { int: literal(7, 'int32'), real: call('add', 'float64?', of('real'), of('int')) },
    { real: lambda('double', 'float64?', ['real']) },
    { text: call('upper', 'string?', of('text')), flag: call('not', 'boolean?', of('flag')) },
  )
  .map((changed): Step => (builder, rows) => {
    const kept = rows.schema.fields.map(({ name, type, nullable }) => [
      name,
      changed[name] ?? { kind: 'column', name, type, nullable },
    ]);
    return builder.project(rows, Object.fromEntries(kept));
  });

const mapStep = fc.constantFrom<Step>(
  (builder, rows) => builder.map(rows, builder.fn('rename', 'rename'), rows.schema),
  (builder, rows) => builder.flatMap(rows, builder.fn('repeat', 'repeat'), rows.schema),
);

const joinStep = fc
  .tuple(fc.constantFrom('inner' as const, 'left' as const), fc.boolean())
  .map(([how, isUnique]): Step => (builder, rows) => {
    const tag = rows.schema.fields.length;
    return isUnique
      ? builder.join(rows, 'unique' as TableId, {
          how,
          on: { key: of('text') },
          add: { [`group${tag}`]: 'group', [`amount${tag}`]: 'amount' },
        })
      : builder.join(rows, 'repeated' as TableId, {
          how,
          on: { id: of('int') },
          add: { [`label${tag}`]: 'label' },
        });
  });

const broadcastStep = fc
  .record({
    how: fc.constantFrom('inner' as const, 'left' as const),
    keys: fc.uniqueArray(fc.constantFrom('text', 'int', 'long', 'real', 'flag'), {
      minLength: 1,
      maxLength: 2,
    }),
    filter: fc.option(filterStep),
  })
  .map(({ how, keys, filter }): Step => (builder, rows, broadcast) => {
    const tag = rows.schema.fields.length;
    const right = filter === null ? broadcast : filter(builder, broadcast, broadcast);
    return builder.broadcastJoin(rows, right, {
      how,
      on: Object.fromEntries(keys.map((key) => [key, of(key)])),
      add: { [`seen${tag}`]: 'name', [`flag${tag}`]: 'flag', [`doc${tag}`]: 'doc' },
    });
  });

const windows: fc.Arbitrary<WindowSpec> = fc.oneof(
  fc.record({
    kind: fc.constant('tumbling' as const),
    sizeMs: fc.constantFrom(10, 25),
    offsetMs: fc.constantFrom(0, 3),
  }),
  fc.record({
    kind: fc.constant('hopping' as const),
    sizeMs: fc.constantFrom(30, 20),
    hopMs: fc.constantFrom(10, 15, 30, 45),
    offsetMs: fc.constantFrom(0, 7),
  }),
  fc.record({ kind: fc.constant('session' as const), gapMs: fc.constantFrom(5, 15) }),
  fc.constant({ kind: 'global' as const }),
);

const numeric = fc.constantFrom('int' as const, 'long' as const, 'real' as const);
const anyColumn = fc.constantFrom(...names);

/** The type of `sum`: int64 stays, all else is float64. */
function sumType(name: keyof typeof columns): TypeName {
  return name === 'long' ? 'int64?' : 'float64?';
}

const calls: fc.Arbitrary<AggregateCall> = fc.oneof(
  fc.constant(aggregateCall('', 'count')),
  anyColumn.map((name) => aggregateCall('', 'count', { args: [of(name)], type: 'int64' })),
  numeric.map((name) => aggregateCall('', 'sum', { args: [of(name)], type: sumType(name) })),
  numeric.map((name) => aggregateCall('', 'avg', { args: [of(name)], type: 'float64?' })),
  fc
    .tuple(
      fc.constantFrom('min' as const, 'max' as const, 'first' as const, 'last' as const),
      anyColumn.filter((name) => name !== 'doc'),
    )
    .map(([fn, name]) => {
      const type: TypeName = `${columns[name].replace('?', '') as 'string'}?`;
      return aggregateCall('', fn, { args: [of(name)], type });
    }),
  anyColumn.map((name) => aggregateCall('', 'count-distinct', { args: [of(name)] })),
  anyColumn.map((name) => aggregateCall('', 'approx-count-distinct', { args: [of(name)] })),
  fc
    .tuple(fc.constantFrom('long' as const, 'text' as const, 'int' as const), numeric)
    .map(([value, by]) =>
      aggregateCall('', 'top-k', { args: [of(value), of(by)], type: 'json?', k: 2 }),
    ),
  fc.constant(aggregateCall('', 'custom', { custom: 'sumText', type: 'string' })),
);

const aggregateStep = fc
  .record({
    keys: fc.uniqueArray(fc.constantFrom(...names.filter((name) => name !== 'time')), {
      maxLength: 2,
    }),
    tableKey: fc.boolean(),
    window: windows,
    fanIn: fc.constantFrom(2, 3),
    aggregates: fc.array(calls, { minLength: 1, maxLength: 4 }),
    allowedLatenessMs: fc.constantFrom(0, 0, 8),
    emit: fc.constantFrom('close' as const, 'close' as const, 'update' as const),
    late: fc.boolean(),
  })
  .map((spec): AggregateStep => (builder, rows, ordered) => {
    const own = spec.keys.map((name) => [name, of(name)] as const);
    const joined = rows.schema.fields.find(({ name }) => /^(group|label|amount|seen)/.test(name));
    const added =
      joined === undefined || !spec.tableKey
        ? own
        : ([[joined.name, { kind: 'column', ...joined }]] as const);
    const late = spec.late ? builder.sideSink(`late${rows.id}`, rows.schema) : null;
    return builder.aggregate(rows, {
      fanIn: spec.fanIn,
      keys: Object.fromEntries(added.map(([name, expr]) => [name, plainColumn(expr as Expr)])),
      window: spec.window,
      time: of('time'),
      aggregates: spec.aggregates
        .map((each) => (isDecided(each, spec.window, ordered) ? each : aggregateCall('', 'count')))
        .map((each, index) => ({ ...each, name: `r${index}` })),
      allowedLatenessMs: spec.window.kind === 'global' ? 0 : spec.allowedLatenessMs,
      emit: spec.window.kind === 'session' ? 'close' : spec.emit,
      late,
    });
  });

/** Arrival decides ties, and is not known between panes and between sessions that are merged. */
function isDecided({ fn }: AggregateCall, { kind }: WindowSpec, ordered: boolean): boolean {
  if (!ordered) return fn !== 'top-k' && fn !== 'first' && fn !== 'last';
  if (fn === 'top-k') return kind === 'tumbling' || kind === 'global';
  return kind !== 'session' || (fn !== 'first' && fn !== 'last');
}

function plainColumn(expr: Expr): Expr {
  if (expr.kind !== 'column') return expr;
  const { kind, name, type, nullable } = expr;
  return { kind, name, type, nullable };
}

/** The physical plan of a random run: of as many source partitions as its input has. */
export function physicalOf({ plan, batches, partitions }: RandomRun): PhysicalPlan {
  const counts = Array.from(batches[0]!.sources, ([id, inputs]) => [id, inputs.length] as const);
  return planPhysical(plan, { partitions, sourcePartitions: new Map(counts) });
}

export type RandomRun = {
  readonly plan: LogicalPlan;
  readonly batches: readonly ReferenceBatch[];
  readonly partitions: number;
};

/** Windows of windows: aggregates what the first level emits, by the ends of its windows. */
function addSecondLevel(builder: PlanBuilder, rows: Rows, window: WindowSpec): void {
  if (!rows.schema.fields.some(({ name }) => name === 'windowEnd')) return;
  const end = column('windowEnd', 'timestamp');
  const result = builder.aggregate(rows, {
    keys: {},
    fanIn: 2,
    window,
    time: window.kind === 'global' ? null : end,
    aggregates: [
      aggregateCall('windows', 'count'),
      aggregateCall('latest', 'max', { args: [end], type: 'timestamp?' }),
    ],
  });
  builder.sink(result, 'second');
}

const planOf = fc
  .record({
    steps: fc.array(fc.oneof(filterStep, projectStep, mapStep, joinStep, broadcastStep), {
      maxLength: 3,
    }),
    joinsItself: fc.boolean(),
    aggregate: fc.option(aggregateStep, { freq: 5, nil: null }),
    fanOut: fc.option(aggregateStep, { freq: 1, nil: null }),
    union: fc.option(fc.tuple(filterStep, filterStep), { freq: 1, nil: null }),
    second: fc.option(windows, { freq: 1, nil: null }),
    delayMs: fc.constantFrom(0, 10, 30),
    idleMs: fc.constantFrom(null, 20),
    format: fc.constantFrom('json-lines' as const, 'rows' as const),
    sinkPartitions: fc.constantFrom(1 as const, null),
  })
  .map((spec) => {
    const builder = new PlanBuilder('random');
    builder.table('unique', schemaOf(tableColumns.unique), 5);
    builder.table('repeated', schemaOf(tableColumns.repeated), 6);
    for (const id of functions.keys()) builder.fn(id, id);
    const { delayMs, idleMs } = spec;
    const source = builder.source('in', schema, {
      time: 'time',
      watermark: { delayMs, idleMs },
      format: { kind: spec.format },
    });
    const isUnion = spec.union !== null;
    const first =
      spec.union === null
        ? source
        : builder.union(
            spec.union[0](builder, source, source),
            spec.union[1](builder, source, source),
          );
    const rows = spec.steps.reduce(
      (made, step) => step(builder, made, spec.joinsItself && !isUnion ? made : source),
      first,
    );
    const last = spec.aggregate === null ? rows : spec.aggregate(builder, rows, !isUnion);
    builder.sink(last, 'out', spec.sinkPartitions);
    if (spec.second !== null) addSecondLevel(builder, last, spec.second);
    if (spec.fanOut !== null) builder.sink(spec.fanOut(builder, source, true), 'fanned');
    return builder.plan();
  });

const tableColumns = {
  unique: { key: 'string', group: 'string?', weight: 'float64', amount: 'int64' },
  repeated: { id: 'int32?', label: 'string' },
} as const;

const texts = fc.constantFrom(
  'a',
  'b',
  'ä',
  '',
  'a"\\\n',
  '\u{1F600}',
  'a-long-key-1',
  'a-long-key-2',
);

const rowOf = fc.record({
  text: fc.option(texts),
  name: texts,
  int: fc.option(fc.integer({ min: -3, max: 3 })),
  long: fc.option(fc.bigInt({ min: -5n, max: 5n })),
  real: fc.option(fc.constantFrom(-1.5, 0, 0.25, 2, 7, -0, NaN)),
  flag: fc.option(fc.boolean()),
  doc: fc.option(fc.constantFrom<RowObject['doc']>({ a: 1 }, [1, 'x'], 'a', 3)),
  jitter: fc.integer({ min: 0, max: 40 }),
});

/** By micro-batch: by source partition, rows. */
const inputOf = fc
  .oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 6 }))
  .chain((partitions) =>
    fc.array(
      fc.array(fc.array(rowOf, { maxLength: 6 }), { minLength: partitions, maxLength: partitions }),
      { minLength: 1, maxLength: 8 },
    ),
  );

export const randomRun: fc.Arbitrary<RandomRun> = fc
  .tuple(planOf, inputOf, fc.integer({ min: 1, max: 3 }), fc.boolean())
  .map(([plan, input, partitions, endsEarly]) => {
    const hasNan = plan.sources[0]!.format.kind === 'rows';
    const batches = input.map((sources, batch): ReferenceBatch => {
      const isLast = batch === input.length - 1;
      const given = sources.map((rows, partition) => {
        const ended = isLast || (endsEarly && partition === 0 && batch >= input.length / 2);
        const wasEnded = ended && !isLast && batch > input.length / 2;
        return {
          ended,
          rows:
            wasEnded || (isLast && endsEarly && partition === 0)
              ? []
              : rows.map(timed(batch, hasNan)),
        };
      });
      return { batchTimeMs: 1000 + batch * 10, sources: new Map([['in' as SourceId, given]]) };
    });
    return { plan, batches, partitions };
  });

/** Event time goes on by 15 ms a micro-batch, with disorder. JSON has no NaN. */
function timed(
  batch: number,
  hasNan: boolean,
): (row: { readonly jitter: number } & RowObject) => RowObject {
  return ({ jitter, ...row }) => {
    const real = !hasNan && Number.isNaN(row['real']) ? 1 : row['real']!;
    return { ...row, real, time: 200 + batch * 15 - jitter };
  };
}
