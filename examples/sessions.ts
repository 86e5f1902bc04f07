// A shop's visits: clicks become sessions, one per user and spell of activity. A function tells
// what a page is for, an aggregate of our own how far a visitor came, and clicks that came after
// their session had closed go to an output of their own. Run: `npm run example sessions.ts`

import { join } from 'node:path';
import {
  collect,
  count,
  files,
  first,
  float64,
  pipeline,
  schema,
  session,
  string,
  sum,
  timestamp,
} from '../src/index.ts';

const Click = schema({
  user: string(),
  url: string(),
  at: timestamp('iso'),
  paid: float64().nullable(),
});

/** The steps towards an order, in this order. */
const steps = ['looked around', 'searched', 'saw a product', 'filled the cart', 'bought'] as const;

/** Any JavaScript will do in a lambda. */
function stepOf(url: string): number {
  const [, folder = ''] = new URL(url, 'https://shop.example').pathname.split('/');
  return Math.max(0, ['', 'search', 'products', 'cart', 'checkout'].indexOf(folder));
}

const path = join(import.meta.dirname, 'data', 'clicks.jsonl');

type Visit = {
  readonly user: string;
  readonly windowStart: number;
  readonly windowEnd: number;
  readonly clicks: number;
  readonly entry: string;
  readonly reached: string;
  readonly paid: number | null;
};
const visits = collect<Visit>();
const late = collect<{ readonly user: string; readonly url: string; readonly at: number }>();

const shop = pipeline('sessions')
  // Clicks may be up to two minutes out of order.
  .from(files({ path, schema: Click }), { time: 'at', watermark: { delay: '2m' } })
  .select((e) => ({
    user: e.user,
    url: e.url,
    at: e.at,
    paid: e.paid,
    // Named columns let the planner see what the function needs; `explain` lists it as opaque.
    step: e.$lambda(float64(), ['url'], (row) => stepOf(row.url)),
  }))
  .groupBy('user')
  .window(session('30m'))
  .aggregate((e) => ({
    clicks: count(),
    entry: first(e.url),
    // An accumulator is any JSON value. `merge` joins those of two sessions that grew together.
    reached: e.$aggregate(string(), {
      init: () => 0,
      add: (furthest, row) => Math.max(furthest, row.step),
      merge: (left, right) => Math.max(left, right),
      result: (furthest) => steps[furthest] ?? 'got lost',
    }),
    paid: sum(e.paid),
  }))
  .lateTo(late)
  .to(visits);

// A file this small would be one micro-batch, in which nothing is late: read 512 bytes at a time.
const job = await shop.run({ workers: 2, bytesPerTask: 512 });
await job.done;

const inOrder = visits.rows.toSorted(
  (a, b) => a.windowStart - b.windowStart || (a.user < b.user ? -1 : 1),
);
for (const { user, windowStart, windowEnd, clicks, entry, reached, paid } of inOrder) {
  // A session ends when nothing has come for 30 minutes.
  const lastClick = windowEnd - 30 * 60_000;
  console.log(
    `${clock(windowStart)}–${clock(lastClick)}  ${user.padEnd(5)} ${clicks} clicks from ` +
      `${entry.padEnd(17)} ${reached}${paid === null ? '' : `, for ${paid.toFixed(2)}`}`,
  );
}
for (const { user, url, at } of late.rows) {
  console.log(`too late for its session: ${user} at ${clock(at)}, ${url}`);
}

function clock(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(11, 16);
}
