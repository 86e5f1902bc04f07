// Pipelines that every layer is tested with: one of each shape that the planner knows.

import type { LogicalPlan } from '../plan/logical-plan.ts';
import type { Expr } from '../expr/expr.ts';
import {
  aggregateCall,
  call,
  column,
  lambda,
  literal,
  PlanBuilder,
  schemaOf,
} from './plan-builder.ts';

const time = column('time', 'timestamp');
const clicks = schemaOf({
  user: 'string',
  page: 'string?',
  country: 'string',
  price: 'float64',
  time: 'timestamp',
});

function above(left: Expr, limit: number): Expr {
  return call('gt', 'boolean', left, literal(limit, 'float64'));
}

/** The Yahoo Streaming Benchmark: filter, project, join with a table, count by window. */
export function ysbPlan(): LogicalPlan {
  const builder = new PlanBuilder('ysb');
  const events = builder.source(
    'events',
    schemaOf({
      user_id: 'string',
      page_id: 'string',
      ad_id: 'string',
      ad_type: 'string',
      event_type: 'string',
      event_time: 'timestamp',
      ip_address: 'string',
    }),
    { time: 'event_time', watermark: { delayMs: 100, idleMs: 2000 } },
  );
  const campaigns = builder.table(
    'campaigns',
    schemaOf({ ad: 'string', campaign: 'string' }),
    1000,
  );
  const views = builder.filter(
    events,
    call('eq', 'boolean', column('event_type', 'string'), literal('view', 'string')),
  );
  const ads = builder.project(views, {
    ad_id: column('ad_id', 'string'),
    event_time: column('event_time', 'timestamp'),
  });
  const joined = builder.join(ads, campaigns, {
    on: { ad: column('ad_id', 'string') },
    add: { campaign_id: 'campaign' },
  });
  const counts = builder.aggregate(joined, {
    keys: { campaign_id: column('campaign_id', 'string') },
    window: { kind: 'tumbling', sizeMs: 10_000, offsetMs: 0 },
    time: column('event_time', 'timestamp'),
    aggregates: [aggregateCall('views', 'count')],
  });
  builder.sink(counts, 'results');
  return builder.plan();
}

/** Computed keys and arguments, updates, one sink partition, a filter that moves below a join. */
export function hoppingPlan(): LogicalPlan {
  const builder = new PlanBuilder('hopping');
  const source = builder.source('clicks', clicks, { time: 'time' });
  const regions = builder.table('regions', schemaOf({ country: 'string', region: 'string' }), 200);
  const joined = builder.join(source, regions, {
    how: 'left',
    on: { country: column('country', 'string') },
    add: { region: 'region' },
  });
  const region = column('region', 'string?');
  const filtered = builder.filter(
    joined,
    call(
      'and',
      'boolean',
      above(column('price', 'float64'), 1),
      call('not', 'boolean', call('is-null', 'boolean', region)),
    ),
  );
  const cents = call('mul', 'float64', column('price', 'float64'), literal(100, 'float64'));
  const results = builder.aggregate(filtered, {
    keys: { region: call('lower', 'string?', region), user: column('user', 'string') },
    window: { kind: 'hopping', sizeMs: 60_000, hopMs: 15_000, offsetMs: 0 },
    time,
    aggregates: [
      aggregateCall('clicks', 'count'),
      aggregateCall('cents', 'sum', { args: [cents], type: 'float64?' }),
      aggregateCall('most', 'max', { args: [cents], type: 'float64?' }),
      aggregateCall('pages', 'count-distinct', { args: [column('page', 'string?')] }),
    ],
    emit: 'update',
  });
  builder.sink(results, 'console', 1);
  return builder.plan();
}

/** Sessions with a lambda filter, a map and a custom aggregate. */
export function sessionPlan(): LogicalPlan {
  const builder = new PlanBuilder('sessions');
  const source = builder.source('clicks', clicks, { time: 'time' });
  builder.fn('f1', '(row) => row.page !== null && row.page.startsWith("/shop")');
  builder.fn('path', 'Path');
  const shop = builder.filter(source, lambda('f1', 'boolean', ['page']));
  const double = builder.fn('f2', '(row) => ({ ...row, price: 2 * row.price })');
  const doubled = builder.map(shop, double, clicks);
  const sessions = builder.aggregate(doubled, {
    keys: { user: column('user', 'string') },
    window: { kind: 'session', gapMs: 30 * 60_000 },
    time,
    allowedLatenessMs: 5000,
    aggregates: [
      aggregateCall('clicks', 'count'),
      aggregateCall('entry', 'first', { args: [column('page', 'string?')], type: 'string?' }),
      aggregateCall('best', 'top-k', {
        args: [column('page', 'string?'), column('price', 'float64')],
        type: 'json?',
        k: 3,
      }),
      aggregateCall('path', 'custom', { custom: 'path', type: 'json' }),
    ],
  });
  builder.sink(sessions, 'sessions');
  return builder.plan();
}

/** Two sources of unequal columns into one aggregate; a filter moves into both. */
export function unionPlan(): LogicalPlan {
  const builder = new PlanBuilder('union');
  const web = builder.source('web', clicks, { time: 'time' });
  const app = builder.source(
    'app',
    schemaOf({ id: 'string', country: 'string', cents: 'int64', at: 'timestamp' }),
    { time: 'at', format: { kind: 'csv', delimiter: ',', header: null } },
  );
  const dollars = call(
    'div',
    'float64',
    call('to-float64', 'float64', column('cents', 'int64')),
    literal(100, 'float64'),
  );
  const fromWeb = builder.project(web, {
    user: column('user', 'string'),
    country: column('country', 'string'),
    price: column('price', 'float64'),
    time,
  });
  const fromApp = builder.project(app, {
    user: column('id', 'string'),
    country: column('country', 'string'),
    price: dollars,
    time: column('at', 'timestamp'),
  });
  const all = builder.union(fromWeb, fromApp);
  const swiss = builder.filter(
    all,
    call('eq', 'boolean', column('country', 'string'), literal('CH', 'string')),
  );
  const totals = builder.aggregate(swiss, {
    keys: { user: column('user', 'string') },
    window: { kind: 'tumbling', sizeMs: 3_600_000, offsetMs: 900_000 },
    time,
    aggregates: [
      aggregateCall('spent', 'sum', { args: [column('price', 'float64')], type: 'float64?' }),
    ],
  });
  builder.sink(totals, 'totals');
  builder.sink(swiss, 'rows', 1);
  return builder.plan();
}

/** Counts by user, then over all users. */
export function twoLevelPlan(): LogicalPlan {
  const builder = new PlanBuilder('two-level');
  const source = builder.source('clicks', clicks, { time: 'time' });
  const minutes = builder.aggregate(source, {
    keys: { user: column('user', 'string') },
    window: { kind: 'tumbling', sizeMs: 60_000, offsetMs: 0 },
    time,
    allowedLatenessMs: 2000,
    aggregates: [
      aggregateCall('clicks', 'count'),
      aggregateCall('unused', 'avg', { args: [column('price', 'float64')], type: 'float64?' }),
    ],
  });
  const end = column('windowEnd', 'timestamp');
  const hours = builder.aggregate(minutes, {
    window: { kind: 'tumbling', sizeMs: 3_600_000, offsetMs: 0 },
    time: call('sub', 'timestamp', end, literal(1, 'float64')),
    aggregates: [
      aggregateCall('users', 'approx-count-distinct', { args: [column('user', 'string')] }),
      aggregateCall('busiest', 'max', { args: [column('clicks', 'float64')], type: 'float64?' }),
    ],
  });
  builder.sink(hours, 'hours', 1);
  return builder.plan();
}

/** Late rows go to a sink of their own, so whole rows cross the exchange. */
export function latePlan(): LogicalPlan {
  const builder = new PlanBuilder('late');
  const source = builder.source('clicks', clicks, { time: 'time', watermark: { delayMs: 500 } });
  const late = builder.sideSink('late', clicks);
  const totals = builder.aggregate(source, {
    keys: { country: call('upper', 'string', column('country', 'string')) },
    window: { kind: 'tumbling', sizeMs: 1000, offsetMs: 0 },
    time,
    aggregates: [aggregateCall('clicks', 'count')],
    late,
  });
  builder.sink(totals, 'totals');
  return builder.plan();
}

/** No keys: the parts of all partitions are merged in a tree, three at a time. */
export function treePlan(): LogicalPlan {
  const builder = new PlanBuilder('tree');
  const source = builder.source('clicks', clicks, { time: 'time' });
  const totals = builder.aggregate(source, {
    window: { kind: 'hopping', sizeMs: 60_000, hopMs: 20_000, offsetMs: 0 },
    time,
    fanIn: 3,
    aggregates: [
      aggregateCall('clicks', 'count'),
      aggregateCall('spent', 'sum', { args: [column('price', 'float64')], type: 'float64?' }),
    ],
  });
  builder.sink(totals, 'totals');
  return builder.plan();
}

/** Clicks with the latest rate of their country, and of those what each user spent. */
export function broadcastPlan(): LogicalPlan {
  const builder = new PlanBuilder('broadcast');
  const source = builder.source('clicks', clicks, { time: 'time' });
  const rates = builder.source(
    'rates',
    schemaOf({ code: 'string', rate: 'float64', note: 'string?', at: 'timestamp' }),
    { time: 'at' },
  );
  const large = builder.filter(rates, above(column('rate', 'float64'), 0));
  const joined = builder.broadcastJoin(source, large, {
    how: 'left',
    on: { code: column('country', 'string') },
    add: { rate: 'rate', unused: 'note' },
  });
  const dear = builder.filter(joined, above(column('price', 'float64'), 10));
  const totals = builder.aggregate(dear, {
    keys: { user: column('user', 'string') },
    window: { kind: 'tumbling', sizeMs: 60_000, offsetMs: 0 },
    time,
    aggregates: [
      aggregateCall('spent', 'sum', {
        args: [call('mul', 'float64?', column('price', 'float64'), column('rate', 'float64?'))],
        type: 'float64?',
      }),
    ],
  });
  builder.sink(totals, 'totals');
  return builder.plan();
}
