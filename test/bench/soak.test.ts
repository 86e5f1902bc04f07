// What a soak makes of its windows and samples, where the answer is plain. `npm run test:long` runs
// a short soak.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { growthOf, returnsAfter } from '../../bench/soak-figures.ts';

/** A window each 100 ms for ten seconds; 20 ms of latency but where it is said. */
function windows(latencyMs: (endMs: number) => number) {
  return Array.from({ length: 100 }, (_, index) => ({
    endMs: index * 100,
    latencyMs: latencyMs(index * 100),
  }));
}

test('returnsAfter: back is the first quick window before which nothing is missing', () => {
  // Those that end from 2,000 to 2,400 ms are visible at 2,500 ms, but one that slips through.
  const seen = windows((endMs) => {
    const isHeldUp = endMs >= 2_000 && endMs <= 2_400 && endMs !== 2_200;
    return isHeldUp ? 2_500 - endMs : 20;
  });
  const [host] = returnsAfter([{ atMs: 1_950, what: 'host' }], seen);
  assert.deepEqual(host, { atMs: 1_950, what: 'host', backMs: 2_520 - 1_950 });
});

test('returnsAfter: a kill before latency was back leaves the one before without an answer', () => {
  const seen = windows((endMs) => (endMs >= 2_000 && endMs < 4_000 ? 4_000 - endMs : 20));
  const kills = [
    { atMs: 1_950, what: 'host' },
    { atMs: 3_000, what: 'all' },
    { atMs: 9_950, what: 'driver' },
  ] as const;
  const backMs = returnsAfter(kills, seen).map((kill) => kill.backMs);
  assert.deepEqual(backMs, [null, 4_020 - 3_000, null]);
});

test('growthOf: the slope is that of what stays, not of what a collector frees', () => {
  const mb = 1024 * 1024;
  const samples = (mbPerMinute: number) =>
    Array.from({ length: 300 }, (_, second) => {
      const waste = (second % 7) * 4 * mb;
      return { atMs: second * 1_000, bytes: 100 * mb + waste + (second * mbPerMinute * mb) / 60 };
    });
  const flat = growthOf(samples(0));
  assert.ok(Math.abs(flat!.mbPerMinute) < 0.1, `${flat!.mbPerMinute}`);
  const growing = growthOf(samples(3));
  assert.ok(Math.abs(growing!.mbPerMinute - 3) < 0.2, `${growing!.mbPerMinute}`);
  assert.equal(growthOf([]), null);
});
