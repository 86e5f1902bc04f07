// The right answer of the Yahoo Streaming Benchmark, computed from the seed without the engine:
// views per campaign and tumbling window of event time.

import { eventCountOf, refuseOption } from './generator-options.ts';
import { ysbShape } from './ysb-generator.ts';
import type { YsbGeneratorOptions } from './ysb-generator.ts';
import { ysbAdOf, ysbDueMs, ysbEventTypeOf, ysbHash, ysbIds, ysbSalt } from './ysb-events.ts';

export type YsbTruthOptions = Omit<YsbGeneratorOptions, 'partitions' | 'startMs'> & {
  readonly windowMs: number;
  /** When event 0 was due, epoch ms: the run's start unless the generator had its own. */
  readonly startMs: number;
  /**
   * For runs that were stopped: the offset each partition reached. Its length is the number of
   * partitions. Default: all events that `events` or `seconds` ask for.
   */
  readonly taken?: readonly number[];
};

export type YsbCount = {
  readonly campaign_id: string;
  /** Epoch ms. */
  readonly windowStart: number;
  readonly count: number;
};

/**
 * Counts above 0, by window, then campaign in the seed's order. About 10 ns an event. Throws a
 * StreamError with code `option-invalid` when nothing says how many events there are.
 */
export function ysbExpectedCounts(options: YsbTruthOptions): YsbCount[] {
  const { windowMs, startMs } = options;
  const shape = ysbShape(options);
  const ids = ysbIds(shape).campaignIds;
  const taken = options.taken ?? [eventCountOf(options)];
  if (!taken.every(Number.isFinite)) {
    const hint = 'give events, seconds or taken';
    refuseOption({ source: 'ysbExpectedCounts', option: 'events', value: Infinity, hint });
  }
  const firstWindow = Math.floor(startMs / windowMs);
  const lastIndex = Math.max(0, ...taken.map((count, p) => p + (count - 1) * taken.length));
  const lastMs = ysbDueMs(lastIndex, startMs, shape.eventsPerSecond);
  const windowCount = Math.floor(lastMs / windowMs) - firstWindow + 1;
  const counts = new Int32Array(windowCount * shape.campaigns);
  taken.forEach((count, first) => {
    const events = { first, step: taken.length, count };
    countViews(counts, { ...shape, ...events, startMs, windowMs, firstWindow });
  });
  return Array.from(counts, (count, cell) => ({
    campaign_id: ids[cell % shape.campaigns],
    windowStart: (firstWindow + Math.floor(cell / shape.campaigns)) * windowMs,
    count,
  })).filter(({ count }) => count > 0);
}

type CountOrder = {
  readonly seed: number;
  readonly eventsPerSecond: number;
  readonly campaigns: number;
  readonly adsPerCampaign: number;
  readonly first: number;
  readonly step: number;
  readonly count: number;
  readonly startMs: number;
  readonly windowMs: number;
  readonly firstWindow: number;
};

function countViews(counts: Int32Array, order: CountOrder): void {
  const { seed, eventsPerSecond, campaigns, adsPerCampaign, step, startMs, windowMs } = order;
  const adCount = campaigns * adsPerCampaign;
  const beyond = order.first + order.count * step;
  let high = -1;
  let salt = 0;
  for (let index = order.first; index < beyond; index += step) {
    if (Math.floor(index / 2 ** 32) !== high) {
      high = Math.floor(index / 2 ** 32);
      salt = ysbSalt(seed, index);
    }
    const hash = ysbHash(index, salt);
    if (ysbEventTypeOf(hash) !== 0) continue;
    const campaign = Math.floor(ysbAdOf(hash, adCount) / adsPerCampaign);
    const timeMs = Math.floor(ysbDueMs(index, startMs, eventsPerSecond));
    const window = Math.floor(timeMs / windowMs) - order.firstWindow;
    counts[window * campaigns + campaign]++;
  }
}
