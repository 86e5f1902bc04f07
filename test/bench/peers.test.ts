// What `peers` makes of results and latencies, where the answer is plain; no broker runs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { percentilesOf, latenciesIn, recoveryOf } from '../../bench/peers/latencies.ts';
import { tablesOf } from '../../bench/peers/tables.ts';
import type { LatencyRow } from '../../bench/peers/measures.ts';
import { plotsOf } from '../../bench/peers/plots.ts';
import { Tally, arrivalIn, truthIn } from '../../bench/peers/tally.ts';
import type { Arrival, WindowSeen } from '../../bench/peers/tally.ts';
import { drawSvg } from '../../bench/paper/plot.ts';

/** Two campaigns, seconds 10 to 12; `b` has nothing in the last one. */
const truthText = '10,a,3\n10,b,1\n11,a,2\n11,b,5\n12,a,4\n';

function arrival(
  campaign: string,
  windowEndMs: number,
  count: number,
  more: Partial<Arrival> = {},
): Arrival {
  const appendedMs = windowEndMs + 20;
  return { campaign, windowEndMs, count, appendedMs, visibleMs: appendedMs + 5, ...more };
}

const allRight: readonly Arrival[] = [
  arrival('a', 11_000, 3),
  arrival('b', 11_000, 1),
  arrival('a', 12_000, 2),
  arrival('b', 12_000, 5),
  arrival('a', 13_000, 4),
];

function judged(arrivals: readonly Arrival[], windowMs = 1000): Tally {
  const tally = new Tally();
  for (const each of arrivals) tally.add(each);
  tally.judgeBy(truthIn(truthText, windowMs));
  return tally;
}

test('truthIn: seconds make windows that begin at multiples of their length', () => {
  const truth = truthIn(truthText, 10_000);
  assert.deepEqual(Object.fromEntries(truth), { 'a@20000': 9, 'b@20000': 6 });
  assert.equal(truthIn(truthText, 1000).size, 5);
});

test('arrivalIn: a line of the reader, whatever order the members of its value have', () => {
  const expected = { appendedMs: 7, visibleMs: 9, campaign: 'c-1', windowEndMs: 5, count: 2 };
  assert.deepEqual(arrivalIn('7 9 c-1 {"window_end":5,"count":2}'), expected);
  assert.deepEqual(arrivalIn('7 9 c-1 { "count": 2, "window_end": 5 }'), expected);
});

test('Tally: it is complete when every window has its true count, and only then', () => {
  const tally = new Tally();
  tally.judgeBy(truthIn(truthText, 1000));
  for (const each of allRight) {
    assert.equal(tally.isComplete, false);
    tally.add(each);
  }
  assert.equal(tally.isComplete, true);
  const { windows, wrong, views, trueViews, repeats, firstMs, lastMs } = tally.result();
  assert.deepEqual({ windows, wrong, views, trueViews }, { ...five, views: 15, trueViews: 15 });
  assert.deepEqual({ repeats, firstMs, lastMs }, { repeats: 0, firstMs: 11_020, lastMs: 13_020 });
});

const five = { windows: 5, wrong: 0 };

test('Tally: a window that is wrong, missing or should not be is each wrong', () => {
  const wrongOf = (arrivals: readonly Arrival[]): number => judged(arrivals).result().wrong;
  assert.equal(wrongOf(allRight), 0);
  assert.equal(wrongOf(allRight.slice(1)), 1);
  assert.equal(wrongOf([...allRight.slice(1), arrival('a', 11_000, 2)]), 1);
  // Of the last second `b` has no views.
  assert.equal(wrongOf([...allRight, arrival('b', 13_000, 1)]), 1);
  // What closes the windows is an hour later.
  assert.equal(wrongOf([...allRight, arrival('b', 3_613_000, 1)]), 0);
});

test('Tally: what falls back and is told again is final since then, a mere repeat is not', () => {
  const seen = (arrivals: readonly Arrival[]): WindowSeen | undefined =>
    judged([...allRight, ...arrivals])
      .result()
      .seen.find((each) => each.windowEndMs === 13_000);
  const repeat = arrival('a', 13_000, 4, { appendedMs: 20_000, visibleMs: 20_000 });
  const fallen = arrival('a', 13_000, 1, { appendedMs: 15_000, visibleMs: 15_000 });
  assert.deepEqual(seen([repeat]), { windowEndMs: 13_000, appendedMs: 20, visibleMs: 25 });
  assert.equal(seen([fallen, repeat])!.appendedMs, 7_000);
  assert.equal(judged([...allRight, fallen]).isComplete, false);
  assert.equal(judged([...allRight, fallen, repeat]).isComplete, true);
  assert.equal(judged([...allRight, fallen, repeat]).result().repeats, 2);
});

test('percentilesOf: by nearest rank, each a value that was measured', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  const { samples, ...of } = percentilesOf(hundred)!;
  assert.equal(samples, 100);
  assert.deepEqual(of, { p50: 50, p95: 95, p99: 99, max: 100 });
  assert.deepEqual(percentilesOf([7]), { samples: 1, p50: 7, p95: 7, p99: 7, max: 7 });
  assert.equal(percentilesOf([1, 2])!.p50, 1);
  assert.equal(percentilesOf([]), null);
});

/** A second each, of three campaigns; by its end, when the middle one of them is there. */
function windows(latencyMs: (endMs: number) => number): readonly WindowSeen[] {
  return Array.from({ length: 60 }, (_, index) => 1000 * (index + 1)).flatMap((windowEndMs) =>
    [-2, 0, 4].map((more) => {
      const appendedMs = latencyMs(windowEndMs) + more;
      return { windowEndMs, appendedMs, visibleMs: appendedMs + 10 };
    }),
  );
}

test('latenciesIn: of windows that end in the span, without its beginning', () => {
  const seen = windows((endMs) => endMs / 1000);
  const latencies = latenciesIn(seen, { fromMs: 4_000, toMs: 6_000, until: 'visibleMs' });
  assert.deepEqual(latencies, [13, 15, 19, 14, 16, 20]);
});

test('recoveryOf: back is the first window within the limit that stays so', () => {
  // Killed at 30.5 s: all until 36 s come at 36.2 s, one slips through, then the backlog shrinks.
  const seen = windows((endMs) => {
    if (endMs === 33_000) return 25;
    if (endMs > 30_000 && endMs <= 36_000) return 36_200 - endMs;
    return endMs > 36_000 && endMs <= 39_000 ? 90 : 20;
  });
  const span = { fromMs: 10_000, killedMs: 30_500, toMs: 60_000 };
  const { series, ...of } = recoveryOf(seen, { ...span, until: 'appendedMs' })!;
  assert.deepEqual(of, {
    medianBeforeMs: 20,
    peakMs: 36_200 - 31_000 + 4,
    backMs: 40_020 - 30_500,
    // That of 36 s is 200 ms late, which is still too much.
    nearMs: 37_090 - 30_500,
  });
  assert.equal(series.length, 60);
  const visible = recoveryOf(seen, { ...span, until: 'visibleMs' })!;
  assert.deepEqual([visible.medianBeforeMs, visible.peakMs], [30, of.peakMs + 10]);
});

test('recoveryOf: one that never gets back says so', () => {
  const seen = windows((endMs) => (endMs > 30_000 ? 400 : 20));
  const span = { fromMs: 10_000, killedMs: 30_500, toMs: 60_000 };
  const { backMs, nearMs } = recoveryOf(seen, { ...span, until: 'appendedMs' })!;
  assert.deepEqual([backMs, nearMs], [null, null]);
});

test('tables and plots: wrong counts stand out, and a row without results is shown as such', () => {
  const row: LatencyRow = {
    measure: 'latency',
    engine: 'mizzle-at-least-once',
    guarantee: 'at-least-once',
    results: 'closed',
    windowMs: 1000,
    windows: 500,
    wrong: 3,
    views: 9,
    trueViews: 10,
    records: 12,
    repeats: 0,
    peakRssBytes: 150 * 2 ** 20,
    otherCores: 0,
    rate: 10_000,
    appended: { samples: 4, p50: 8, p95: 9, p99: 10, max: 11 },
    visible: null,
    coresUsed: 0.25,
    cpuSecondsPerMillion: 25,
    behindMsMax: 2,
  };
  const text = tablesOf([row]);
  const cells = '| 10,000 | 8 / 9 / 10 / 11 | none | closed | 0.25 | 25.0 | 150 | 2 |';
  assert.ok(text.includes(`| mizzle, at-least-once ${cells}`), text.join('\n'));
  assert.equal(text.at(-1), 'WRONG: latency of mizzle-at-least-once: 3 of 500 windows');
  assert.match(drawSvg(plotsOf([row])), /mizzle-at-least-once: p99/);
  assert.deepEqual(plotsOf([]), []);
});
