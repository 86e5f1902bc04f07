// A job whose state has as many groups as is asked for: each event is of the next group, round and
// round, at a steady rate, and as many as there are groups were due before the job starts. Hosts
// import it with the same argument that the figure gives.

import process from 'node:process';
import type { Pipeline } from '../../src/index.ts';
import {
  count,
  generator,
  int32,
  jsonLines,
  pipeline,
  schema,
  sum,
  timestamp,
} from '../../src/index.ts';

export type KeyedJob = {
  /** Ends in `/`. */
  readonly out: string;
  readonly eventsPerSecond: number;
  readonly groups: number;
  /** When the first event was due, epoch ms. */
  readonly firstMs: number;
};

export function keyedJob({ out, eventsPerSecond, groups, firstMs }: KeyedJob): Pipeline {
  const event = schema({ key: int32(), amount: int32(), at: timestamp('ms') });
  const rows = (index: number, dueMs: number) => {
    return { key: index % groups, amount: index % 7, at: dueMs };
  };
  return pipeline('keyed')
    .from(generator({ schema: event, eventsPerSecond, startMs: firstMs, rows }), { time: 'at' })
    .groupBy('key')
    .aggregate((e) => ({ events: count(), total: sum(e.amount) }))
    .to(jsonLines(out, { fsync: false }));
}

const [given] = process.argv.slice(2).filter((argument) => argument.startsWith('{'));

export default given === undefined ? null : keyedJob(JSON.parse(given) as KeyedJob);
