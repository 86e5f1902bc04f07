// Each of the paper's figures in a small version: that it runs, draws, and shows what it is for. It
// reckons with costs that were measured on an idle machine: those of now depend on who runs beside.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { MeasuredCosts } from '../../bench/paper/costs.ts';
import { costsFigure, measuredModel } from '../../bench/paper/costs.ts';
import { driverLoad } from '../../bench/paper/driver-load.ts';
import { figure4a } from '../../bench/paper/fig4a.ts';
import { figure4b } from '../../bench/paper/fig4b.ts';
import { figure5a } from '../../bench/paper/fig5a.ts';
import { figure5b } from '../../bench/paper/fig5b.ts';
import type { Figure } from '../../bench/paper/figure.ts';
import { groupSize } from '../../bench/paper/group-size.ts';
import { drawSvg } from '../../bench/paper/plot.ts';
import { real } from '../../bench/paper/real.ts';
import { runCells } from '../../bench/paper/run-cells.ts';
import { oneStage } from '../../bench/paper/shapes.ts';
import { timeline } from '../../bench/paper/timeline.ts';

const costs = JSON.parse(
  readFileSync(new URL('../../results/costs.json', import.meta.url), 'utf8'),
) as MeasuredCosts;

async function made<Result>(figure: Figure<Result>): Promise<Result> {
  const result = await figure.run({ quick: true, costs });
  assert.ok(figure.tell(result).length > 0);
  assert.doesNotMatch(figure.shows(result), /NaN|undefined|Infinity|\n/);
  const plots = figure.plot(result);
  assert.ok(plots !== null && plots.length > 0);
  const svg = drawSvg(plots);
  assert.match(svg, /^<svg .*<\/svg>\n$/s);
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
  return result;
}

test('costs are measured on real processes and are all above zero', async () => {
  const measured = await costsFigure.run({ quick: true, costs: null });
  assert.doesNotMatch(costsFigure.shows(measured), /NaN|undefined|Infinity|\n/);
  assert.deepEqual(Object.keys(measured).toSorted(), Object.keys(costs).toSorted());
  for (const value of Object.values(measured)) {
    if (typeof value !== 'object' || !('median' in value)) continue;
    assert.ok(value.min > 0 && value.max < 10_000);
  }
});

test('figure 4a fits the paper’s Spark within 30 %, and coordinates 20 × less', async () => {
  const { fit, coordinationRatioB, modelA } = await made(figure4a);
  assert.ok(
    fit.errors.every((error) => Math.abs(error) < 0.3),
    String(fit.errors),
  );
  assert.ok(coordinationRatioB > 20, `${coordinationRatioB}`);
  const ahead = modelA.find(({ schedule }) => schedule.mode === 'drizzle' && schedule.lookAhead);
  assert.ok(ahead!.cells.every(({ batchMs }) => batchMs < 0.6 + 1));
});

test('figure 4b divides the whole of a micro-batch’s time', async () => {
  const { modelA, modelB } = await made(figure4b);
  for (const { cell } of [...modelA, ...modelB]) {
    const { schedulingMs, transferMs, computeMs, idleMs } = cell.parts;
    const sum = schedulingMs + transferMs + computeMs + idleMs;
    assert.ok(Math.abs(sum - cell.batchMs) < 0.02 * cell.batchMs, `${sum} of ${cell.batchMs}`);
  }
});

test('figure 5a shows that small groups are enough where there is much work', async () => {
  const { modelB, workMs } = await made(figure5a);
  const at25 = modelB[1]!.cells.at(-1)!.batchMs;
  assert.ok(at25 < workMs * 1.1, `${at25} ms`);
});

test('figure 5b shows that pre-scheduling alone saves something, and groups more', async () => {
  const { preSchedulingSavesMs, speedupAt10, speedupAt100 } = await made(figure5b);
  assert.ok(preSchedulingSavesMs > 0);
  assert.ok(speedupAt10 > 1 && speedupAt100 > speedupAt10);
});

test('driver-load falls as groups grow, and follows from an order and few reports', async () => {
  const { loads, steps, simulated } = await made(driverLoad);
  const shares = loads.slice(0, 10).map(({ share }) => share);
  assert.deepEqual(
    shares,
    shares.toSorted((a, b) => b - a),
  );
  assert.ok(steps.every(({ orders, machineUs }) => orders === 1 && machineUs.median > 0));
  for (const { share, reckoned } of simulated) {
    assert.ok(Math.abs(share / reckoned - 1) < 0.4, `${share} simulated, ${reckoned} reckoned`);
  }
});

test('real runs jobs on real processes beside their simulation', async () => {
  const { cells } = await made(real);
  assert.ok(cells.length > 0);
  for (const { real: measured, simulated } of cells) {
    assert.ok(measured.batchMs.median > 0 && simulated.batchMs > 0);
    assert.ok(measured.cpuMs === null || measured.cpuMs > 0);
    assert.ok(simulated.cpuMs >= simulated.batchMs * 0.5);
  }
});

test('group-size has an optimum near the formula’s, and look-ahead does away with it', async () => {
  const { curves, formula, optimum, traces } = await made(groupSize);
  const [without, ahead, cut] = curves.map(({ points }) =>
    points.map(({ extraMs }) => extraMs?.median ?? Infinity),
  );
  // Group sizes of 3, 10, 30 and 100: bubbles first, stale plans last.
  assert.ok(without![0]! > 2 * without![1]!, String(without));
  assert.ok(optimum.regret < 0.2, `${optimum.regret}`);
  assert.ok(ahead![0]! < 0.3 * without![0]!, String(ahead));
  assert.ok(ahead![3]! > 2 * ahead![0]!, String(ahead));
  assert.ok(cut![3]! < 0.7 * ahead![3]!, String(cut));
  formula.saturating.forEach(({ ms }, index) => {
    assert.ok(Math.abs(ms / without![index]! - 1) < 0.35, `${ms} for ${without![index]} ms`);
  });
  for (const { boundaries } of traces) {
    const lengths = Object.values(boundaries).map((column) => column.length);
    assert.ok(new Set(lengths).size === 1 && lengths[0]! > 10);
  }
});

test('timeline finds the driver on the way to an output in bsp only', async () => {
  const { profiles } = await made(timeline);
  const [drizzle, bsp] = profiles;
  assert.equal(drizzle!.driverMessagesOnPath.median, 0);
  assert.ok(drizzle!.driverMessagesBeside.max > 0, 'reports and orders are seen');
  // Two orders, the end of the first stage, and who has its blocks.
  assert.ok(bsp!.driverMessagesOnPath.min >= 3, `${bsp!.driverMessagesOnPath.min}`);
  assert.equal(bsp!.withoutDriver, 0);
  const { path } = bsp!;
  for (const step of ['stage-done to driver', 'ask-locations to driver']) {
    assert.ok(path.includes(step), path.join(', '));
  }
});

test('runCells gives the same in threads as in this one, in the order asked', async () => {
  const cells = [3, 8, 5].map((machines) => ({
    machines,
    shape: oneStage(machines),
    schedule: { mode: 'drizzle', groupSize: 5, lookAhead: false } as const,
    costs: measuredModel(costs),
    workMs: [0.5],
    groups: 3,
  }));
  assert.deepEqual(await runCells(cells, 2), await runCells(cells, 0));
});
