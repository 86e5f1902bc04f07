// `npm run simulate -- --seeds N [--from S] [--pipeline NAME] [--trace]`: simulates clusters, seed
// by seed, and judges what became visible. Prints how to replay each seed that fails.

import { parseArgs } from 'node:util';
import { judgeIndependently } from '../src/sim/independent-judge.fixture.ts';
import { scenarios } from '../src/sim/scenarios.ts';
import { simulate } from '../src/sim/simulate.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '0' },
    pipeline: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});

const failuresMax = 5;

function main(): void {
  const from = Number(values.from);
  const count = Number(values.seeds);
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(count) || count < 1) {
    console.error('--seeds and --from take whole numbers');
    process.exitCode = 2;
    return;
  }
  const startMs = performance.now();
  const totals = {
    tasks: 0,
    groups: 0,
    cuts: 0,
    virtualMs: 0,
    crashes: 0,
    zombies: 0,
    rounds: 0,
    checkpoints: 0,
  };
  let failures = 0;
  let seed = from;
  for (; seed < from + count && failures < failuresMax; seed++) {
    try {
      const { run } = runSeed(seed);
      totals.tasks += run.tasks.length;
      totals.groups += run.groups;
      totals.cuts += run.cuts;
      totals.virtualMs += run.elapsedMs;
      totals.crashes += run.crashes;
      totals.zombies += run.zombies;
      totals.rounds += run.rounds;
      totals.checkpoints += run.checkpoints;
    } catch (error) {
      failures++;
      const pipeline = values.pipeline === undefined ? '' : ` --pipeline ${values.pipeline}`;
      console.error(`seed ${seed} failed:`, error);
      console.error(`replay: npm run simulate -- --seeds 1 --from ${seed}${pipeline} --trace\n`);
    }
  }
  const seconds = (performance.now() - startMs) / 1000;
  const ran = seed - from;
  console.log(
    `${ran} seeds over ${scenarios.length} pipelines in ${seconds.toFixed(1)} s ` +
      `(${(ran / seconds).toFixed(0)}/s): ${totals.tasks} tasks, ${totals.groups} groups, ` +
      `${totals.cuts} cuts, ${totals.crashes} crashes, ${totals.zombies} zombies, ` +
      `${totals.rounds} recoveries, ${totals.checkpoints} checkpoints, ` +
      `${(totals.virtualMs / 1000).toFixed(0)} s of virtual time, ` +
      `${failures} failed`,
  );
  if (failures > 0) process.exitCode = 1;
}

function runSeed(seed: number): ReturnType<typeof simulate> {
  const simulation = simulate(seed, {
    pipeline: values.pipeline,
    onTrace: values.trace ? (line) => console.log(line) : undefined,
  });
  judgeIndependently(simulation);
  return simulation;
}

main();
