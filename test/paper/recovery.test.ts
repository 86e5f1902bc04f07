// The figure of recovery in a small version: what its simulation shows, and real runs.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { MeasuredCosts } from '../../bench/paper/costs.ts';
import { drawSvg } from '../../bench/paper/plot.ts';
import { recovery } from '../../bench/paper/recovery.ts';

const costs = JSON.parse(
  readFileSync(new URL('../../results/costs.json', import.meta.url), 'utf8'),
) as MeasuredCosts;

test('recovery: quicker with more survivors in drizzle only; real runs are exact', async () => {
  const result = await recovery.run({ quick: true, costs });
  assert.ok(recovery.tell(result).length > 3);
  assert.doesNotMatch(recovery.shows(result), /NaN|undefined|Infinity|\n/);
  const back = (mode: 'drizzle' | 'continuous'): readonly number[] => {
    return result.simulated.filter((cell) => cell.mode === mode).map(({ backMs }) => backMs);
  };
  // With 3 survivors, and with 11.
  const [few, many] = back('drizzle');
  const [rolledBack, all] = back('continuous');
  // What of the lost worker's work has copies elsewhere is not there to be shared.
  assert.ok(many! < 0.9 * few!, `drizzle: ${few} ms, then ${many}`);
  assert.ok(all! > 0.75 * rolledBack!, `continuous: ${rolledBack} ms, then ${all}`);
  assert.ok(all! > 2.5 * many!, `continuous ${all} ms, drizzle ${many}`);
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
