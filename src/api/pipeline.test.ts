import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamError } from '../base/stream-error.ts';
import { printExpr } from '../expr/print.ts';
import type { LogicalOperator, LogicalPlan } from '../plan/logical-plan.ts';
import { boolean, float64, json, string, timestamp } from '../schema/column-type.ts';
import type { RowSchema } from '../schema/data-type.ts';
import { schema } from '../schema/schema.ts';
import { checkGolden } from '../testing/golden.ts';
import { avg, count, customAggregate, first, last, sum, topK } from './aggregates.ts';
import { pipeline } from './pipeline.ts';
import { AdEvent, ads, stubSink, stubSource } from './stubs.fixture.ts';
import { table } from './table.ts';
import { hopping, session, tumbling } from './windows.ts';

const source = stubSource(AdEvent);
const events = pipeline('test').from(source, { time: 'event_time' });

/** The plan as text, one line an operator and one a spec; schemas as `name:kind?`. */
function textOf(plan: LogicalPlan): string {
  const schemaText = ({ fields }: RowSchema): string =>
    fields
      .map(({ name, type, nullable }) => `${name}:${type.kind}${nullable ? '?' : ''}`)
      .join(' ');
  const lines = plan.operators.map((operator) => {
    const { id, schema: rows, timeColumn, kind: _kind, ...rest } = operator;
    return `${id} ${JSON.stringify(rest, exprsAsText)}\n  -> ${schemaText(rows)} @${timeColumn}`;
  });
  const specs = [...plan.sources, ...plan.sinks, ...plan.tables].map(
    ({ schema: rows, ...rest }) => {
      return `${JSON.stringify(rest)}\n  -> ${schemaText(rows)}`;
    },
  );
  const functions = plan.functions.map(({ id, source: text }) => `${id}: ${text}`);
  return `${[plan.name, ...lines, ...specs, ...functions].join('\n')}\n`;
}

function exprsAsText(_key: string, value: unknown): unknown {
  const isExpr =
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    ['column', 'literal', 'call', 'lambda'].includes(String(value.kind));
  return isExpr ? printExpr(value as Parameters<typeof printExpr>[0]) : value;
}

function ids(plan: LogicalPlan): readonly string[] {
  return plan.operators.map(({ id }) => id);
}

function operatorOf(plan: LogicalPlan, id: string): LogicalOperator {
  const operator = plan.operators.find((one) => one.id === id);
  assert(operator !== undefined, id);
  return operator;
}

/** Each mistake as `line: message | hint`. */
function mistakesOf(build: { plan(): unknown }): readonly string[] {
  try {
    build.plan();
  } catch (error) {
    assert(error instanceof StreamError);
    assert.equal(error.code, 'invalid-pipeline');
    const lines = error.message.split('\n').slice(1);
    assert.equal(error.fields['mistakes'], lines.filter((line) => !/^ {4}hint/.test(line)).length);
    return lines.map((line) => line.trim().replace(/^\S*pipeline\.test\.ts:\d+:\d+: /, ''));
  }
  return [];
}

test('pipeline plans the Yahoo benchmark and a second aggregate behind it', () => {
  const windows = events
    .filter((e) => e.event_type.eq('view'))
    .select((e) => ({ ad_id: e.ad_id, at: e.event_time, total: e.price.mul(e.quantity) }))
    .join(ads, { on: { ad_id: 'ad_id' } })
    .groupBy('campaign_id')
    .window(tumbling('10s'), { allowedLateness: '5s' })
    .aggregate((e) => ({
      views: count(),
      revenue: sum(e.total),
      ads: topK(e.ad_id, { by: e.at, k: 3 }),
    }))
    .lateTo(stubSink('late'));
  const totals = windows
    .groupBy((e) => ({ campaign: e.campaign_id.upper() }))
    .window(hopping('1m', '10s', { offset: '1s' }))
    .aggregate((e) => ({ views: avg(e.views) }), { emit: 'update' })
    .named('totals');
  const both = windows
    .to(stubSink('windows'), { name: 'windows' })
    .with(totals.to(stubSink('totals')));
  checkGolden(new URL('./testdata/ysb-plan.txt', import.meta.url), textOf(both.plan()));
});

test('pipeline plans lambdas, maps, unions and dead letters', () => {
  const Word = schema({ event_time: timestamp(), word: string() });
  const dead = pipeline('words').from(source, {
    time: 'event_time',
    watermark: { delay: '1s', idle: '1m', ahead: '1h' },
    onError: { deadLetter: stubSink('dead') },
    name: 'ads',
  });
  const longest = customAggregate(float64(), {
    init: () => 0,
    add: (most, row: { readonly word: string }) => Math.max(most, row.word.length),
    merge: (left, right) => Math.max(left, right),
    result: (most) => most,
  });
  const tags = dead
    .filterRow((row) => row.tags.length > 0)
    .flatMap(Word, (row) => row.tags.map((word) => ({ event_time: row.event_time, word })));
  const ids_ = dead.map(schema({ word: string(), event_time: timestamp() }), (row) => ({
    word: row.ad_id,
    event_time: row.event_time,
  }));
  const words = tags
    .union(ids_)
    .filter((e) => e.$lambda(boolean(), ['word'], (row) => row.word !== ''))
    .groupBy('word')
    .window(session('30m'))
    .aggregate(() => ({ count: count(), longest, again: longest }))
    .to(stubSink('words'));
  checkGolden(new URL('./testdata/words-plan.txt', import.meta.url), textOf(words.plan()));
});

test('bindings hold what the plan names', () => {
  const sink = stubSink<unknown>();
  const late = stubSink<unknown>();
  const built = events
    .filterRow(() => true)
    .join(ads, { on: { ad_id: 'ad_id' } })
    .window(tumbling(5))
    .aggregate(() => ({ n: count() }))
    .lateTo(late)
    .to(sink);
  const { sources, sinks, tables, functions } = built.bindings();
  const plan = built.plan();
  assert.deepEqual(
    [...sources.keys()],
    plan.sources.map(({ id }) => id),
  );
  assert.deepEqual(
    [...sinks.keys()],
    plan.sinks.map(({ id }) => id),
  );
  assert.deepEqual(
    [...tables.keys()],
    plan.tables.map(({ id }) => id),
  );
  assert.deepEqual(
    [...functions.keys()],
    plan.functions.map(({ id }) => id),
  );
  assert.equal([...sources.values()][0], source.source);
  assert.deepEqual([...sinks.values()], [late, sink]);
  assert.deepEqual([...tables.values()], [ads.rows]);
  assert.equal(built.plan(), plan);
});

test('pipeline makes one operator of a stream that two outputs share', () => {
  const views = events.filter((e) => e.event_type.eq('view'));
  const both = views.to(stubSink('a')).with(views.select('ad_id').to(stubSink('b')));
  assert.deepEqual(ids(both.plan()), ['source#0', 'filter#0', 'sink#0', 'project#0', 'sink#1']);
  assert.equal(both.with(both), both);
});

test('pipeline keeps the outputs so far when it begins another stream', () => {
  const first = events.to(stubSink('a'));
  const second = first.from(stubSource(AdEvent)).to(stubSink('b'));
  assert.deepEqual(ids(second.plan()), ['source#0', 'sink#0', 'source#1', 'sink#1']);
  assert.deepEqual(ids(first.plan()), ['source#0', 'sink#0']);
});

test('union puts columns in order and takes all nulls', () => {
  const left = events.select((e) => ({ a: e.ad_id, n: e.user.age }));
  const right = events.select((e) => ({ n: e.user.age, a: e.ad_id }));
  const plan = left.union(right).to(stubSink()).plan();
  const union = operatorOf(plan, 'union#0');
  assert(union.kind === 'union');
  assert.deepEqual(
    union.inputs.map((input) => operatorOf(plan, input).schema.fields.map(({ name }) => name)),
    [
      ['a', 'n'],
      ['a', 'n'],
    ],
  );
  assert.equal(plan.operators.length, 6);
});

test('select carries event time under a new name, and behind windows too', () => {
  const windows = events
    .select((e) => ({ at: e.event_time, ad_id: e.ad_id }))
    .groupBy('ad_id')
    .window(tumbling('1s'))
    .aggregate(() => ({ n: count() }))
    .select((e) => ({ n: e.n, end: e.windowEnd }))
    .window(tumbling('1m'))
    .aggregate((e) => ({ n: sum(e.n) }))
    .to(stubSink());
  const plan = windows.plan();
  const [inner, outer] = ['aggregate#0', 'aggregate#1'].map((id) => operatorOf(plan, id));
  assert(inner?.kind === 'aggregate' && inner.time && outer?.kind === 'aggregate' && outer.time);
  assert.equal(printExpr(inner.time), 'at');
  assert.equal(printExpr(outer.time), '(end - 1)');
  assert.equal(operatorOf(plan, 'project#1').timeColumn, 'end');
});

test('plan reports all mistakes at once, each with its call and a hint', () => {
  const wrong = pipeline('wrong')
    // @ts-expect-error: the mistakes of this test are those that types would catch.
    .from(source, { time: 'event_tim', watermark: { delay: 'soon' } })
    // @ts-expect-error: an unknown column.
    .filter((e) => e.prise.gt(3))
    .window(hopping('1d', '7ms'))
    .aggregate(() => ({}))
    .to(stubSink(), { name: 'a name' });
  let message = '';
  assert.throws(
    () => wrong.plan(),
    (error: Error) => (message = error.message) !== '',
  );
  const here = /^ {2}\/.*\/src\/api\/pipeline\.test\.ts:(\d+):(\d+): /;
  const sites = message.split('\n').flatMap((line) => here.exec(line)?.[1] ?? []);
  const lineOf = Number(sites[0]);
  assert.match(message, /^could not plan the pipeline "wrong": 4 mistakes\n/);
  assert.deepEqual(
    sites.map((line) => Number(line) - lineOf),
    [0, 0, 3, 5],
  );
  assert.deepEqual(mistakesOf(wrong), [
    'the watermark delay is no duration: "soon"',
    "hint: write '10s', '500ms', '2m', '1h', '1d' or a whole number of milliseconds",
    'there is no column "event_tim"',
    'hint: did you mean "event_time"?',
    'a window of 86400000 ms would have 86400000 panes',
    'hint: choose a longer hop, or one that has a larger divisor in common with the size',
    '"a name" is no name for an operator',
    'hint: use letters, digits, "-", "_" and "."',
  ]);
});

test('plan reports the mistakes of each operator', () => {
  const untyped = events as unknown as Record<string, () => unknown>;
  const sink = stubSink<unknown>();
  const to = (stream: { to(sink: unknown): { plan(): unknown } }): readonly string[] =>
    mistakesOf(stream.to(sink));
  const e =
    (key: string): ((e: never) => unknown) =>
    (scope) =>
      scope[key];
  const call = (method: string, ...args: readonly unknown[]): readonly string[] =>
    to(Reflect.apply(untyped[method] ?? assert.fail, events, args) as never);

  assert.deepEqual(call('filter', e('price')), [
    'the predicate is float64, not boolean',
    'hint: compare it: .eq(…)',
  ]);
  assert.deepEqual(call('filter', () => true).slice(0, 1), ['the callback gives no expression']);
  assert.deepEqual(call('filter', 'price'), ['a function is missing']);
  assert.deepEqual(call('select').slice(0, 1), ['select names no columns']);
  assert.deepEqual(call('select', 'ad_id', 'ad_id').slice(0, 1), [
    'two columns are called "ad_id"',
  ]);
  assert.deepEqual(call('select', 'event_tipe'), [
    'there is no column "event_tipe"',
    'hint: did you mean "event_type"?',
  ]);
  assert.deepEqual(
    call('select', () => ({ x: 1 })),
    ['"x" is no expression', 'hint: for a constant use literal(…)'],
  );
  assert.deepEqual(call('select', () => ({ $lambda: events })).slice(0, 1), [
    '"$lambda" is no expression',
  ]);
  assert.deepEqual(call('union').slice(0, 1), ['union of one stream']);
  assert.deepEqual(call('union', events.select('ad_id')).length, 18);
  assert.deepEqual(call('join', ads, { on: { price: 'ad_id' } }), [
    'cannot join "price" is float64, "ad_id" is string',
    'hint: convert the left one by a select before',
  ]);
  assert.deepEqual(call('join', ads, { on: { ad_id: 'id' } }), [
    'table "ads" has no column "id"',
    'hint: there are ad_id, campaign_id',
    'the stream already has a column "ad_id"',
    "hint: rename it: columns: { table_ad_id: 'ad_id' }",
  ]);
  assert.deepEqual(call('join', ads, { on: {} }).slice(0, 1), ['join on nothing']);
  assert.deepEqual(call('map', AdEvent, 5), ['a function is missing']);
});

test('plan reports the mistakes of groups, windows and aggregates', () => {
  const sink = stubSink<unknown>();
  const n = (): { readonly n: ReturnType<typeof count> } => ({ n: count() });
  assert.deepEqual(mistakesOf(events.groupBy().aggregate(n).to(sink)), [
    'groupBy names no columns',
    "hint: as in groupBy('a', 'b') or groupBy((e) => ({ name: e.name.lower() }))",
  ]);
  assert.deepEqual(mistakesOf(events.groupBy('tags').aggregate(n).to(sink)), [
    '"tags" is json, which is no key',
    'hint: take a part of it by e.$lambda(…)',
  ]);
  assert.deepEqual(mistakesOf(events.window(tumbling(0)).aggregate(n).to(sink)), [
    'the window size must be more than zero',
  ]);
  assert.deepEqual(mistakesOf(events.window(hopping('1s', '2s')).aggregate(n).to(sink)), [
    'the hop (2000 ms) is longer than the window',
    'hint: events between two windows would be lost: choose a hop of at most the size',
  ]);
  const dropped = events.select('ad_id').window(tumbling('1s')).aggregate(n).to(sink);
  const [message, hint] = mistakesOf(dropped);
  assert.equal(message, 'a window needs event time');
  assert.match(hint ?? '', /the select at .*pipeline\.test\.ts:\d+:\d+ leaves out "event_time"/);
  const untimed = pipeline('untimed').from(source).window(session('1s')).aggregate(n).to(sink);
  assert.deepEqual(mistakesOf(untimed), [
    'a window needs event time',
    "hint: name the event-time column: from(source, { time: '…' })",
  ]);
  const aggregate = (define: unknown): readonly string[] =>
    mistakesOf(
      events
        .groupBy('ad_id')
        .window(tumbling('1s'))
        .aggregate(define as typeof n)
        .to(sink),
    );
  assert.deepEqual(aggregate(() => ({})).slice(0, 1), ['no aggregates']);
  assert.deepEqual(aggregate(() => ({ n: 1 })).slice(0, 1), ['"n" is no aggregate']);
  assert.deepEqual(aggregate(() => ({ ad_id: count() })).slice(0, 1), [
    'two columns are called "ad_id"',
  ]);
  assert.deepEqual(aggregate(() => ({ windowEnd: count() })).slice(0, 1), [
    'two columns are called "windowEnd"',
  ]);
  assert.deepEqual(
    aggregate((e: { ad_id: never }) => ({ x: sum(e.ad_id) })),
    ['sum does not take string values', 'hint: it takes number, int64'],
  );
  assert.deepEqual(
    aggregate((e: { ad_id: never }) => ({ x: topK(e.ad_id, { by: e.ad_id, k: 0 }) })),
    ['topK takes a whole k from 1, not 0'],
  );
});

test('plan reports options that do not exist, which types would have caught', () => {
  const n = (): { readonly n: ReturnType<typeof count> } => ({ n: count() });
  const fromWith = (options: object): readonly string[] =>
    mistakesOf(pipeline('slips').from(source, options).to(stubSink()));
  assert.deepEqual(fromWith({ tiem: 'event_time' }), [
    'there is no option "tiem"',
    'hint: did you mean "time"?',
  ]);
  assert.deepEqual(fromWith({ watermark: { dealy: '5s' } }), [
    'there is no option "dealy"',
    'hint: did you mean "delay"?',
  ]);
  assert.deepEqual(fromWith({ onError: 'Skip' }), [
    'onError cannot be "Skip"',
    "hint: give 'fail' or 'skip'",
  ]);
  assert.deepEqual(fromWith({ onError: { deadLetter: 'bad.jsonl' } }), [
    'this is no sink',
    'hint: give what a connector makes, as collect()',
  ]);
  const outer = { on: { ad_id: 'ad_id' }, how: 'outer' } as unknown as { on: { ad_id: 'ad_id' } };
  assert.deepEqual(mistakesOf(events.join(ads, outer).to(stubSink())), [
    'how cannot be "outer"',
    "hint: give 'inner' or 'left'",
  ]);
  const windowed = events.window(tumbling('1s'), { allowedLatenes: '1s' } as object);
  const updates = { emit: 'updates' } as unknown as { emit: 'update' };
  assert.deepEqual(mistakesOf(windowed.aggregate(n, updates).to(stubSink())), [
    'there is no option "allowedLatenes"',
    'hint: did you mean "allowedLateness"?',
    'emit cannot be "updates"',
    "hint: give 'close' or 'update'",
  ]);
});

test('plan reports sessions that are to emit updates', () => {
  const sessions = events
    .groupBy('ad_id')
    .window(session('1s'))
    .aggregate(() => ({ n: count() }), { emit: 'update' });
  assert.deepEqual(mistakesOf(sessions.to(stubSink())), [
    'sessions emit no updates',
    'hint: a session that grows would leave rows with its old bounds behind: let it close',
  ]);
});

test('plan reports nested columns of a CSV source', () => {
  const Nested = schema({ user: { id: string() }, name: string().from('user.name') });
  const { source: plain } = stubSource(Nested);
  const csv = { ...plain, format: { kind: 'csv', delimiter: ',', header: null } } as typeof plain;
  const rows = pipeline('csv').from({ source: csv, schema: Nested });
  assert.deepEqual(mistakesOf(rows.to(stubSink())), [
    'a CSV source has no nested column "user.id"',
    "hint: CSV is flat: name the column of the header, as in string().from('user.id')",
  ]);
});

test('plan orders first and last by event time, also without a window', () => {
  const times = [first, last, count].map((fn) => {
    const rows = events.groupBy('ad_id').aggregate((e) => ({ kind: fn(e.event_type) }));
    const operator = operatorOf(rows.to(stubSink()).plan(), 'aggregate#0');
    return operator.kind === 'aggregate' && operator.time !== null && printExpr(operator.time);
  });
  assert.deepEqual(times, ['event_time', 'event_time', false]);
});

test('plan reports what a callback threw, with its cause', () => {
  const cause = new Error('on purpose');
  const wrong = events
    .filter(() => {
      throw cause;
    })
    .to(stubSink());
  assert.deepEqual(mistakesOf(wrong), ['the callback threw: on purpose']);
  assert.throws(
    () => wrong.plan(),
    (error: Error) => error.cause === cause,
  );
});

test('plan reports pipelines without output, and sinks and names used twice', () => {
  assert.deepEqual(mistakesOf(pipeline('empty')), [
    'the pipeline has no output',
    'hint: end a stream with .to(sink)',
  ]);
  assert.equal(mistakesOf(pipeline('')).length, 4);
  const sink = stubSink<unknown>('twice');
  assert.deepEqual(mistakesOf(events.to(sink).with(events.select('ad_id').to(sink))), [
    'the sink "stub twice" is used twice',
    'hint: use a sink for each stream, or a union of the streams',
  ]);
  const named = events.named('x').filter((e) => e.seen);
  assert.deepEqual(mistakesOf(named.to(stubSink(), { name: 'x' })), [
    'two operators are called "x"',
    'hint: give each a name of its own',
  ]);
});

test('plan reports what is no source and no sink', () => {
  const nothing = undefined as never;
  const wrong = pipeline('nothing').from(nothing).select('a').to(nothing);
  assert.deepEqual(mistakesOf(wrong), [
    'this is no source',
    'hint: give what a connector makes, as files({ path, schema })',
    'this is no sink',
    'hint: give what a connector makes, as collect()',
  ]);
});

test('run rejects with the mistakes before anything starts', async () => {
  await assert.rejects(pipeline('empty').run(), { code: 'invalid-pipeline' });
});

test('maps and tables hold nested columns under their flat names', () => {
  const Nested = schema({ user: { id: string() }, kind: string().from('type') });
  const users = table('users', Nested, [{ 'user.id': 'u1', kind: 'x' }]);
  assert.deepEqual(users.mistakes, []);
  const mapped = events
    .map(Nested, (row) => ({ 'user.id': row['user.id'], kind: row.ad_id }))
    .join(users, { on: { 'user.id': 'user.id' }, columns: { table_kind: 'kind' } })
    .to(stubSink());
  const plan = mapped.plan();
  const paths = [plan.tables[0]?.schema, operatorOf(plan, 'map#0').schema].map((rows) =>
    rows?.fields.map(({ path }) => path),
  );
  assert.deepEqual(paths, [
    [['user.id'], ['kind']],
    [['user.id'], ['kind']],
  ]);
});

test('table checks and copies its rows and hashes them', () => {
  const rows = [{ id: 'a', n: 1, raw: { x: [1] } }];
  const columns = { id: string(), n: float64().nullable(), raw: json<{ x: number[] }>() };
  const first = table('t', columns, rows);
  rows[0]!.n = 2;
  assert.deepEqual(first.rows, [{ id: 'a', n: 1, raw: { x: [1] } }]);
  assert.notEqual(table('t', columns, rows).contentHash, first.contentHash);
  assert.equal(
    table('u', columns, [{ raw: { x: [1] }, n: 1, id: 'a' }]).contentHash,
    first.contentHash,
  );
});

test('table reports rows of a wrong type', () => {
  const bad = table('t', { id: string(), n: float64() }, [
    { id: 'a', n: 1 },
    { id: 5, n: null } as unknown as { id: string; n: number },
  ]);
  const stream = events.join(bad, { on: { ad_id: 'id' } }).to(stubSink());
  assert.deepEqual(mistakesOf(stream), [
    'row 1: "id" is 5, not string',
    'row 1: "n" is missing or null, not float64',
  ]);
});
