// Versions of one pipeline, as somebody might deploy them one after the other. Which one is in the
// arguments behind `--`, as JSON.

import process from 'node:process';
import {
  count,
  files,
  int32,
  jsonLines,
  max,
  pipeline,
  schema,
  string,
  sum,
  timestamp,
  tumbling,
} from '../../src/index.ts';
import type { Pipeline } from '../../src/index.ts';
import type { VersionJob } from './upgrade.fixture.ts';

const order = schema({ country: string(), amount: int32(), at: timestamp('ms') });

const job = JSON.parse(process.argv[2]!) as VersionJob;

function input(path: readonly string[] = job.feed) {
  return files({ path, schema: order, follow: true });
}

function orders(name?: string) {
  return pipeline('orders').from(input(), { time: 'at', ...(name === undefined ? {} : { name }) });
}

type Orders = ReturnType<typeof orders>;

function totals(rows: Orders) {
  return rows
    .groupBy('country')
    .window(tumbling('1s'))
    .aggregate((e) => ({ orders: count(), revenue: sum(e.amount) }));
}

/** Whatever it is called, it is one function: what it does is in the job. */
function check(amount: number): boolean {
  if (amount === job.chokesOn) throw new Error('too much');
  return true;
}

function first(): Pipeline {
  return totals(orders().filterRow((row) => check(row.amount))).to(jsonLines(job.out));
}

/** More in front of everything: another sink, another aggregate, another filter. */
function more(): Pipeline {
  const all = orders().filter((e) => e.amount.ge(0));
  const archive = all.to(jsonLines(job.archive));
  const greatest = all
    .groupBy('country')
    .window(tumbling('1s'))
    .aggregate((e) => ({ greatest: max(e.amount) }))
    .to(jsonLines(job.greatest));
  return archive.with(greatest).with(totals(all).to(jsonLines(job.out)));
}

/** Everything has a name. */
function named(): Pipeline {
  const rows = totals(orders('orders')).named('totals');
  return rows.to(jsonLines(job.out), { name: 'results' });
}

function other(): Pipeline {
  return orders()
    .groupBy('country')
    .window(tumbling('1s'))
    .aggregate((e) => ({ orders: count(), greatest: max(e.amount) }))
    .to(jsonLines(job.out));
}

const versions = { first, more, named, other };

export default versions[job.version]();
