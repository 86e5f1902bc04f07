// The pipeline that the tests of recovery run, in the variants that they need. Its input is the
// same whenever it is read: only the pace follows the clock. Which variant is in the arguments
// behind `--`, as JSON, because hosts get them from the driver.

import { existsSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import {
  count,
  files,
  generator,
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
import { orderOf } from './orders.fixture.ts';
import type { RecoveryJob } from './orders.fixture.ts';

const order = schema({ country: string(), amount: int32(), at: timestamp('ms') });

const job = JSON.parse(process.argv[2]!) as RecoveryJob;

function input() {
  const { from } = job;
  if (from === 'standard input') return files({ path: '-', schema: order });
  if ('growing' in from) return files({ path: from.growing, schema: order, follow: true });
  return generator({ schema: order, ...from, partitions: 3, rows: orderOf });
}

/** Breaks in at certain rows, each the first time that anybody comes to it. */
function breakAt(amount: number): void {
  const found = job.breaks?.find((each) => each.amount === amount);
  if (found === undefined || existsSync(found.marker)) return;
  writeFileSync(found.marker, '');
  if (found.ends === 'process') process.kill(process.pid, 'SIGKILL');
  // In a worker it ends the thread only.
  process.exit(3);
}

function orders(): Pipeline {
  const sink = jsonLines(job.out);
  const all = pipeline('orders')
    .from(input(), { time: 'at' })
    .filterRow((row) => {
      breakAt(row.amount);
      return true;
    });
  if (job.aggregate === 'none') return all.to(sink);
  const rows = all.groupBy('country').window(tumbling('1s'));
  if (job.aggregate === 'max') {
    return rows.aggregate((e) => ({ orders: count(), greatest: max(e.amount) })).to(sink);
  }
  return rows.aggregate((e) => ({ orders: count(), revenue: sum(e.amount) })).to(sink);
}

export default orders();
