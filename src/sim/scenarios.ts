// The pipelines that the simulator runs, through the public API, over a little random data: events
// of a few users on a few pages, out of order by up to two seconds.

import { pipeline } from '../api/pipeline.ts';
import type { Pipeline } from '../api/pipeline.ts';
import {
  approxCountDistinct,
  avg,
  count,
  countDistinct,
  customAggregate,
  first,
  last,
  max,
  min,
  sum,
  topK,
} from '../api/aggregates.ts';
import { table } from '../api/table.ts';
import { hopping, session, tumbling } from '../api/windows.ts';
import type { Random } from '../base/random.ts';
import type { TypedSource } from '../ports/typed.ts';
import { float64, int32, string, timestamp } from '../schema/column-type.ts';
import { schema } from '../schema/schema.ts';
import type { Row } from '../schema/schema.ts';
import { startMs } from './cluster.ts';
import { SimulatedSink, simulatedRows } from './simulated-rows.ts';

export type Scenario = {
  readonly name: string;
  readonly build: (random: Random) => Pipeline;
  /** The result does not depend on the order in which blocks come. */
  readonly anyOrder: boolean;
  /** Why only the data plane itself can say what is right; null: an interpreter can as well. */
  readonly opaque: string | null;
};

const Click = schema({
  user: string(),
  page: string().nullable(),
  kind: string(),
  price: float64(),
  quantity: int32().nullable(),
  time: timestamp('ms'),
});

type ClickRow = Row<typeof Click>;
type Clicks = TypedSource<(typeof Click)['columns']>;

const pages = ['/', '/shop', '/shop/ä€𝄞', null] as const;
const kinds = ['view', 'click', 'purchase'] as const;

/** Random clicks by partition; event time goes forward with a little disorder. */
function clicks(
  random: Random,
  { badShare = 0, partitionsMax = 4 }: { badShare?: number; partitionsMax?: number } = {},
): Clicks {
  const users = random.integer(1, 12);
  const stepMs = random.pick([5, 50, 400]);
  const disorderMs = random.pick([0, 300, 2000]);
  const partitions = Array.from({ length: random.integer(1, partitionsMax) }, () => {
    const length = random.integer(0, 120);
    return Array.from({ length }, (_, index): ClickRow => ({
      user: `u${random.integer(1, users)}`,
      page: random.pick(pages),
      kind: random.pick(kinds),
      price: random.chance(badShare) ? badPrice : random.integer(0, 4000) / 8,
      quantity: random.chance(0.2) ? null : random.integer(-3, 9),
      time: startMs + index * stepMs - Math.floor(random.float() * disorderMs),
    }));
  });
  return simulatedRows(Click, partitions, random.pick(['rows', 'json-lines']));
}

/** What no column of numbers takes. */
const badPrice = 'dear' as unknown as number;

const watermark = { delay: '500ms' } as const;

const pageGroups = table('groups', { page: string(), section: string() }, [
  { page: '/', section: 'home' },
  { page: '/shop', section: 'shop' },
  { page: '/shop', section: 'all' },
  { page: '/nowhere', section: 'none' },
]);

export const scenarios: readonly Scenario[] = [
  {
    name: 'tumbling-join',
    anyOrder: true,
    opaque: null,
    build: (random) =>
      pipeline('tumbling-join')
        .from(clicks(random), { time: 'time', watermark })
        .filter((e) => e.kind.eq('view'))
        .join(pageGroups, { on: { page: 'page' } })
        .groupBy('section')
        .window(tumbling('1s'))
        .aggregate(() => ({ views: count() }))
        .to(new SimulatedSink()),
  },
  {
    name: 'hopping-updates',
    anyOrder: false,
    opaque: null,
    build: (random) =>
      pipeline('hopping-updates')
        .from(clicks(random), { time: 'time', watermark })
        .groupBy('user')
        .window(hopping('2s', '500ms'))
        .aggregate(
          (e) => ({
            total: sum(e.price.mul(e.quantity)),
            mean: avg(e.price),
            least: min(e.page),
            most: max(e.quantity),
          }),
          { emit: 'update' },
        )
        .to(new SimulatedSink(1)),
  },
  {
    name: 'sessions',
    anyOrder: false,
    opaque: null,
    build: (random) =>
      pipeline('sessions')
        .from(clicks(random), { time: 'time', watermark })
        .groupBy('user')
        .window(session('700ms'), { allowedLateness: '1s' })
        .aggregate((e) => ({ clicks: count(), entry: first(e.page), exit: last(e.page) }))
        .to(new SimulatedSink()),
  },
  {
    name: 'union',
    anyOrder: true,
    opaque: null,
    build: (random) => {
      const start = pipeline('union');
      const left = start.from(clicks(random), { time: 'time', watermark, name: 'left' });
      const right = start.from(clicks(random), { time: 'time', watermark, name: 'right' });
      return left
        .filter((e) => e.price.gt(100))
        .union(right)
        .groupBy('user')
        .window(tumbling('1s'))
        .aggregate((e) => ({ clicks: count(), spent: sum(e.price) }))
        .to(new SimulatedSink());
    },
  },
  {
    name: 'two-levels',
    anyOrder: true,
    opaque: null,
    build: (random) =>
      pipeline('two-levels')
        .from(clicks(random), { time: 'time', watermark })
        .groupBy('user', 'kind')
        .window(tumbling('500ms'))
        .aggregate((e) => ({ clicks: count(), spent: sum(e.price) }))
        .groupBy('kind')
        .window(tumbling('2s'))
        .aggregate((e) => ({ users: count(), most: max(e.clicks), spent: sum(e.spent) }))
        .to(new SimulatedSink()),
  },
  {
    name: 'lambdas',
    anyOrder: true,
    opaque: null,
    build: (random) =>
      pipeline('lambdas')
        .from(clicks(random), { time: 'time', watermark })
        .filterRow((row) => row.page !== null && row.page.length > 1)
        .map(schema({ user: string(), cents: int32(), time: timestamp('ms') }), (row) => ({
          user: row.user.toUpperCase(),
          cents: Math.round(row.price * 100),
          time: row.time,
        }))
        .flatMap(schema({ user: string(), digit: int32(), time: timestamp('ms') }), (row) =>
          [...String(row.cents)].map((digit) => ({
            user: row.user,
            digit: Number(digit),
            time: row.time,
          })),
        )
        .groupBy('user')
        .window(tumbling('1s'))
        .aggregate(() => ({
          digits: customAggregate(string(), {
            init: () => [0, 0],
            add: ([sumOf, most]: number[], row: { readonly digit: number }) => [
              (sumOf ?? 0) + row.digit,
              Math.max(most ?? 0, row.digit),
            ],
            merge: (a, b) => [(a[0] ?? 0) + (b[0] ?? 0), Math.max(a[1] ?? 0, b[1] ?? 0)],
            result: (acc) => acc.join('/'),
          }),
        }))
        .to(new SimulatedSink()),
  },
  {
    name: 'distinct',
    anyOrder: false,
    opaque: null,
    build: (random) =>
      pipeline('distinct')
        .from(clicks(random), { time: 'time', watermark })
        .groupBy('kind')
        .window(tumbling('2s'))
        .aggregate((e) => ({
          users: countDistinct(e.user),
          dearest: topK(e.user, { by: e.price, k: 3 }),
        }))
        .to(new SimulatedSink()),
  },
  {
    name: 'approximate',
    anyOrder: true,
    opaque: 'approximate numbers differ from exact ones',
    build: (random) =>
      pipeline('approximate')
        .from(clicks(random), { time: 'time', watermark })
        .groupBy('kind')
        .window(tumbling('2s'))
        .aggregate((e) => ({ users: approxCountDistinct(e.user) }))
        .to(new SimulatedSink()),
  },
  {
    name: 'late-rows',
    anyOrder: false,
    opaque: null,
    build: (random) =>
      pipeline('late-rows')
        .from(clicks(random), { time: 'time', watermark: { delay: '50ms' } })
        .groupBy('user')
        .window(tumbling('400ms'), { allowedLateness: '100ms' })
        .aggregate(() => ({ clicks: count() }))
        .lateTo(new SimulatedSink())
        .to(new SimulatedSink()),
  },
  {
    name: 'stateless',
    anyOrder: true,
    opaque: null,
    build: (random) =>
      pipeline('stateless')
        .from(clicks(random), { time: 'time', watermark })
        .filter((e) => e.kind.eq('purchase'))
        .select((e) => ({ user: e.user, total: e.price.mul(2), time: e.time }))
        .to(new SimulatedSink()),
  },
  {
    name: 'bad-records',
    anyOrder: false,
    opaque: 'the interpreter knows no bad records',
    build: (random) => {
      const onError = random.chance(0.5) ? 'skip' : { deadLetter: new SimulatedSink() };
      return pipeline('bad-records')
        .from(clicks(random, { badShare: 0.1 }), { time: 'time', watermark, onError })
        .groupBy('user')
        .window(tumbling('1s'))
        .aggregate((e) => ({ clicks: count(), spent: sum(e.price) }))
        .to(new SimulatedSink());
    },
  },
  {
    name: 'idle-partitions',
    anyOrder: false,
    opaque: 'partitions of one micro-batch are triggered at different times',
    build: (random) =>
      pipeline('idle-partitions')
        .from(clicks(random), { time: 'time', watermark: { delay: '100ms', idle: '20ms' } })
        .groupBy('user')
        .window(tumbling('300ms'))
        .aggregate((e) => ({ clicks: count(), last: last(e.page) }))
        .lateTo(new SimulatedSink())
        .to(new SimulatedSink()),
  },
  {
    name: 'tree',
    anyOrder: true,
    opaque: null,
    build: (random) =>
      pipeline('tree')
        .from(clicks(random, { partitionsMax: 9 }), { time: 'time', watermark })
        .window(tumbling('1s'))
        .aggregate(
          (e) => ({ clicks: count(), spent: sum(e.price), users: countDistinct(e.user) }),
          {
            fanIn: random.pick([2, 3]),
          },
        )
        .to(new SimulatedSink()),
  },
  {
    name: 'broadcast',
    anyOrder: false,
    opaque: null,
    build: (random) => {
      const start = pipeline('broadcast');
      const first = start.from(clicks(random), { time: 'time', watermark, name: 'left' });
      const second = start.from(clicks(random), { time: 'time', watermark, name: 'more' });
      const left = random.chance(0.3) ? first.union(second) : first;
      const right = start.from(clicks(random), { time: 'time', watermark, name: 'right' });
      const purchases = right.filter((e) => e.kind.eq('purchase'));
      const joined = left.join(purchases.broadcast(), {
        on: { user: 'user' },
        how: random.pick(['inner', 'left']),
        columns: { bought: 'page', paid: 'price' },
      });
      const rows = joined.filter((e) => e.price.gt(50)).to(new SimulatedSink());
      const sums = joined
        .groupBy('bought')
        .window(tumbling('1s'))
        .aggregate((e) => ({ clicks: count(), most: max(e.paid) }))
        .to(new SimulatedSink());
      return random.chance(0.3) ? rows.with(sums) : sums;
    },
  },
  {
    name: 'context',
    anyOrder: false,
    opaque: 'its lambda asks for the time and for random numbers',
    build: (random) =>
      pipeline('context')
        .from(clicks(random), { time: 'time', watermark })
        .map(
          schema({ user: string(), delayMs: float64(), draw: float64(), time: timestamp('ms') }),
          (row, context) => ({
            user: row.user,
            delayMs: context.batchTimeMs - row.time,
            draw: context.random(),
            time: row.time,
          }),
        )
        .groupBy('user')
        .window(tumbling('1s'))
        .aggregate((e) => ({ worst: max(e.delayMs), least: min(e.draw), exit: last(e.draw) }))
        .to(new SimulatedSink()),
  },
  {
    name: 'all-time',
    anyOrder: false,
    opaque: null,
    build: (random) =>
      pipeline('all-time')
        .from(clicks(random), { time: 'time', watermark })
        .groupBy('kind')
        .aggregate((e) => ({ clicks: count(), spent: sum(e.price) }), { emit: 'update' })
        .to(new SimulatedSink(1)),
  },
];
