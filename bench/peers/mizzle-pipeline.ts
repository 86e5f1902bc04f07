// The benchmark's pipeline on Mizzle as worker threads and host processes import it: options come
// by the environment, as for the other engines.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { kafkaSink, kafkaSource } from '../../src/connectors/kafka/sockets/kafka.ts';
import { count, pipeline, string, table, tumbling, ysbEvent } from '../../src/index.ts';

const brokers = option('BOOTSTRAP');
const source = kafkaSource({ brokers, topic: option('IN'), schema: ysbEvent });
const sink = kafkaSink({
  brokers,
  topic: option('OUT'),
  key: 'campaign_id',
  omit: ['campaign_id'],
  guarantee: option('GUARANTEE') === 'exactly-once' ? 'exactly-once' : 'at-least-once',
});
const ads = table(
  'ads',
  { ad_id: string(), campaign_id: string() },
  readFileSync(option('ADS'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [ad_id, campaign_id] = line.split(',');
      return { ad_id: ad_id!, campaign_id: campaign_id! };
    }),
);

export default pipeline('ysb')
  .from(source, { time: 'event_time', watermark: { delay: Number(option('WATERMARK_DELAY_MS')) } })
  .filter((e) => e.event_type.eq('view'))
  .select('ad_id', 'event_time')
  .join(ads, { on: { ad_id: 'ad_id' } })
  .groupBy('campaign_id')
  .window(tumbling(Number(option('WINDOW_MS'))))
  .aggregate(() => ({ count: count() }))
  .select((e) => ({ campaign_id: e.campaign_id, window_end: e.windowEnd, count: e.count }))
  .to(sink);

function option(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is missing in the environment`);
  return value;
}
