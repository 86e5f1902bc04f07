// The Yahoo Streaming Benchmark into a folder, whose files tell when each window became visible.
// Hosts import it with the same argument that the figure gives.

import process from 'node:process';
import type { Pipeline } from '../../src/index.ts';
import {
  count,
  jsonLines,
  pipeline,
  string,
  table,
  tumbling,
  ysbAds,
  ysbGenerator,
} from '../../src/index.ts';

export type YsbIntoFolder = {
  /** Ends in `/`. */
  readonly out: string;
  readonly eventsPerSecond: number;
  readonly windowMs: number;
};

export function ysbIntoFolder(options: YsbIntoFolder): Pipeline {
  const { out, eventsPerSecond, windowMs } = options;
  const ads = table('ads', { ad_id: string(), campaign_id: string() }, ysbAds({ seed: 1 }));
  return pipeline('ysb')
    .from(ysbGenerator({ eventsPerSecond, seed: 1 }), { time: 'event_time' })
    .filter((e) => e.event_type.eq('view'))
    .select('ad_id', 'event_time')
    .join(ads, { on: { ad_id: 'ad_id' } })
    .groupBy('campaign_id')
    .window(tumbling(windowMs))
    .aggregate(() => ({ views: count() }))
    .to(jsonLines(out));
}

const [given] = process.argv.slice(2).filter((argument) => argument.startsWith('{'));

export default given === undefined ? null : ysbIntoFolder(JSON.parse(given) as YsbIntoFolder);
