// Pipelines that tests run on clusters: every host imports this module from the bundle. Which one
// and where it writes are arguments behind `--`.

import process from 'node:process';
import {
  count,
  float64,
  generator,
  jsonLines,
  memory,
  pipeline,
  schema,
  string,
  sum,
  timestamp,
  tumbling,
} from '../../src/index.ts';
import type { Pipeline } from '../../src/index.ts';

const [name = 'bounded', out = 'out.jsonl', partitions = '5'] = process.argv.slice(2);

const order = schema({ country: string(), amount: float64(), at: timestamp('ms') });

const countries = ['AT', 'BR', 'CA', 'DK', 'EG', 'FR', 'GH'];

const orders = Array.from({ length: 4_000 }, (_, index) => ({
  country: countries[(index * 5) % countries.length]!,
  amount: (index * 37) % 100,
  at: 1_700_000_000_000 + index * 10,
}));

const count0 = Number(partitions);

/** Orders dealt to source partitions. */
function dealtOrders() {
  const dealt = Array.from({ length: count0 }, (_, partition) =>
    orders.filter((_, index) => index % count0 === partition),
  );
  return memory({ partitions: dealt }, { schema: order });
}

/** Revenue per country and second. */
function bounded(): Pipeline {
  return (
    pipeline('bounded')
      .from(dealtOrders(), { time: 'at', watermark: { delay: '1s' } })
      // A function of the user's, which travels in the bundle.
      .filterRow((row) => row.amount % 10 !== 3)
      .groupBy('country')
      .window(tumbling('1s'))
      .aggregate((e) => ({ orders: count(), revenue: sum(e.amount) }))
      .to(jsonLines(out, { overwrite: true }))
  );
}

/** Revenue of all countries by rates that are broadcast, added up in a tree. */
function shapes(): Pipeline {
  const rate = schema({ code: string(), rate: float64() });
  // The first micro-batch has all of them, and the other partition's come last.
  const rates = [countries.map((code) => ({ code, rate: 99 }))];
  rates.push(countries.slice(1).map((code, index) => ({ code, rate: 2 ** (index - 2) })));
  const start = pipeline('shapes');
  const current = start.from(memory({ partitions: rates }, { schema: rate }), { name: 'rates' });
  return start
    .from(dealtOrders(), { time: 'at', watermark: { delay: '1s' } })
    .join(current.broadcast(), { on: { country: 'code' } })
    .window(tumbling('1s'))
    .aggregate((e) => ({ orders: count(), revenue: sum(e.amount.mul(e.rate)) }), { fanIn: 2 })
    .to(jsonLines(out, { overwrite: true }));
}

/** Never ends by itself. */
function endless(): Pipeline {
  return pipeline('endless')
    .from(
      generator({
        schema: order,
        eventsPerSecond: 20_000,
        partitions: 3,
        rows: (index, dueMs) => ({ country: countries[index % 7]!, amount: index, at: dueMs }),
      }),
      { time: 'at' },
    )
    .groupBy('country')
    .window(tumbling('200ms'))
    .aggregate(() => ({ orders: count() }))
    .to(jsonLines(out, { overwrite: true }));
}

/** A user's function that fails on one row. */
function throwing(): Pipeline {
  return pipeline('throwing')
    .from(memory(orders, { schema: order }), { time: 'at' })
    .filterRow((row) => {
      if (row.at === 1_700_000_010_000) throw new RangeError('no such country');
      return true;
    })
    .to(jsonLines(out, { overwrite: true }));
}

/** Ends a whole worker thread while the job runs. */
function exiting(): Pipeline {
  return pipeline('exiting')
    .from(
      generator({
        schema: order,
        eventsPerSecond: 1_000,
        rows: (index, dueMs) => ({ country: 'AT', amount: index, at: dueMs }),
      }),
      { time: 'at' },
    )
    .filterRow((row) => {
      if (row.amount === 500) process.exit(3);
      return true;
    })
    .to(jsonLines(out, { overwrite: true }));
}

/** Another pipeline every time that it is built. */
function unsteady(): Pipeline {
  return pipeline(`unsteady ${process.pid} ${Math.random()}`)
    .from(memory(orders, { schema: order }))
    .to(jsonLines(out, { overwrite: true }));
}

const all: Readonly<Record<string, () => Pipeline>> = {
  bounded,
  shapes,
  endless,
  throwing,
  exiting,
  unsteady,
};

export default all[name]!();
