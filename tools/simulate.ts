// `npm run simulate -- --seeds N [--from S] [--pipeline NAME|FILE] [--no-faults] [--trace]`:
// simulates clusters, seed by seed, and judges what became visible. Of each seed that fails it
// prints how to replay it and the fewest faults by which it still fails. With `--mutations`, and
// perhaps `--only NAME`, it puts known bugs into the engine instead, one at a time, and shows after
// how many seeds each is found. With `--kafka NAME`: simulate-kafka.ts.

import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Pipeline } from '../src/api/pipeline.ts';
import { Random } from '../src/base/random.ts';
import { startMs } from '../src/sim/cluster.ts';
import { faultText } from '../src/sim/faults.ts';
import { withGivenRows } from '../src/sim/given-rows.ts';
import { judgeIndependently } from '../src/sim/independent-judge.fixture.ts';
import { randomRows } from '../src/sim/random-rows.ts';
import { scenarios } from '../src/sim/scenarios.ts';
import { shrink } from '../src/sim/shrink.ts';
import type { DrawnSimulation, Simulation } from '../src/sim/simulate.ts';
import { drawFor, drawSimulation, runSimulation } from '../src/sim/simulate.ts';
import { runMutations } from './mutations/run-mutations.ts';
import { simulateKafka } from './simulate-kafka.ts';

const { values } = parseArgs({
  allowNegative: true,
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '0' },
    pipeline: { type: 'string' },
    faults: { type: 'boolean' },
    trace: { type: 'boolean', default: false },
    mutations: { type: 'boolean', default: false },
    only: { type: 'string' },
    kafka: { type: 'string' },
  },
});

const failuresMax = 5;
const shrinkingRunsMax = 200;

type Totals = {
  tasks: number;
  groups: number;
  cuts: number;
  virtualMs: number;
  rounds: number;
  checkpoints: number;
  savepoints: number;
  /** Runs that were stopped and followed by another one. */
  suspended: number;
  readonly faults: Map<string, number>;
};

async function main(): Promise<void> {
  const from = Number(values.from);
  const count = Number(values.seeds ?? (values.mutations ? 2000 : 1000));
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(count) || count < 1) {
    console.error('--seeds and --from take whole numbers');
    process.exitCode = 2;
    return;
  }
  const { kafka, pipeline, trace } = values;
  if (values.mutations) {
    const finder = kafka === 'engine' ? 'kafka-engine' : null;
    if (!(await runMutations(count, { only: values.only, finder }))) process.exitCode = 1;
    return;
  }
  if (kafka !== undefined) {
    const seeds = { from, count, failuresMax, pipeline, trace, commit };
    if (!(await simulateKafka(kafka, seeds))) process.exitCode = 1;
    return;
  }
  const draw = await drawerOf(pipeline);
  const beganMs = performance.now();
  const faults = new Map<string, number>();
  const none = { tasks: 0, groups: 0, cuts: 0, virtualMs: 0, rounds: 0, checkpoints: 0 };
  const totals: Totals = { ...none, savepoints: 0, suspended: 0, faults };
  let failures = 0;
  let seed = from;
  for (; seed < from + count && failures < failuresMax; seed++) {
    const drawn = draw(seed);
    try {
      const onTrace = values.trace ? (line: string): void => console.log(line) : undefined;
      add(totals, judged(drawn, onTrace));
    } catch (error) {
      failures++;
      explainFailure(drawn, error);
    }
  }
  summarize(totals, { ran: seed - from, failures, seconds: (performance.now() - beganMs) / 1000 });
  if (failures > 0) process.exitCode = 1;
}

/** A pipeline of the simulator by name, or one of a file over random rows. */
async function drawerOf(pipeline: string | undefined): Promise<(seed: number) => DrawnSimulation> {
  const { faults } = values;
  const known = pipeline === undefined || scenarios.some(({ name }) => name === pipeline);
  if (known) return (seed) => drawSimulation(seed, { pipeline, faults });
  const loaded: { readonly default?: unknown } = await import(
    pathToFileURL(resolve(pipeline)).href
  );
  const built = loaded.default;
  if (!(built instanceof Pipeline)) {
    const names = scenarios.map(({ name }) => name).join(', ');
    throw new Error(`${pipeline} exports no pipeline as its default, and is none of ${names}`);
  }
  const scenario = { name: built.name, anyOrder: false, opaque: 'it may hold any function' };
  return (seed) => {
    const random = new Random(seed);
    const rows = random.fork();
    const given = withGivenRows(built.plan(), built.bindings(), (source) =>
      randomRows(rows, source),
    );
    const aheadMs = given.latestMs - startMs;
    return drawFor(seed, { random, scenario, faults, ...given, aheadMs });
  };
}

function judged(drawn: DrawnSimulation, onTrace?: (line: string) => void): Simulation {
  const simulation = runSimulation(drawn, onTrace);
  judgeIndependently(simulation);
  return simulation;
}

function add(totals: Totals, { run }: Simulation): void {
  totals.tasks += run.tasks.length;
  totals.groups += run.groups;
  totals.cuts += run.cuts;
  totals.virtualMs += run.elapsedMs;
  totals.rounds += run.rounds;
  totals.checkpoints += run.checkpoints;
  totals.savepoints += run.savepoints;
  totals.suspended += run.runs - 1;
  for (const [kind, count] of run.faults) {
    totals.faults.set(kind, (totals.faults.get(kind) ?? 0) + count);
  }
}

function explainFailure(drawn: DrawnSimulation, error: unknown): void {
  const { seed, scenario } = drawn;
  const pipeline = values.pipeline === undefined ? '' : ` --pipeline ${values.pipeline}`;
  const faults = values.faults === undefined ? '' : values.faults ? ' --faults' : ' --no-faults';
  console.error(`seed ${seed} (${scenario.name}) failed at ${commit()}:`, error);
  console.error(`replay: npm run simulate -- --seeds 1 --from ${seed}${pipeline}${faults} --trace`);
  const fails = (candidate: DrawnSimulation): boolean => errorOf(candidate) !== null;
  const least = shrink(drawn, { fails, runsMax: shrinkingRunsMax });
  const events = [
    ...(least.faults?.faults ?? []).map((fault) => `  ${faultText(fault)}`),
    ...least.cluster.interventions.map((event) => `  ${JSON.stringify(event)}`),
  ];
  console.error(`it still fails with ${events.length} of ${eventCount(drawn)} events:`);
  for (const event of events) console.error(event);
  const { mode, workerCount, pace } = drawn.cluster;
  console.error(`  of ${mode}, ${workerCount} workers, pace ${JSON.stringify(pace)}`);
  console.error(`  by: ${String(errorOf(least)).split('\n', 1)[0]}\n`);
}

function eventCount({ faults, cluster }: DrawnSimulation): number {
  return (faults?.faults.length ?? 0) + cluster.interventions.length;
}

function errorOf(drawn: DrawnSimulation): unknown {
  try {
    judged(drawn);
    return null;
  } catch (error) {
    return error;
  }
}

function commit(): string {
  const { status, stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' });
  return status === 0 ? `commit ${stdout.trim()}` : 'an unknown commit';
}

function summarize(
  totals: Totals,
  of: { readonly ran: number; readonly failures: number; readonly seconds: number },
): void {
  const { ran, failures, seconds } = of;
  const hours = (totals.virtualMs / 3_600_000).toFixed(2);
  const kinds = [...totals.faults].sort(([a], [b]) => (a < b ? -1 : 1));
  const injected = kinds.reduce((sum, [, count]) => sum + count, 0);
  console.log(
    `${ran} seeds over ${scenarios.length} pipelines in ${seconds.toFixed(1)} s ` +
      `(${(ran / seconds).toFixed(1)}/s): ${hours} simulated hours, ${totals.tasks} tasks, ` +
      `${totals.groups} groups, ${totals.cuts} cuts, ${totals.checkpoints} checkpoints, ` +
      `${totals.savepoints} savepoints, ${totals.suspended} runs suspended, ` +
      `${injected} faults, ${totals.rounds} recoveries, ${failures} failed`,
  );
  if (injected === 0) return;
  console.log(`faults: ${kinds.map(([kind, count]) => `${count} ${kind}`).join(', ')}`);
}

await main();
