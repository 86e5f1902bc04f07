// What each rule does, as the text of the plan afterwards, and where it must hold back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expr } from '../../expr/expr.ts';
import {
  aggregateCall,
  call,
  column,
  lambda,
  literal,
  PlanBuilder,
  schemaOf,
} from '../../testing/plan-builder.ts';
import type { Rows } from '../../testing/plan-builder.ts';
import { explainLogical } from '../explain.ts';
import type { LogicalRule } from '../logical-graph.ts';
import { planPhysical } from '../plan-physical.ts';
import { foldConstants } from './fold-constants.ts';
import { fuseOperators } from './fuse-operators.ts';
import { pruneColumns } from './prune-columns.ts';
import { pushPredicates } from './push-predicates.ts';

const schema = schemaOf({ a: 'float64', b: 'string?', n: 'int64', t: 'timestamp' });
const a = column('a', 'float64');
const b = column('b', 'string?');
const positive = call('gt', 'boolean', a, literal(0, 'float64'));
const isX = call('eq', 'boolean', b, literal('x', 'string'));
/** May overflow. */
const next = call('add', 'int64', column('n', 'int64'), literal(1n, 'int64'));
const small = call('lt', 'boolean', next, literal(9n, 'int64'));
const opaque = lambda('f', 'boolean', ['a']);

function and(...args: readonly Expr[]): Expr {
  return call('and', 'boolean', ...args);
}

/** The plan's tree after the rule, from the sink's input down to above the source. */
function check(
  rule: LogicalRule,
  build: (builder: PlanBuilder, source: Rows) => Rows,
  expected: readonly string[],
): void {
  const builder = new PlanBuilder('test');
  builder.fn('f', '(row) => row.a > 0');
  const source = builder.source('in', schema, { time: 't' });
  builder.sink(build(builder, source), 'out');
  const lines = explainLogical(rule(builder.plan()))
    .split('\n')
    .filter((line) => line.includes('─'))
    .map((line) => line.replace(/^[ │├└─]*/u, '').replace(/^source "in".*: (.*);.*$/, 'in: $1'));
  assert.deepEqual(lines, expected);
}

const all = 'in: a, b, n, t';

test('foldConstants computes literals, drops true filters and keeps what would fail', () => {
  const two = call('add', 'float64', literal(1, 'float64'), literal(1, 'float64'));
  const isTrue = call('lt', 'boolean', two, literal(3, 'float64'));
  const fails = call('div', 'int64', literal(-(2n ** 63n), 'int64'), literal(-1n, 'int64'));
  check(foldConstants, (p, source) => p.filter(p.filter(source, isTrue), isTrue), [all]);
  check(foldConstants, (p, source) => p.filter(source, and(isTrue, positive)), [
    'filter (a > 0)',
    all,
  ]);
  check(
    foldConstants,
    (p, source) => p.filter(source, and(positive, literal(false, 'boolean'), isX)),
    ['filter ((a > 0) and false)', all],
  );
  check(
    foldConstants,
    (p, source) => p.project(source, { two, fails, c: call('if', 'float64', isTrue, a, two) }),
    ['project 2 as two, (-9223372036854775808n / -1n) as fails, a as c', all],
  );
});

test('pushPredicates goes through projects by what the columns stand for', () => {
  check(
    pushPredicates,
    (p, source) =>
      p.filter(
        p.project(source, { c: call('neg', 'float64', a), b }),
        and(call('gt', 'boolean', column('c', 'float64'), literal(1, 'float64')), isX),
      ),
    ['project (-a) as c, b', "filter (((-a) > 1) and (b = 'x'))", all],
  );
});

test('pushPredicates leaves a filter above a lambda column, and a lambda above renames', () => {
  const projected = (p: PlanBuilder, source: Rows): Rows =>
    p.project(source, { ok: opaque, a: call('neg', 'float64', a) });
  check(pushPredicates, (p, source) => p.filter(projected(p, source), column('ok', 'boolean')), [
    'filter ok',
    'project lambda f(a) as ok, (-a) as a',
    all,
  ]);
  check(pushPredicates, (p, source) => p.filter(projected(p, source), opaque), [
    'filter lambda f(a)',
    'project lambda f(a) as ok, (-a) as a',
    all,
  ]);
});

test('pushPredicates moves below a join what reads the left side and cannot fail', () => {
  const join = (p: PlanBuilder, source: Rows): Rows =>
    p.join(source, p.table('names', schemaOf({ id: 'string', name: 'string' }), 3), {
      on: { id: b },
      add: { name: 'name' },
    });
  const named = call('ne', 'boolean', column('name', 'string'), literal('', 'string'));
  check(pushPredicates, (p, source) => p.filter(join(p, source), and(named, small, positive)), [
    "filter ((name <> '') and ((n + 1n) < 9n))",
    'inner join "names" (3 rows) on b = id, adds name',
    'filter (a > 0)',
    all,
  ]);
});

test('pushPredicates does not touch an operator that others read too', () => {
  const builder = new PlanBuilder('test');
  const source = builder.source('in', schema, { time: 't' });
  const projected = builder.project(source, { a });
  builder.sink(builder.filter(projected, positive), 'some');
  builder.sink(projected, 'all');
  const plan = builder.plan();
  assert.equal(pushPredicates(plan), plan);
});

test('fuseOperators merges filters and projects, unless that repeats or fails more', () => {
  const doubled = call('add', 'float64', column('c', 'float64'), column('c', 'float64'));
  const negated = { c: call('neg', 'float64', a) };
  check(fuseOperators, (p, source) => p.filter(p.filter(source, positive), isX), [
    "filter ((a > 0) and (b = 'x'))",
    all,
  ]);
  check(fuseOperators, (p, source) => p.filter(p.filter(source, positive), small), [
    'filter ((n + 1n) < 9n)',
    'filter (a > 0)',
    all,
  ]);
  check(fuseOperators, (p, source) => p.project(p.project(source, negated), { d: doubled }), [
    'project (c + c) as d',
    'project (-a) as c',
    all,
  ]);
  check(
    fuseOperators,
    (p, source) => {
      const twice = p.project(p.project(source, negated), {
        d: call('abs', 'float64', column('c', 'float64')),
      });
      return p.project(twice, { d: column('d', 'float64') });
    },
    ['project abs((-a)) as d', all],
  );
});

test('pruneColumns keeps what is read, and always the event time', () => {
  check(pruneColumns, (p, source) => p.project(p.filter(source, isX), { a }), [
    'project a',
    "filter (b = 'x')",
    'in: a, b, t',
  ]);
  check(pruneColumns, (p, source) => p.project(p.map(source, p.fn('f', ''), schema), { a }), [
    'project a',
    'map f, opaque → a, b, n, t',
    all,
  ]);
  check(pruneColumns, (p, source) => p.map(source, p.fn('f', ''), schema, ['a']), [
    'map f(a), opaque → a, b, n, t',
    'in: a, t',
  ]);
  check(
    pruneColumns,
    (p, source) =>
      p.aggregate(p.project(source, { a, b }), { aggregates: [aggregateCall('n', 'count')] }),
    ['aggregate count() as n; global window; emits closed windows', 'project no columns', 'in: t'],
  );
});

test('string equalities right behind a scan go into the scanner, others stay', () => {
  const builder = new PlanBuilder('test');
  const source = builder.source('in', schema, { time: 't' });
  const flipped = call('eq', 'boolean', literal('y', 'string'), b);
  builder.sink(builder.filter(source, and(isX, positive, flipped)), 'out');
  const [stage] = planPhysical(builder.plan(), { partitions: 2 }).stages;
  assert.ok(stage.input.kind === 'scan');
  assert.deepEqual(stage.input.scan.equals, [
    { column: 'b', value: 'x' },
    { column: 'b', value: 'y' },
  ]);
  assert.deepEqual(
    stage.root.map((operator) => operator.kind === 'filter' && operator.predicate),
    [positive],
  );
});

test('a sink that several stages feed gets a stage of its own', () => {
  const builder = new PlanBuilder('test');
  const left = builder.source('left', schema, { time: 't' });
  const right = builder.source('right', schema, { time: 't' });
  builder.sink(builder.union(left, right), 'out');
  const plan = planPhysical(builder.plan(), { partitions: 4 });
  assert.deepEqual(
    plan.stages.map((stage) => [stage.partitions.kind, stage.outputs.length]),
    [
      ['source', 1],
      ['source', 1],
      ['fixed', 0],
    ],
  );
});

test('sinks of late rows have one partition for each partition that finds them', () => {
  const builder = new PlanBuilder('test');
  const source = builder.source('in', schema, { time: 't' });
  const late = builder.sideSink('late', schema);
  const keys = { b };
  builder.sink(builder.aggregate(source, { keys, late }), 'out', 1);
  const logical = builder.plan();
  const sinks = logical.sinks.map((sink) => ({ ...sink, partitions: 1 as const }));
  const plan = planPhysical({ ...logical, sinks }, { partitions: 4 });
  assert.deepEqual(
    plan.sinks.map((sink) => sink.partitions),
    [null, 1],
  );
});
