// Pipelines that tests run in worker threads: the threads import this module by its default export,
// and the tests say by the command line of the thread which one they mean.

import {
  collect,
  count,
  float64,
  generator,
  memory,
  pipeline,
  schema,
  string,
  sum,
  timestamp,
  tumbling,
} from '../../src/index.ts';
import type { Pipeline } from '../../src/index.ts';

export const order = schema({ country: string(), amount: float64(), at: timestamp('ms') });

const countries = ['AT', 'BR', 'CA', 'DK', 'EG'];

/** Orders at 100 a second of event time. */
export const orders = Array.from({ length: 5_000 }, (_, index) => ({
  country: countries[index % countries.length]!,
  amount: (index * 37) % 100,
  at: 1_700_000_000_000 + index * 10,
}));

export type Revenue = {
  readonly country: string;
  readonly windowStart: number;
  readonly orders: number;
  readonly revenue: number;
};

export const revenue = collect<Revenue>();

/** A bounded job with a join-free shuffle; half the orders in each of two partitions. */
export const bounded: Pipeline = pipeline('bounded')
  .from(
    memory(
      {
        partitions: [
          orders.filter((_, index) => index % 2 === 0),
          orders.filter((_, index) => index % 2 === 1),
        ],
      },
      { schema: order },
    ),
    { time: 'at', watermark: { delay: '1s' } },
  )
  .groupBy('country')
  .window(tumbling('1s'))
  .aggregate((e) => ({ orders: count(), revenue: sum(e.amount) }))
  .to(revenue);

export const endlessCounts = collect<{ readonly country: string; readonly orders: number }>();

/** Never ends by itself. */
export const endless: Pipeline = pipeline('endless')
  .from(
    generator({
      schema: order,
      eventsPerSecond: 20_000,
      partitions: 2,
      rows: (index, dueMs) => ({ country: countries[index % 5]!, amount: index, at: dueMs }),
    }),
    { time: 'at' },
  )
  .groupBy('country')
  .window(tumbling('200ms'))
  .aggregate(() => ({ orders: count() }))
  .to(endlessCounts);

export const passed = collect<{ readonly at: number }>();

/** A user's function that fails on one row. */
export const throwing: Pipeline = pipeline('throwing')
  .from(memory(orders, { schema: order }), { time: 'at' })
  .filterRow((row) => {
    if (row.at === 1_700_000_010_000) throw new RangeError('no such country');
    return true;
  })
  .to(passed);

/** Ends the whole thread it runs in. */
export const exiting: Pipeline = pipeline('exiting')
  .from(memory(orders, { schema: order }), { time: 'at' })
  .filterRow((row) => {
    if (row.at === 1_700_000_010_000) process.exit(3);
    return true;
  })
  .to(collect());

const all: Readonly<Record<string, Pipeline>> = { bounded, endless, throwing, exiting };

/** The one that the program was told to run. */
export default all[process.env['MIZZLE_TEST_PIPELINE'] ?? 'bounded'];
