// The end of a run: the campaign table, the check against the truth, and the figures.

import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { CollectSink, JobSummary } from '../../src/index.ts';
import { ysbAds, ysbExpectedCounts } from '../../src/index.ts';
import { formatBytes, formatCount, formatTable } from '../../src/base/format.ts';
import { percentilesText } from '../../src/observe/status-text.ts';
import { parseDurationMs } from '../../src/base/duration.ts';
import type { CampaignCount } from './campaign-count.ts';
import type { WindowLatency } from './latency.ts';
import { warmUpMs } from './latency.ts';
import type { YsbOptions } from './options.ts';

export type ReportInput = {
  readonly summary: JobSummary;
  readonly options: YsbOptions;
  readonly results: CollectSink<CampaignCount>;
  readonly latency: WindowLatency;
};

/** Prints everything; resolves with the exit code: 1 when a count is wrong. */
export async function report(input: ReportInput): Promise<number> {
  const { summary, options, results, latency } = input;
  const { rows } = results;
  const windows = new Set(rows.map(({ windowStart }) => windowStart)).size;
  process.stdout.write(`${campaignTable(rows)}\n\n`);
  const truth = await expected(input);
  const wrong = truth === null ? null : differences(rows, truth);
  const measured = latency.windows;
  const eventsPerSecond = summary.recordsIn / (summary.elapsedMs / 1000);
  const lines = [
    `events       ${formatCount(summary.recordsIn)} (${formatCount(eventsPerSecond)}/s), ` +
      `${formatCount(summary.recordsBad)} bad, ${formatCount(summary.recordsLate)} late`,
    `windows      ${windows}` +
      (options.input === null
        ? `, ${measured.measured} of them measured: the first ${warmUpMs / 1000} s are warm-up, ` +
          'and the end of input closes the last'
        : ''),
    `latency      ${percentilesText(latency.histogram.percentiles())}`,
    `micro-batch  ${percentilesText(summary.batchMs)}, groups of ${summary.groupSize}`,
    `process      ${summary.cpuSeconds.toFixed(2)} CPU s ` +
      `(${((summary.cpuSeconds / summary.recordsIn) * 1e6).toFixed(2)} per million events), ` +
      `peak ${formatBytes(summary.peakRssBytes)}`,
    `check        ${checkText(wrong, rows.length)}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  if (options.json) process.stdout.write(`${JSON.stringify(figures(input, { windows, wrong }))}\n`);
  return wrong === null || wrong === 0 ? 0 : 1;
}

function figures(
  { summary, latency }: ReportInput,
  { windows, wrong }: { readonly windows: number; readonly wrong: number | null },
): object {
  const latencyMs = latency.histogram.count === 0 ? null : latency.histogram.percentiles();
  const { p50, p99 } = summary.batchMs;
  return {
    events: summary.recordsIn,
    eventsPerSecond: summary.recordsIn / (summary.elapsedMs / 1000),
    latencyMs,
    microBatchMs: { p50, p99 },
    groupSize: summary.groupSize,
    windows,
    exact: wrong === null ? null : wrong === 0,
    recordsBad: summary.recordsBad,
    recordsLate: summary.recordsLate,
    peakRssBytes: summary.peakRssBytes,
    cpuSeconds: summary.cpuSeconds,
  };
}

function checkText(wrong: number | null, count: number): string {
  if (wrong === null) return 'none: standard input cannot be read twice';
  if (wrong === 0) return `exact: all ${formatCount(count)} counts are the true ones`;
  return `WRONG: ${formatCount(wrong)} counts differ from the truth`;
}

/** Views of each campaign over all windows, four campaigns a line. */
function campaignTable(rows: readonly CampaignCount[]): string {
  const totals = new Map<string, number>();
  for (const { campaign_id, views } of rows) {
    totals.set(campaign_id, (totals.get(campaign_id) ?? 0) + views);
  }
  const sorted = [...totals].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const height = Math.ceil(sorted.length / 4);
  const cells = Array.from({ length: height }, (_, line) =>
    [0, 1, 2, 3].flatMap((column) => {
      const entry = sorted[column * height + line];
      return entry === undefined ? ['', ''] : [entry[0].slice(0, 8), formatCount(entry[1])];
    }),
  );
  return formatTable(
    [0, 1, 2, 3].flatMap(() => ['campaign', 'views']),
    cells,
  );
}

type Truth = ReadonlyMap<string, number>;

/** The true counts by `campaign@windowStart`; null where they cannot be known. */
async function expected({ summary, options }: ReportInput): Promise<Truth | null> {
  const windowMs = parseDurationMs(options.window)!;
  if (options.input === null) {
    const { rate, seed } = options;
    const taken = summary.offsets.map(({ to }) => to);
    const { startMs } = summary;
    const counts = ysbExpectedCounts({ eventsPerSecond: rate, seed, taken, startMs, windowMs });
    return new Map(counts.map((each) => [`${each.campaign_id}@${each.windowStart}`, each.count]));
  }
  return options.input === '-' ? null : countedByHand(options.input, { options, windowMs });
}

/** The same job over a file, written by hand over JSON.parse. */
async function countedByHand(
  path: string,
  { options, windowMs }: { readonly options: YsbOptions; readonly windowMs: number },
): Promise<Truth> {
  const campaigns = new Map(ysbAds({ seed: options.seed }).map((ad) => [ad.ad_id, ad.campaign_id]));
  const truth = new Map<string, number>();
  const isFolder = (await stat(path)).isDirectory();
  const names = isFolder ? (await readdir(path)).filter((name) => !name.startsWith('.')) : [];
  const paths = isFolder ? names.map((name) => join(path, name)) : [path];
  for (const each of paths) {
    for await (const line of createInterface({ input: createReadStream(each) })) {
      if (line.trim() === '') continue;
      const event = JSON.parse(line) as { ad_id: string; event_type: string; event_time: string };
      const campaign = campaigns.get(event.ad_id);
      if (event.event_type !== 'view' || campaign === undefined) continue;
      const time = Number(event.event_time);
      const key = `${campaign}@${time - (time % windowMs)}`;
      truth.set(key, (truth.get(key) ?? 0) + 1);
    }
  }
  return truth;
}

function differences(rows: readonly CampaignCount[], truth: Truth): number {
  const counted = new Map<string, number>();
  let wrong = 0;
  for (const { campaign_id, windowStart, views } of rows) {
    const key = `${campaign_id}@${windowStart}`;
    if (counted.has(key)) wrong++;
    counted.set(key, views);
  }
  for (const [key, views] of truth) if (counted.get(key) !== views) wrong++;
  for (const key of counted.keys()) if (!truth.has(key)) wrong++;
  return wrong;
}
