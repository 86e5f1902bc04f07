// The figure of recovery in a small version: its simulation, and one real run.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { MeasuredCosts } from '../../bench/paper/costs.ts';
import { drawSvg } from '../../bench/paper/plot.ts';
import { recovery, simulate } from '../../bench/paper/recovery.ts';

const costs = JSON.parse(
  readFileSync(new URL('../../results/costs.json', import.meta.url), 'utf8'),
) as MeasuredCosts;

test('recovery: with more survivors it is quicker in drizzle, and not in continuous mode', () => {
  const back = (mode: 'drizzle' | 'continuous', workers: number): number =>
    simulate({ mode, workers, costs, restoreUs: 1 }).backMs;
  const few = back('drizzle', 4);
  const many = back('drizzle', 16);
  assert.ok(many < 0.6 * few, `drizzle: ${few} ms, then ${many}`);
  const [rolledBack, all] = [back('continuous', 4), back('continuous', 16)];
  assert.ok(all > 0.75 * rolledBack, `continuous: ${rolledBack} ms, then ${all}`);
  assert.ok(all > 3 * many, `continuous ${all} ms, drizzle ${many}`);
});

test('recovery: the figure is made of real runs, whose counts are exact', async () => {
  const result = await recovery.run({ quick: true, costs });
  assert.ok(recovery.tell(result).length > 3);
  assert.doesNotMatch(recovery.shows(result), /NaN|undefined|Infinity|\n/);
  for (const { runs } of result.bySize) {
    for (const { wrong, roundMs, backMs } of runs) {
      assert.equal(wrong, 0);
      assert.ok(roundMs > 0 && backMs >= roundMs);
    }
  }
  const svg = drawSvg(recovery.plot(result)!);
  assert.match(svg, /^<svg .*<\/svg>\n$/s);
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
});
