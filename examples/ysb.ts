// The Yahoo Streaming Benchmark: JSON ad events in; views only; ad → campaign; views per campaign
// in event-time windows out. `npm start` runs it on a paced generator and checks every count.
// Options come after `--`: npm start -- --seconds 10 --rate 200000 --window 10s

import {
  collect,
  count,
  files,
  jsonLines,
  pipeline,
  runInTerminal,
  string,
  table,
  tumbling,
  ysbAds,
  ysbEvent,
  ysbGenerator,
} from '../src/index.ts';
import type { CampaignCount } from './ysb/campaign-count.ts';
import { WindowLatency } from './ysb/latency.ts';
import { readOptions } from './ysb/options.ts';
import { report } from './ysb/report.ts';

const options = readOptions(process.argv.slice(2));

const events =
  options.input === null
    ? ysbGenerator({ eventsPerSecond: options.rate, seconds: options.seconds, seed: options.seed })
    : files({ path: options.input, schema: ysbEvent });

const ads = table(
  'ads',
  { ad_id: string(), campaign_id: string() },
  ysbAds({ seed: options.seed }),
);

const counts = pipeline('ysb')
  .from(events, { time: 'event_time' })
  .filter((e) => e.event_type.eq('view'))
  .select('ad_id', 'event_time')
  .join(ads, { on: { ad_id: 'ad_id' } })
  .groupBy('campaign_id')
  .window(tumbling(options.window))
  .aggregate(() => ({ views: count() }));

const results = collect<CampaignCount>();
const shown = counts.to(results);
const ysb =
  options.output === null
    ? shown
    : shown.with(counts.to(jsonLines(options.output, { overwrite: true })));

const latency = new WindowLatency(results, options);
const summary = await runInTerminal(
  ysb,
  {
    workers: options.workers,
    hosts: options.hosts,
    interval: options.interval,
    groupSize: options.group,
    mode: options.mode,
    ...(options.checkpoints === null ? {} : { checkpoints: options.checkpoints }),
  },
  { quiet: options.json && !process.stderr.isTTY, extra: () => latency.lines() },
);

process.exitCode = await report({ summary, options, results, latency });
