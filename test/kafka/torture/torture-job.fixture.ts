// The pipeline under torture: a copy of each record, which can be compared one by one, windows
// behind a shuffle, and totals of those behind another one. Where it reads and writes is in the
// arguments behind `--`, because hosts get those from the driver.

import process from 'node:process';
import { kafkaSink, kafkaSource } from '../../../src/connectors/kafka/sockets/kafka.ts';
import {
  count,
  int32,
  pipeline,
  schema,
  string,
  sum,
  timestamp,
  tumbling,
} from '../../../src/index.ts';
import type { TortureTopics } from './torture-records.fixture.ts';
import { totalMs, windowMs } from './torture-records.fixture.ts';

export type TortureJob = { readonly brokers: string; readonly topics: TortureTopics };

const { brokers, topics } = JSON.parse(process.argv[2]!) as TortureJob;

const numbered = schema({
  id: int32(),
  key: string(),
  at: timestamp('ms'),
  partition: int32(),
  offset: int32(),
});

const cluster = {
  brokers,
  // On a machine that is busy with other things, brokers may take very long to come back.
  patienceMs: 300_000,
};

const all = pipeline('torture').from(
  kafkaSource({
    ...cluster,
    topic: topics.input,
    schema: numbered,
    columns: { partition: 'partition', offset: 'offset' },
  }),
  { time: 'at' },
);

const windows = all
  .groupBy('key')
  .window(tumbling(windowMs))
  .aggregate((e) => ({ records: count(), ids: sum(e.id) }));

const totals = windows
  .window(tumbling(totalMs))
  .aggregate((e) => ({ windows: count(), records: sum(e.records), ids: sum(e.ids) }));

// A dead writer's transaction holds up readers for so long at most.
const sinkTo = { ...cluster, transactionTimeoutMs: 10_000 };

export default windows
  .to(kafkaSink({ ...sinkTo, topic: topics.windows, key: 'key' }))
  .with(totals.to(kafkaSink({ ...sinkTo, topic: topics.totals })))
  .with(all.to(kafkaSink({ ...sinkTo, topic: topics.copies, key: 'key' })));
