// The takings of a chain of shops in one currency. Exchange rates are a small stream of their own:
// broadcast, so that every partition of the sales has the latest of each currency, and the sales
// are not shuffled for it. The total has no key; the parts of eight shops are added up in a tree,
// two at a time. `mizzle explain` shows both. Run: `npm run example rates.ts`

import {
  collect,
  count,
  float64,
  iff,
  max,
  memory,
  pipeline,
  schema,
  string,
  sum,
  timestamp,
  tumbling,
} from '../src/index.ts';

const Sale = schema({ shop: string(), currency: string(), amount: float64(), at: timestamp('ms') });
const Rate = schema({ currency: string(), euros: float64() });

const currencies = ['EUR', 'CHF', 'SEK', 'DKK', 'XXX'];
const opensAt = Date.UTC(2026, 0, 5, 8);

/** Eight shops, a source partition each, with a sale every half minute. */
const shops = Array.from({ length: 8 }, (_, shop) =>
  Array.from({ length: 240 }, (_, sale) => ({
    shop: `shop ${shop + 1}`,
    currency: currencies[(shop + sale) % currencies.length]!,
    amount: 10 + ((shop * 31 + sale * 17) % 90),
    at: opensAt + sale * 30_000,
  })),
);

/** A rate that comes again takes the place of the last one. */
const rates = [
  { currency: 'EUR', euros: 1 },
  { currency: 'CHF', euros: 10.5 },
  { currency: 'SEK', euros: 0.09 },
  { currency: 'DKK', euros: 0.13 },
  { currency: 'CHF', euros: 1.05 },
];

type Hour = {
  readonly windowStart: number;
  readonly sales: number;
  readonly euros: number | null;
  readonly unknown: number | null;
  readonly dearest: number | null;
};
const hours = collect<Hour>();

const chain = pipeline('rates');
const current = chain.from(memory(rates, { schema: Rate }), { name: 'rates' });

const takings = chain
  .from(memory({ partitions: shops }, { schema: Sale }), { time: 'at', name: 'sales' })
  // `left` keeps sales whose currency has no rate.
  .join(current.broadcast(), { on: { currency: 'currency' }, how: 'left', columns: ['euros'] })
  .select((e) => ({ at: e.at, euros: e.amount.mul(e.euros), isUnknown: e.euros.isNull() }))
  .window(tumbling('1h'))
  .aggregate(
    (e) => ({
      sales: count(),
      euros: sum(e.euros),
      unknown: sum(iff(e.isUnknown, 1, 0)),
      dearest: max(e.euros),
    }),
    { fanIn: 2 },
  )
  .to(hours);

const job = await takings.run({ workers: 2 });
await job.done;

for (const { windowStart, sales, euros, unknown, dearest } of hours.rows) {
  const hour = new Date(windowStart).toISOString().slice(11, 16);
  console.log(
    `${hour}  ${sales} sales for ${euros?.toFixed(2)} €, the dearest ${dearest?.toFixed(2)} €; ` +
      `${unknown} in a currency without a rate`,
  );
}
