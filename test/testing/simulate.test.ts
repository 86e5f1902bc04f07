// How a user tests a pipeline against everything that can go wrong in a cluster: the example of the
// test kit, and what it says about pipelines that are not as they should be.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  collect,
  count,
  memory,
  pipeline,
  schema,
  string,
  sum,
  float64,
  timestamp,
  tumbling,
} from '../../src/index.ts';
import type { Row } from '../../src/index.ts';
import { checkDeterminism, simulate } from '../../src/testing/index.ts';

const Order = schema({ shop: string(), amount: float64(), at: timestamp('ms') });
type OrderRow = Row<typeof Order>;

const noon = Date.UTC(2026, 0, 1, 12);

/** A minute of orders of three shops, one every half second. */
const orders = Array.from({ length: 120 }, (_, index): OrderRow => {
  return { shop: ['Graz', 'Linz', 'Wien'][index % 3]!, amount: index, at: noon + 500 * index };
});

/** The pipeline under test. In production its source is a topic or files. */
function revenue() {
  const source = memory<typeof Order.columns>([], { schema: Order });
  return pipeline('revenue')
    .from(source, { time: 'at', watermark: { delay: '2s' }, name: 'orders' })
    .groupBy('shop')
    .window(tumbling('10s'))
    .aggregate((e) => ({ orders: count(), revenue: sum(e.amount) }))
    .to(collect(), { name: 'revenue' });
}

/** What the pipeline must give, in plain code. */
function expected(): string[] {
  const windows = new Map<string, { orders: number; revenue: number }>();
  for (const { shop, amount, at } of orders) {
    const key = `${shop} ${Math.floor(at / 10_000) * 10_000}`;
    const { orders: before, revenue: sumBefore } = windows.get(key) ?? { orders: 0, revenue: 0 };
    windows.set(key, { orders: before + 1, revenue: sumBefore + amount });
  }
  return Array.from(windows, ([key, window]) => `${key} ${window.orders} ${window.revenue}`).sort();
}

test('revenue is exact whatever happens to the cluster', () => {
  let recoveries = 0;
  for (const run of simulate(revenue(), { input: { orders }, seeds: 30 })) {
    const rows = run.rows['revenue'] ?? [];
    const actual = rows.map((row) =>
      [row['shop'], row['windowStart'], row['orders'], row['revenue']].join(' '),
    );
    assert.deepEqual(actual.sort(), expected(), `seed ${run.seed}`);
    recoveries += run.recoveries;
  }
  assert.ok(recoveries > 0, 'workers were lost');
});

test('simulate says which input it lacks', () => {
  assert.throws(() => simulate(revenue(), { input: { clicks: orders } }), {
    code: 'no-simulated-input',
    hint: /"orders"/,
  });
});

test('simulate reads all of the rows that it is given', () => {
  const [run] = simulate(revenue(), { input: { orders: orders.slice(0, 60) }, seeds: 1 });
  const actual = run?.rows['revenue']?.length ?? 0;
  assert.equal(actual, 3 * 3);
});

/** A stream whose lambda does as it likes. */
function stamped(stamp: () => number) {
  const Stamped = schema({ shop: string(), stamp: float64(), at: timestamp('ms') });
  return pipeline('stamped')
    .from(memory<typeof Order.columns>([], { schema: Order }), { time: 'at', name: 'orders' })
    .map(Stamped, ({ shop, at }) => ({ shop, stamp: stamp(), at }))
    .groupBy('shop')
    .window(tumbling('10s'))
    .aggregate((e) => ({ stamps: sum(e.stamp) }))
    .to(collect(), { name: 'stamped' });
}

const forbidden: readonly (readonly [string, () => number])[] = [
  ['Date.now()', () => Date.now()],
  ['new Date()', () => new Date().getTime()],
  ['Math.random()', () => Math.random()],
  ['performance.now()', () => performance.now()],
];

for (const [name, stamp] of forbidden) {
  test(`checkDeterminism finds ${name} in an operator, and where it is`, () => {
    const realNow = Date.now;
    assert.throws(
      () => checkDeterminism(stamped(stamp), { input: { orders } }),
      (error: { code?: string; message?: string }) => {
        assert.equal(error.code, 'not-deterministic');
        assert.ok(error.message?.includes(name), error.message);
        assert.match(error.message ?? '', /simulate\.test\.ts:\d+:\d+/);
        return true;
      },
    );
    assert.equal(Date.now, realNow);
  });
}

test('checkDeterminism finds what changes from run to run, and dates of the input are fine', () => {
  let calls = 0;
  assert.throws(
    () =>
      checkDeterminism(
        stamped(() => calls++),
        { input: { orders } },
      ),
    {
      code: 'not-deterministic',
    },
  );
  checkDeterminism(
    stamped(() => new Date(noon).getTime()),
    { input: { orders } },
  );
});
