// Figure 7: its reading of a run, against windows whose answer is plain, and one short real run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figure7, runFigures } from '../../bench/paper/fig7.ts';
import type { Figure7 } from '../../bench/paper/fig7.ts';
import { killedRun } from '../../bench/paper/killed-host.ts';
import { drawSvg } from '../../bench/paper/plot.ts';
import { bundleJob } from '../../src/runtime/cluster/bundle-job.ts';

/** A window each 100 ms, 10 s before the kill and after; 20 ms of latency but where it is said. */
function windows(latencyMs: (endMs: number) => number) {
  const ends = Array.from({ length: 200 }, (_, index) => (index - 100) * 100);
  return ends.map((endMs) => ({ endMs, latencyMs: latencyMs(endMs) }));
}

const run = { detectionMs: 60, wrong: 0, counts: 1, busy: 0.1 };

test('figure 7: peak and return are those of the windows after the kill', () => {
  // All that end within half a second become visible half a second after the kill.
  const seen = windows((endMs) => (endMs >= 0 && endMs <= 480 ? 500 - endMs : 20));
  const figures = runFigures({ ...run, windows: seen }, { beforeMs: 10_000 });
  assert.equal(figures.medianBeforeMs, 20);
  assert.equal(figures.peakMs, 500);
  assert.equal(figures.backMs, 520);
  assert.equal(figures.backAfterDetectionMs, 460);
});

test('figure 7: latency that stays high is never back', () => {
  const seen = windows((endMs) => (endMs >= 0 ? 31 : 20));
  const { backMs, peakMs } = runFigures({ ...run, windows: seen }, { beforeMs: 10_000 });
  assert.deepEqual([backMs, peakMs], [null, 31]);
});

test('figure 7: a real run has exact counts and windows on both sides of the kill', async () => {
  const setting = {
    hosts: 3,
    eventsPerSecond: 5_000,
    windowMs: 100,
    checkpointMs: 500,
    beforeMs: 4_000,
    afterMs: 2_000,
  };
  const bundle = await bundleJob(
    new URL('../../bench/paper/ysb-into-folder.ts', import.meta.url).href,
  );
  const killed = await killedRun({ ...setting, mode: 'drizzle', bundle });
  assert.equal(killed.wrong, 0);
  assert.ok(killed.counts > 1_000 && killed.detectionMs > 0);
  const own = runFigures(killed, setting);
  const spread = { min: 1, median: 1, max: 1 };
  const result: Figure7 = {
    cores: 2,
    setting,
    modes: [
      {
        mode: 'drizzle',
        runs: [own],
        detectionMs: spread,
        medianBeforeMs: spread,
        peakMs: spread,
        backAfterDetectionMs: spread,
        shown: killed.windows.map(({ endMs, latencyMs }) => [endMs / 1000, latencyMs] as const),
      },
    ],
  };
  assert.match(figure7.tell(result).join('\n'), /drizzle +1 run\(s\), exact/);
  const svg = drawSvg(figure7.plot(result)!);
  assert.match(svg, /^<svg .*<\/svg>\n$/s);
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
});
