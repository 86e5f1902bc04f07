// The rewrite rules keep a plan's meaning: the reference gives the same output for a random plan
// and for what the rules make of it, over random rows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Expr, FunctionId } from '../expr/expr.ts';
import type { RowObject } from '../schema/data-type.ts';
import {
  aggregateCall,
  call,
  column,
  lambda,
  literal,
  PlanBuilder,
  schemaOf,
} from '../testing/plan-builder.ts';
import type { Rows } from '../testing/plan-builder.ts';
import type { ReferenceBatch } from '../testing/reference.ts';
import { runReference } from '../testing/reference.ts';
import { rowsDifference } from '../testing/rows-difference.ts';
import type { UserFunction } from './bindings.ts';
import { explainLogical } from './explain.ts';
import type { LogicalPlan, SourceId, TableId } from './logical-plan.ts';
import { optimize } from './optimize.ts';
import { planPhysical } from './plan-physical.ts';

/** Every step keeps these four columns, so that any step may follow any other. */
const schema = schemaOf({ a: 'float64?', b: 'string?', c: 'boolean?', t: 'timestamp' });
const a = column('a', 'float64?');
const b = column('b', 'string?');
const c = column('c', 'boolean?');
const t = column('t', 'timestamp');

const functions = new Map<FunctionId, UserFunction>([
  ['even' as FunctionId, { kind: 'scalar', fn: (row) => Number(row['a']) % 2 === 0 }],
  [
    'swap' as FunctionId,
    { kind: 'map', fn: (row) => ({ ...row, a: String(row['b']).length, c: row['a'] === 1 }) },
  ],
  ['twice' as FunctionId, { kind: 'flat-map', fn: (row) => [row, { ...row, b: 'again' }] }],
]);
const tables = new Map([
  [
    'names' as TableId,
    [
      { id: 'x', name: 'Xenia', size: 1 },
      { id: 'x', name: null, size: 2 },
      { id: 'y', name: 'y', size: null },
    ],
  ],
]);
const tableSchema = schemaOf({ id: 'string', name: 'string?', size: 'float64?' });

const numbers: fc.Arbitrary<Expr> = fc.oneof(
  fc.constant(a),
  fc.integer({ min: -3, max: 3 }).map((value) => literal(value, 'float64')),
  fc.constant(call('neg', 'float64?', a)),
  fc.constant(call('to-float64', 'float64', t)),
  fc.constant(call('add', 'float64?', a, literal(1, 'float64'))),
);
const strings: fc.Arbitrary<Expr> = fc.oneof(
  fc.constant(b),
  fc.constantFrom('x', 'y', '').map((value) => literal(value, 'string')),
  fc.constant(call('upper', 'string?', b)),
);
const predicates: fc.Arbitrary<Expr> = fc.letrec<{ any: Expr }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 2 },
    fc.constant(c),
    fc.constantFrom(true, false, null).map((value) => literal(value, 'boolean?')),
    fc.tuple(numbers, numbers).map((args) => call('lt', 'boolean?', ...args)),
    fc.tuple(strings, strings).map((args) => call('eq', 'boolean?', ...args)),
    fc.constant(call('is-null', 'boolean', b)),
    fc.constant(lambda('even', 'boolean', ['a'])),
    fc.tuple(tie('any'), tie('any')).map((args) => call('and', 'boolean?', ...args)),
    fc.tuple(tie('any'), tie('any')).map((args) => call('or', 'boolean?', ...args)),
    tie('any').map((arg) => call('not', 'boolean?', arg)),
  ),
})).any;

type Step = (builder: PlanBuilder, rows: Rows) => Rows;

const steps: fc.Arbitrary<Step> = fc.letrec<{ step: Step }>((tie) => ({
  step: fc.oneof(
    { maxDepth: 3 },
    predicates.map(
      (predicate): Step =>
        (builder, rows) =>
          builder.filter(rows, predicate),
    ),
    fc.tuple(numbers, strings, predicates).map(
      ([x, y, z]): Step =>
        (builder, rows) =>
          builder.project(rows, { a: x, b: y, c: z, t }),
    ),
    fc.constantFrom<'inner' | 'left'>('inner', 'left').chain((how) =>
      predicates.map((predicate): Step => (builder, rows) => {
        const table = 'names' as TableId;
        const on = { id: b };
        const joined = builder.join(rows, table, { how, on, add: { name: 'name', size: 'size' } });
        const size = column('size', 'float64?');
        const sized = call('gt', 'boolean?', size, literal(0, 'float64'));
        const kept = builder.filter(joined, call('and', 'boolean?', predicate, sized));
        return builder.project(kept, { a: size, b: column('name', 'string?'), c, t });
      }),
    ),
    fc.constant<Step>((builder, rows) => {
      const mapped = builder.map(rows, 'swap' as FunctionId, schema);
      return builder.project(mapped, { a, b, c, t });
    }),
    fc.constant<Step>((builder, rows) => builder.flatMap(rows, 'twice' as FunctionId, schema)),
    fc.tuple(tie('step'), tie('step')).map(
      ([left, right]): Step =>
        (builder, rows) =>
          builder.union(left(builder, rows), right(builder, rows)),
    ),
  ),
})).step;

const aggregates = [
  aggregateCall('rows', 'count'),
  aggregateCall('sum', 'sum', {
    args: [call('mul', 'float64?', a, literal(2, 'float64'))],
    type: 'float64?',
  }),
  aggregateCall('least', 'min', { args: [b], type: 'string?' }),
];

const endings: fc.Arbitrary<(builder: PlanBuilder, rows: Rows) => void> = fc.constantFrom(
  (builder: PlanBuilder, rows: Rows) => builder.sink(rows, 'out'),
  (builder: PlanBuilder, rows: Rows) => {
    const keys = { key: call('upper', 'string?', b) };
    const window = { kind: 'tumbling', sizeMs: 10, offsetMs: 0 } as const;
    const late = builder.sideSink('late', rows.schema);
    const spec = { keys, window, aggregates, time: t, late, allowedLatenessMs: 3 };
    builder.sink(builder.aggregate(rows, spec), 'out', 1);
    builder.sink(builder.project(rows, { b }), 'some');
  },
  (builder: PlanBuilder, rows: Rows) => {
    const perUser = builder.aggregate(rows, {
      keys: { b, c },
      window: { kind: 'session', gapMs: 4 },
      time: t,
      aggregates,
    });
    const end = column('windowEnd', 'timestamp');
    const all = builder.aggregate(
      builder.project(perUser, { rows: column('rows', 'float64'), windowEnd: end }),
      {
        window: { kind: 'hopping', sizeMs: 20, hopMs: 5, offsetMs: 1 },
        time: call('sub', 'timestamp', end, literal(1, 'float64')),
        aggregates: [
          aggregateCall('most', 'max', { args: [column('rows', 'float64')], type: 'float64?' }),
        ],
      },
    );
    builder.sink(all, 'out');
  },
);

const plans: fc.Arbitrary<LogicalPlan> = fc
  .tuple(fc.array(steps, { maxLength: 6 }), endings)
  .map(([list, end]) => {
    const builder = new PlanBuilder('random');
    for (const id of functions.keys()) builder.fn(id, `text of ${id}`);
    builder.table('names', tableSchema, 3);
    const source = builder.source('in', schema, { time: 't', watermark: { delayMs: 2 } });
    const rows = list.reduce((input, step) => step(builder, input), source);
    end(builder, rows);
    return builder.plan();
  });

const rowsArbitrary: fc.Arbitrary<RowObject> = fc.record({
  a: fc.oneof(fc.constant(null), fc.integer({ min: -3, max: 3 })),
  b: fc.constantFrom(null, 'x', 'y', 'X', ''),
  c: fc.constantFrom(null, true, false),
  t: fc.integer({ min: 0, max: 60 }),
});

const batchesArbitrary: fc.Arbitrary<readonly ReferenceBatch[]> = fc
  .array(
    fc.tuple(fc.array(rowsArbitrary, { maxLength: 6 }), fc.array(rowsArbitrary, { maxLength: 3 })),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((list) =>
    list.map((partitions, index) => ({
      batchTimeMs: index * 10,
      sources: new Map([
        ['in' as SourceId, partitions.map((rows) => ({ rows, ended: index === list.length - 1 }))],
      ]),
    })),
  );

test('optimize keeps the meaning of random plans', () => {
  fc.assert(
    fc.property(plans, batchesArbitrary, (plan, batches) => {
      const optimized = optimize(plan);
      const bindings = { tables, functions };
      const expected = runReference(plan, bindings, batches);
      const actual = runReference(optimized, bindings, batches);
      for (const [sink, byBatch] of expected.sinks) {
        byBatch.forEach((rows, index) => {
          const got = actual.sinks.get(sink)?.[index] ?? [];
          const difference = rowsDifference(rows, got.map(withoutPlannersColumns));
          const shown = `${explainLogical(plan)}\n${explainLogical(optimized)}`;
          assert.equal(difference, null, `${sink}, micro-batch ${index}: ${difference}\n${shown}`);
        });
      }
    }),
    { numRuns: 500 },
  );
});

/** Late rows leave the optimised plan with computed columns; the physical one cuts them off. */
function withoutPlannersColumns(row: RowObject): RowObject {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !name.startsWith('$')));
}

test('planPhysical takes every random plan, and one sink has one stage', () => {
  fc.assert(
    fc.property(plans, (plan) => {
      const physical = planPhysical(plan, { partitions: 3 });
      const again = planPhysical(structuredClone(plan), { partitions: 3 });
      assert.equal(physical.hash, again.hash);
      const feeders = physical.stages.filter((stage) => JSON.stringify(stage).includes('"out"'));
      assert.equal(feeders.length, 1);
    }),
    { numRuns: 200 },
  );
});
