// Yahoo Streaming Benchmark events in memory, and the pipeline over them: what the benchmarks that
// must not measure a source read in a loop. All events lie within one window, so that reading them
// again is as good as new ones.

import { YsbEventWriter, ysbEventBytesMax } from '../src/connectors/generator/ysb-events.ts';
import type { Pipeline } from '../src/index.ts';
import {
  collect,
  count,
  memoryBytes,
  pipeline,
  string,
  table,
  tumbling,
  ysbAds,
  ysbEvent,
} from '../src/index.ts';

const shape = { seed: 1, eventsPerSecond: 1e7, campaigns: 100, adsPerCampaign: 10 };
const windowStartMs = 1_700_000_000_000;

/** What a ring of so many events takes in memory. */
export function ysbRingBytes(eventCount: number): number {
  return (eventCount + 2) * ysbEventBytesMax;
}

/** `eventCount` events as JSON lines, each with its line end. */
export function ysbRing(eventCount: number, first = 0): Uint8Array {
  const bytes = new Uint8Array(ysbRingBytes(eventCount));
  const writer = new YsbEventWriter(shape, windowStartMs);
  const view = new DataView(bytes.buffer);
  const end = writer.write(view, { first, step: 1, count: eventCount }, bytes.length);
  return bytes.subarray(0, end);
}

export type RingOptions = {
  /** Events in each partition's ring. */
  readonly ringEvents: number;
  readonly partitions: number;
  /** How often each ring is read. */
  readonly times: number;
};

export const counts = collect<{ readonly views: number }>();

/** The benchmark's job over one ring a partition, read `times` times. */
export function ysbOverRing({ ringEvents, partitions, times }: RingOptions): Pipeline {
  const events = memoryBytes({
    schema: ysbEvent,
    partitions,
    times,
    ring: (partition) => ysbRing(ringEvents, partition * ringEvents),
  });
  const ads = table('ads', { ad_id: string(), campaign_id: string() }, ysbAds({ seed: 1 }));
  return pipeline('ysb')
    .from(events, { time: 'event_time' })
    .filter((e) => e.event_type.eq('view'))
    .select('ad_id', 'event_time')
    .join(ads, { on: { ad_id: 'ad_id' } })
    .groupBy('campaign_id')
    .window(tumbling('10s'))
    .aggregate(() => ({ views: count() }))
    .to(counts);
}
