import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SourceChunk } from '../../ports/source-chunk.ts';
import { sourceContext, textOf } from '../source-reading.fixture.ts';
import { YsbSource, ysbAds } from './ysb-generator.ts';
import { ysbExpectedCounts } from './ysb-truth.ts';

const startMs = 1_790_000_000_007;

function atMs(nowMs: () => number): ReturnType<typeof sourceContext> {
  return sourceContext({ nowMs, startMs, workerCount: 2 });
}

test('ysbGenerator: gives what is due and tells what was not taken', async () => {
  let nowMs = startMs - 1;
  const source = new YsbSource({ eventsPerSecond: 1000, partitions: 2, events: 100 });
  const reader = await source.open(
    1,
    atMs(() => nowMs),
  );
  assert.equal(reader.ready(), false);
  assert.equal(reader.take(1e6).data.kind, 'none');
  nowMs = startMs + 1;
  assert.equal(reader.ready(), true);
  nowMs = startMs + 9.5;
  assert.deepEqual(reader.lag(), { records: 5, bytes: null, ms: 8.5 });
  const chunk = reader.take(1e6);
  assert.deepEqual([chunk.from, chunk.to, chunk.ended], [0, 5, false]);
  const times = textOf(chunk).map(
    (line) => Number((JSON.parse(line) as Event).event_time) - startMs,
  );
  assert.deepEqual(times, [1, 3, 5, 7, 9]);
  assert.deepEqual(reader.lag(), { records: 0, bytes: null, ms: 0 });
  nowMs = startMs + 1e6;
  const rest = reader.take(1e6);
  assert.deepEqual([rest.from, rest.to, rest.ended], [5, 50, true]);
  await reader.close();
});

test('ysbGenerator: finish ends it without further events', async () => {
  const source = new YsbSource({ eventsPerSecond: 1000 });
  const reader = await source.open(
    0,
    atMs(() => startMs - 1000),
  );
  let woken = 0;
  reader.onReady(() => woken++);
  reader.finish();
  reader.finish();
  assert.equal(woken, 1);
  const data = { kind: 'none' };
  assert.deepEqual(reader.take(1e6), { from: 0, to: 0, ended: true, data });
  await reader.close();
});

test('ysbGenerator: wakes its listener when an event is due', async () => {
  const source = new YsbSource({ eventsPerSecond: 200, partitions: 1 });
  let nowMs = startMs;
  const reader = await source.open(
    0,
    atMs(() => nowMs),
  );
  assert.equal(reader.take(1e6).to, 1);
  assert.equal(reader.ready(), false);
  const woken = new Promise<void>((resolve) => reader.onReady(resolve));
  nowMs = startMs + 5;
  await woken;
  assert.equal(reader.take(1e6).to, 2);
  await reader.close();
});

test('ysbGenerator: bytes of a chunk hold while the next one is taken', async () => {
  let nowMs = startMs;
  const source = new YsbSource({ eventsPerSecond: 1000, partitions: 1 });
  const reader = await source.open(
    0,
    atMs(() => nowMs),
  );
  const chunks: { chunk: SourceChunk; text: string[] }[] = [];
  for (let step = 1; step <= 6; step++) {
    nowMs = startMs + step * 10;
    const chunk = reader.take(1e6);
    const previous = chunks.at(-1);
    if (previous !== undefined) assert.deepEqual(textOf(previous.chunk), previous.text);
    chunks.push({ chunk, text: textOf(chunk) });
  }
  await reader.close();
});

type Event = {
  readonly ad_id: string;
  readonly event_type: string;
  readonly event_time: string;
};

test('ysbExpectedCounts: counts what the bytes say, however they are cut', async () => {
  const arbitrary = fc.record({
    seed: fc.nat(),
    partitions: fc.integer({ min: 1, max: 4 }),
    events: fc.nat(3000),
    windowMs: fc.constantFrom(100, 1000, 10_000),
    eventsPerSecond: fc.constantFrom(700, 1000, 3333.3),
    bytesMax: fc.integer({ min: 1, max: 100_000 }),
    stopAt: fc.option(fc.nat(1000), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(arbitrary, async ({ windowMs, bytesMax, stopAt, ...options }) => {
      const campaignOf = new Map(ysbAds(options).map((ad) => [ad.ad_id, ad.campaign_id]));
      const source = new YsbSource(options);
      const counts = new Map<string, number>();
      const taken: number[] = [];
      for (let partition = 0; partition < options.partitions; partition++) {
        const reader = await source.open(
          partition,
          atMs(() => startMs + 1e9),
        );
        let chunk = reader.take(bytesMax);
        for (;;) {
          for (const line of textOf(chunk)) {
            const event = JSON.parse(line) as Event;
            if (event.event_type !== 'view') continue;
            const window = Math.floor(Number(event.event_time) / windowMs) * windowMs;
            const key = `${campaignOf.get(event.ad_id)} ${window}`;
            counts.set(key, (counts.get(key) ?? 0) + 1);
          }
          if (chunk.ended) break;
          if (stopAt !== undefined && chunk.to > stopAt) reader.finish();
          chunk = reader.take(bytesMax);
        }
        taken.push(chunk.to);
        await reader.close();
      }
      const truth = ysbExpectedCounts({ ...options, windowMs, startMs, taken });
      const expected = truth.map((row) => [`${row.campaign_id} ${row.windowStart}`, row.count]);
      assert.deepEqual(new Map(expected as [string, number][]), counts);
      if (stopAt !== undefined) return;
      assert.deepEqual(ysbExpectedCounts({ ...options, windowMs, startMs }), truth);
    }),
    { numRuns: 40 },
  );
});

test('ysbAds: gives 1,000 ads of 100 campaigns, the same for a seed', () => {
  const ads = ysbAds({ seed: 3 });
  assert.equal(new Set(ads.map((ad) => ad.ad_id)).size, 1000);
  assert.equal(new Set(ads.map((ad) => ad.campaign_id)).size, 100);
  assert.deepEqual(ads, ysbAds({ seed: 3 }));
  assert.notDeepEqual(ads, ysbAds({ seed: 4 }));
});

test('ysbGenerator: refuses a rate that is none', () => {
  assert.throws(() => new YsbSource({ eventsPerSecond: Number.NaN }), { code: 'option-invalid' });
  assert.throws(() => ysbExpectedCounts({ eventsPerSecond: 1, windowMs: 1, startMs: 0 }), {
    code: 'option-invalid',
  });
});
