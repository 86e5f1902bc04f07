// The examples as processes: the main job with its options, and the others to their end.

import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { ysbAds } from '../../src/index.ts';
import { jsonRows, lastLine, node, root, startNode, temporaryFolder } from './process.fixture.ts';
import type { Ended, Folder } from './process.fixture.ts';

const ysb = join(root, 'examples', 'ysb.ts');

type Figures = {
  readonly events: number;
  readonly eventsPerSecond: number;
  readonly latencyMs: Readonly<Record<'p50' | 'p95' | 'p99' | 'max', number>> | null;
  readonly microBatchMs: Readonly<Record<'p50' | 'p99', number>>;
  readonly groupSize: number;
  readonly windows: number;
  readonly exact: boolean | null;
  readonly recordsBad: number;
  readonly recordsLate: number;
  readonly peakRssBytes: number;
  readonly cpuSeconds: number;
};

type CampaignCount = {
  readonly campaign_id: string;
  readonly windowStart: number;
  readonly views: number;
};

let folder: Folder;

before(() => {
  folder = temporaryFolder();
});

after(() => folder.remove());

function figuresOf({ code, stdout, stderr }: Ended): Figures {
  assert.equal(code, 0, stdout + stderr);
  return JSON.parse(lastLine(stdout)) as Figures;
}

/** By campaign and window, in one order. */
function counts(rows: readonly CampaignCount[]): readonly string[] {
  return rows.map((row) => `${row.campaign_id} ${row.windowStart} ${row.views}`).toSorted();
}

type AdEvent = { readonly ad_id: string; readonly event_type: string; readonly event_time: string };

/** Twenty thousand events, 10 ms apart, one second out of order at most, as JSON lines. */
function events(): { readonly text: string; readonly truth: readonly string[] } {
  const ads = ysbAds({ seed: 1 });
  const truth = new Map<string, CampaignCount>();
  const lines = Array.from({ length: 20_000 }, (_, index) => {
    const ad = ads[(index * 7919) % ads.length]!;
    const time = 1_700_000_000_000 + index * 10;
    const event: AdEvent = {
      ad_id: ad.ad_id,
      event_type: ['view', 'click', 'purchase'][index % 3]!,
      event_time: String(time),
    };
    if (event.event_type === 'view') {
      const windowStart = time - (time % 1000);
      const key = `${ad.campaign_id} ${windowStart}`;
      const views = (truth.get(key)?.views ?? 0) + 1;
      truth.set(key, { campaign_id: ad.campaign_id, windowStart, views });
    }
    const others = {
      user_id: `user-${index}`,
      page_id: 'page',
      ad_type: 'banner',
      ip_address: '::1',
    };
    return JSON.stringify({ ...others, ...event });
  });
  return { text: `${lines.join('\n')}\n`, truth: counts([...truth.values()]) };
}

test('ysb: three seconds of the generator are exact, and the last line has figures', async () => {
  const output = join(folder.path, 'generated.jsonl');
  const ended = await node([
    ysb,
    '--seconds',
    '3',
    '--rate',
    '50000',
    '--json',
    '--output',
    output,
  ]);
  const figures = figuresOf(ended);
  assert.equal(figures.exact, true);
  assert.equal(figures.events, 150_000);
  assert.equal(figures.groupSize, 10);
  assert.ok(figures.windows >= 3 && figures.windows <= 4, `${figures.windows} windows`);
  assert.equal(figures.recordsBad + figures.recordsLate, 0);
  const { p50, p95, p99, max } = figures.latencyMs ?? assert.fail('no latency');
  assert.ok(0 < p50 && p50 <= p95 && p95 <= p99 && p99 <= max, JSON.stringify(figures.latencyMs));
  assert.ok(figures.microBatchMs.p50 > 0 && figures.microBatchMs.p99 >= figures.microBatchMs.p50);
  assert.ok(figures.eventsPerSecond > 10_000);
  assert.ok(figures.peakRssBytes > 10_000_000);
  assert.ok(figures.cpuSeconds > 0);
  assert.match(ended.stdout, /check +exact: all [\d,]+ counts are the true ones/);
  const views = folder.rows<CampaignCount>('generated.jsonl').reduce((n, row) => n + row.views, 0);
  assert.ok(views > 40_000 && views < 60_000, `${views} views of 150,000 events`);
});

test('ysb: events of a file are counted into a file, exactly', async () => {
  const { text, truth } = events();
  const input = folder.write('events.jsonl', text);
  for (const workers of ['0', '2']) {
    const output = join(folder.path, `counts-${workers}.jsonl`);
    const args = ['--input', input, '--output', output, '--workers', workers, '--json'];
    const figures = figuresOf(await node([ysb, ...args]));
    assert.equal(figures.exact, true);
    assert.equal(figures.events, 20_000);
    assert.equal(figures.windows, 200);
    assert.equal(figures.latencyMs, null, 'events of a file have no latency to speak of');
    assert.deepEqual(counts(jsonRows(readFileSync(output, 'utf8'))), truth);
  }
});

test('ysb: events of standard input are counted, though there is no truth to compare', async () => {
  const { text, truth } = events();
  const output = join(folder.path, 'piped.jsonl');
  const ended = await node([ysb, '--input', '-', '--output', output, '--json'], { input: text });
  const figures = figuresOf(ended);
  assert.equal(figures.exact, null);
  assert.equal(figures.events, 20_000);
  assert.deepEqual(counts(jsonRows(readFileSync(output, 'utf8'))), truth);
});

test('ysb: an interrupt in the middle drains, and every count is exact', async () => {
  const output = folder.write('interrupted.jsonl', '');
  const args = ['--seconds', '30', '--rate', '20000', '--json', '--output', output];
  const started = startNode([ysb, ...args]);
  let ended = false;
  started.ended.finally(() => (ended = true));
  while (!ended && statSync(output).size === 0) await setTimeout(20);
  started.interrupt();
  const figures = figuresOf(await started.ended);
  assert.equal(figures.exact, true);
  assert.ok(figures.events > 0 && figures.events < 600_000, `${figures.events} events`);
});

test('ysb: a wrong option is exit code 2 with the help', async () => {
  const [unknown, wrong] = await Promise.all([
    node([ysb, '--sec', '1']),
    node([ysb, '--rate', '-']),
  ]);
  for (const ended of [unknown, wrong]) {
    assert.equal(ended?.code, 2);
    assert.match(ended?.stderr ?? '', /npm start -- \[options\]/);
  }
});

test('sessions: prints the same visits and late clicks every time', async () => {
  const sessions = join(root, 'examples', 'sessions.ts');
  const { code, stdout, stderr } = await node([sessions], { cwd: folder.path });
  assert.equal(code, 0, stderr);
  assert.equal(
    stdout,
    `\
08:13–08:18  cleo  4 clicks from /                 bought, for 33.45
08:15–08:19  ada   3 clicks from /                 bought, for 47.99
08:15–08:29  bo    6 clicks from /                 saw a product
08:16–08:18  dan   3 clicks from /                 saw a product
09:12–09:23  cleo  5 clicks from /                 bought, for 37.88
09:14–09:25  dan   5 clicks from /search?q=kettle  saw a product
09:49–09:57  bo    5 clicks from /search?q=mug     saw a product
09:58–10:03  ada   4 clicks from /                 saw a product
too late for its session: dan at 08:19, /cart
too late for its session: dan at 08:20, /checkout
`,
  );
});

test('rates: every sale meets its rate, and the parts of all shops add up', async () => {
  const { code, stdout, stderr } = await node([join(root, 'examples', 'rates.ts')]);
  assert.equal(code, 0, stderr);
  assert.equal(
    stdout,
    `\
08:00  960 sales for 23807.04 €, the dearest 103.95 €; 192 in a currency without a rate
09:00  960 sales for 23825.04 €, the dearest 103.95 €; 192 in a currency without a rate
`,
  );
});

test('flights: real data agrees with DuckDB', async () => {
  const flights = join(root, 'examples', 'flights.ts');
  const { code, stdout, stderr } = await node([flights, '--limit', '150000']);
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /^2001-01-01 .* JFK /m);
  assert.match(stdout, /check: DuckDB finds the same .* all \d+ rows/);
});
