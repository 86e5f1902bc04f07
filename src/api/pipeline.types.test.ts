// What TypeScript infers for rows, and what does not compile. Checked by the compiler, never run.

import type { RowOf } from '../schema/value-type.ts';
import { float64, int32, string, timestamp } from '../schema/column-type.ts';
import type { Row } from '../schema/schema.ts';
import { schema } from '../schema/schema.ts';
import { iff, literal } from '../expr/expression.ts';
import {
  avg,
  count,
  countDistinct,
  customAggregate,
  first,
  max,
  min,
  sum,
  topK,
} from './aggregates.ts';
import type { Equal, Plain } from './equal.fixture.ts';
import { check } from './equal.fixture.ts';
import { pipeline } from './pipeline.ts';
import type { Stream } from './stream.ts';
import { AdEvent, ads, stubSink, stubSource } from './stubs.fixture.ts';
import { table } from './table.ts';
import { hopping, session, tumbling } from './windows.ts';

type RowIn<S> = S extends Stream<infer C> ? Plain<RowOf<C>> : never;

type AdEventRow = {
  readonly ad_id: string;
  readonly event_type: 'view' | 'click';
  readonly event_time: number;
  readonly 'user.id': string;
  readonly 'user.age': number | null;
  readonly price: number;
  readonly quantity: number;
  readonly balance: bigint;
  readonly seen: boolean;
  readonly tags: string[];
};

check<Equal<Plain<Row<typeof AdEvent>>, AdEventRow>>();

const events = pipeline('types').from(stubSource(AdEvent), { time: 'event_time' });
check<Equal<RowIn<typeof events>, AdEventRow>>();

// @ts-expect-error: there is no such column.
pipeline('types').from(stubSource(AdEvent), { time: 'event_tim' });
// @ts-expect-error: not a time.
pipeline('types').from(stubSource(AdEvent), { time: 'price' });
// @ts-expect-error: not a duration.
pipeline('types').from(stubSource(AdEvent), { watermark: { delay: '1 second' } });

const views = events.filter((e) => e.event_type.eq('view').and(e.user.age.ge(18)));
check<Equal<RowIn<typeof views>, AdEventRow>>();
events.filter((e) => e['user.id'].eq('u1'));
// @ts-expect-error: there is no such column.
events.filter((e) => e.event_typ.eq('view'));
// @ts-expect-error: there is no such nested column.
events.filter((e) => e.user.name.eq('x'));
// @ts-expect-error: no event type is called so.
events.filter((e) => e.event_type.eq('veiw'));
// @ts-expect-error: a number is compared with text.
events.filter((e) => e.price.eq('x'));
// @ts-expect-error: a number is compared with a time.
events.filter((e) => e.price.lt(e.event_time));
// @ts-expect-error: int64 and float64 do not mix.
events.filter((e) => e.balance.gt(e.price));
// @ts-expect-error: numbers have no `lower`.
events.filter((e) => e.price.lower().eq('x'));
// @ts-expect-error: json has no comparison.
events.filter((e) => e.tags.eq('x'));
// @ts-expect-error: a predicate is boolean.
events.filter((e) => e.price);
// @ts-expect-error: no unit is called so.
events.filter((e) => e.event_time.dateTrunc('fortnight').eq(0));

events.filterRow((row) => row['user.age'] === null || row.tags.includes('x'));
// @ts-expect-error: there is no such column.
events.filterRow((row) => row.prise > 1);

const selected = events.select((e) => ({
  at: e.event_time,
  total: e.price.mul(e.quantity),
  half: e.balance.div(2),
  age: e.user.age.add(1),
  known: e.user.age.coalesce(0),
  lasted: e.event_time.sub(e.event_time),
  later: e.event_time.add(1000),
  size: iff(e.price.gt(100), 'large', 'small'),
  paid: iff(e.seen, e.price, null),
  one: literal(1),
  tag: e.$lambda(string(), (row) => row.tags[0] ?? ''),
  few: e.$lambda(float64(), ['price'], (row) => row.price),
}));
check<
  Equal<
    RowIn<typeof selected>,
    {
      readonly at: number;
      readonly total: number;
      readonly half: bigint | null;
      readonly age: number | null;
      readonly known: number;
      readonly lasted: number;
      readonly later: number;
      readonly size: 'large' | 'small';
      readonly paid: number | null;
      readonly one: number;
      readonly tag: string;
      readonly few: number;
    }
  >
>();
// @ts-expect-error: the lambda gives a number where text was declared.
events.select((e) => ({ x: e.$lambda(string(), (row) => row.price) }));
// @ts-expect-error: a column that the lambda did not name.
events.select((e) => ({ x: e.$lambda(float64(), ['price'], (row) => row.quantity) }));
// @ts-expect-error: both sides of a choice are of one family.
events.select((e) => ({ x: iff(e.seen, e.price, 'none') }));
// @ts-expect-error: a select gives expressions.
events.select(() => ({ x: 1 }));

const two = events.select('ad_id', 'user.age');
check<Equal<RowIn<typeof two>, { readonly ad_id: string; readonly 'user.age': number | null }>>();
// @ts-expect-error: there is no such column.
events.select('ad_id', 'nope');

const joined = two.join(ads, { on: { ad_id: 'ad_id' } });
check<
  Equal<
    RowIn<typeof joined>,
    {
      readonly ad_id: string;
      readonly 'user.age': number | null;
      readonly campaign_id: string;
    }
  >
>();
const left = two.join(ads, { on: { ad_id: 'ad_id' }, how: 'left', columns: { c: 'campaign_id' } });
check<
  Equal<
    RowIn<typeof left>,
    {
      readonly ad_id: string;
      readonly 'user.age': number | null;
      readonly c: string | null;
    }
  >
>();
const Rate = schema({ code: string(), rate: float64(), note: string().nullable() });
const rates = pipeline('types').from(stubSource(Rate));
const rated = two.join(rates.broadcast(), { on: { ad_id: 'code' } });
check<
  Equal<
    RowIn<typeof rated>,
    RowIn<typeof two> & { readonly rate: number; readonly note: string | null } extends infer R
      ? Plain<R>
      : never
  >
>();
const perhaps = two.join(rates.broadcast(), {
  on: { ad_id: 'code' },
  how: 'left',
  columns: { price: 'rate' },
});
check<Equal<RowIn<typeof perhaps>['price'], number | null>>();
// @ts-expect-error: a stream must be broadcast to be joined with.
two.join(rates, { on: { ad_id: 'code' } });
// @ts-expect-error: there is no such column.
two.join(rates.broadcast(), { on: { ad_id: 'key' } });
// @ts-expect-error: a number is joined with text.
events.join(rates.broadcast(), { on: { price: 'code' } });

const listed = two.join(ads, { on: { ad_id: 'ad_id' }, columns: ['campaign_id'] });
check<Equal<RowIn<typeof listed>, RowIn<typeof joined>>>();
// @ts-expect-error: the table has no such column.
two.join(ads, { on: { ad_id: 'id' } });
// @ts-expect-error: the stream has no such column.
two.join(ads, { on: { id: 'ad_id' } });
// @ts-expect-error: a number is joined with text.
events.join(ads, { on: { price: 'ad_id' } });
// @ts-expect-error: the table has no such column.
two.join(ads, { on: { ad_id: 'ad_id' }, columns: ['campaign'] });
// @ts-expect-error: a row of the table lacks a column.
table('t', { a: string(), b: int32() }, [{ a: 'x' }]);

const windows = events
  .groupBy('ad_id')
  .window(tumbling('10s'), { allowedLateness: '5s' })
  .aggregate((e) => ({
    views: count(),
    revenue: sum(e.price.mul(e.quantity)),
    balance: sum(e.balance),
    age: avg(e.user.age),
    least: min(e.event_type),
    entry: first(e.tags),
    oldest: max(e.user.age),
    users: countDistinct(e.user.id),
    top: topK(e.ad_id, { by: e.price, k: 3 }),
    longest: e.$aggregate(float64(), {
      init: () => 0,
      add: (longest, row) => Math.max(longest, row.tags.length),
      merge: (a, b) => Math.max(a, b),
      result: (longest) => longest,
    }),
  }));
check<
  Equal<
    RowIn<typeof windows>,
    {
      readonly ad_id: string;
      readonly windowStart: number;
      readonly windowEnd: number;
      readonly views: number;
      readonly revenue: number;
      readonly balance: bigint;
      readonly age: number | null;
      readonly least: 'view' | 'click';
      readonly entry: string[];
      readonly oldest: number | null;
      readonly users: number;
      readonly top: readonly string[];
      readonly longest: number;
    }
  >
>();
// @ts-expect-error: text has no sum.
events.groupBy('ad_id').aggregate((e) => ({ x: sum(e.ad_id) }));
// @ts-expect-error: json has no order.
events.groupBy('ad_id').aggregate((e) => ({ x: max(e.tags) }));
// @ts-expect-error: expressions are no aggregates.
events.groupBy('ad_id').aggregate((e) => ({ x: e.price }));
// @ts-expect-error: there is no such column.
events.groupBy('ad');
// @ts-expect-error: not a duration.
tumbling('10 seconds');
// @ts-expect-error: not a duration.
hopping('10s', 'x');
// @ts-expect-error: a gap is one duration.
session('30m', '1s');

const longest = customAggregate(float64(), {
  init: () => 0,
  add: (most, row: { readonly price: number }) => Math.max(most, row.price),
  merge: (a, b) => Math.max(a, b),
  result: (most) => most,
});
events.groupBy('ad_id').aggregate(() => ({ longest }));
// @ts-expect-error: the rows have no price.
two.groupBy('ad_id').aggregate(() => ({ longest }));

const grouped = events
  .groupBy((e) => ({ day: e.event_time.dateTrunc('day') }))
  .aggregate(() => ({ n: count() }));
check<Equal<RowIn<typeof grouped>, { readonly day: number; readonly n: number }>>();

const total = events.window(tumbling('1s')).aggregate(() => ({ n: count() }), { fanIn: 8 });
// @ts-expect-error: groups with keys are spread already.
events.groupBy('ad_id').aggregate(() => ({ n: count() }), { fanIn: 8 });
const perSeen = events.groupBy('seen').window(tumbling('1s'));
// @ts-expect-error: nor behind a window.
perSeen.aggregate(() => ({ n: count() }), { fanIn: 8 });
check<
  Equal<
    RowIn<typeof total>,
    { readonly windowStart: number; readonly windowEnd: number; readonly n: number }
  >
>();

const Word = schema({ at: timestamp(), word: string() });
const words = events.flatMap(Word, (row) => row.tags.map((word) => ({ at: row.event_time, word })));
check<Equal<RowIn<typeof words>, { readonly at: number; readonly word: string }>>();
// @ts-expect-error: the row lacks a column.
events.map(Word, (row) => ({ at: row.event_time }));
events.map(Word, (row, context) => ({ at: context.batchTimeMs, word: row.ad_id }));

events.union(views);
// @ts-expect-error: the columns differ.
events.union(two);

events.to(stubSink<{ readonly price: number }>());
events.to(stubSink<unknown>());
windows.lateTo(stubSink<{ readonly price: number }>()).to(stubSink<{ readonly views: number }>());
// @ts-expect-error: the rows have no price.
two.to(stubSink<{ readonly price: number }>());
// @ts-expect-error: late rows are the rows that went in.
windows.lateTo(stubSink<{ readonly views: number }>());
