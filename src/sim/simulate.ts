// One seed, one run: draws a scenario, a cluster and what happens to it, runs it and compares what
// became visible with a sequential run. Everything in a run follows from its seed.

import { assert } from '../base/assert.ts';
import { Random } from '../base/random.ts';
import type { DriverEvent } from '../control/driver/events.ts';
import type { Pace } from '../control/driver/planner.ts';
import type { PlanShape } from '../control/driver/placement.ts';
import type { Bindings } from '../plan/bindings.ts';
import type { ExecutionMode } from '../plan/execution-mode.ts';
import type { LogicalPlan } from '../plan/logical-plan.ts';
import { partitionCountsOf } from '../plan/partition-counts.ts';
import type { PhysicalPlan } from '../plan/physical-plan.ts';
import { planPhysical } from '../plan/plan-physical.ts';
import type { Sink } from '../ports/sink.ts';
import type { Source } from '../ports/source.ts';
import { planShape } from '../control/driver/plan-shape.ts';
import type { ClusterOptions, ClusterRun } from './cluster.ts';
import { runCluster } from './cluster.ts';
import { PipelineRunner, simulatedSource, sourceOfStage } from './pipeline-runner.ts';
import type { FaultModel } from './faults.ts';
import { drawFaults } from './faults.ts';
import { assertStoppedTogether, compareWithReference } from './reference-run.ts';
import type { Scenario } from './scenarios.ts';
import { scenarios } from './scenarios.ts';

/** A run as a seed has drawn it. Faults and interventions may be left out: to find the culprits. */
export type DrawnSimulation = {
  readonly seed: number;
  readonly scenario: Judgement;
  readonly logical: LogicalPlan;
  readonly plan: PhysicalPlan;
  readonly bindings: Bindings<Source, Sink>;
  /** What operators take for time, less what the simulation does, ms. */
  readonly aheadMs: number;
  readonly partitionCounts: readonly number[];
  readonly cluster: DrawnCluster;
  /** Null: nothing goes wrong, and nothing is kept for it. */
  readonly faults: FaultModel | null;
};

/** How a pipeline's output may be judged. */
export type Judgement = Pick<Scenario, 'name' | 'anyOrder' | 'opaque'>;

export type Simulation = DrawnSimulation & { readonly run: ClusterRun };

export type DrawOptions = {
  /** Only this scenario; otherwise the seed chooses. */
  readonly pipeline?: string | undefined;
  /** Whether anything goes wrong; by default the seed decides. */
  readonly faults?: boolean | undefined;
  readonly mode?: ExecutionMode | undefined;
};

/** Draws and runs. Throws what went wrong. */
export function simulate(seed: number, options: DrawOptions = {}): Simulation {
  return runSimulation(drawSimulation(seed, options));
}

export function drawSimulation(seed: number, options: DrawOptions = {}): DrawnSimulation {
  const random = new Random(seed);
  const scenario = chooseScenario(random.fork(), options.pipeline);
  const built = scenario.build(random.fork());
  const planned = { logical: built.plan(), bindings: built.bindings(), aheadMs: 0 };
  return drawFor(seed, { ...options, ...planned, random, scenario });
}

/** Draws everything but the pipeline, whose sources are simulated. */
export function drawFor(
  seed: number,
  {
    random = new Random(seed),
    scenario,
    logical,
    bindings,
    aheadMs,
    ...options
  }: DrawOptions &
    Pick<DrawnSimulation, 'scenario' | 'logical' | 'bindings' | 'aheadMs'> & {
      readonly random?: Random;
    },
): DrawnSimulation {
  const sourcePartitions = new Map(
    logical.sources.map(({ id }) => [id, simulatedSource(bindings, id).rows.length]),
  );
  const plan = planPhysical(logical, { partitions: random.integer(1, 5), sourcePartitions });
  const partitionCounts = partitionCountsOf(plan, (id) => sourcePartitions.get(id) ?? 0);
  const cluster = drawCluster(random.fork(), planShape(plan, partitionCounts));
  const mode = options.mode ?? cluster.mode;
  const faultsRandom = random.fork();
  // What comes of blocks as they come is not the same the second time.
  const recovers = mode !== 'continuous' || scenario.anyOrder;
  const faulty = recovers && (options.faults ?? faultsRandom.chance(0.8));
  const faults = faulty ? drawFaults(faultsRandom) : null;
  const planned = { logical, plan, bindings, aheadMs, partitionCounts };
  const interventions = faulty
    ? drawStops(random.fork(), cluster.interventions)
    : cluster.interventions;
  return { seed, scenario, ...planned, cluster: { ...cluster, mode, interventions }, faults };
}

/** Where something is kept a job may be suspended, and savepoints be made. */
function drawStops(
  random: Random,
  drawn: DrawnCluster['interventions'],
): DrawnCluster['interventions'] {
  const stops = drawn.map(({ afterMs, event }) => {
    if (event.kind !== 'stop-requested') return { afterMs, event };
    const savepoint = random.chance(0.3) ? { id: 0, name: 'end' } : null;
    return { afterMs, event: { ...event, drain: random.chance(0.3), savepoint } };
  });
  if (random.chance(0.7)) return stops;
  const kind = 'savepoint-requested';
  const savepoints = Array.from({ length: random.integer(1, 3) }, (_, id) => {
    const savepoint = { id: id + 1, name: `s${id}` };
    return { afterMs: random.float() * 300, event: { kind, savepoint } as const };
  });
  return [...stops, ...savepoints];
}

/** Throws what went wrong. */
export function runSimulation(
  drawn: DrawnSimulation,
  onTrace?: (line: string) => void,
): Simulation {
  const { scenario, plan, bindings, aheadMs, partitionCounts, cluster, faults } = drawn;
  const runners: PipelineRunner[] = [];
  const runnerOf = (): PipelineRunner => {
    const runner = new PipelineRunner({ plan, bindings, partitionCounts, aheadMs });
    runners.push(runner);
    return runner;
  };
  const recordCount = (stage: number, partition: number): number =>
    sourceOfStage({ plan, bindings }, stage).rows[partition]?.length ?? 0;
  const run = runCluster({
    ...cluster,
    faults: faults ?? undefined,
    recordCount,
    runnerOf,
    onTrace,
  });
  if (run.outcome.kind === 'failed') {
    const { code, message, stack } = run.outcome.error;
    throw new Error(`the job failed: ${code}: ${message}\n${stack ?? ''}`);
  }
  // Where stages are launched again, those that had ended do not wait for the rest.
  if (cluster.mode !== 'bsp') assertStoppedTogether(run, recordCount);
  const late = runners.some(({ recordsLate }) => recordsLate > 0);
  // Where tasks take blocks as they come, what is late depends on who comes first.
  if (run.tasks.every(({ last }) => last) || (scenario.anyOrder && !late)) {
    assert(run.differences.length === 0, run.differences.join('; '));
    compareWithReference(run, cluster.shape, runnerOf());
  }
  return { ...drawn, run };
}

export function chooseScenario(random: Random, name: string | undefined): Scenario {
  const drawn = scenarios[random.integer(0, scenarios.length - 1)];
  const chosen = name === undefined ? drawn : scenarios.find((other) => other.name === name);
  const known = scenarios.map((scenario) => scenario.name).join(', ');
  assert(chosen !== undefined, `no pipeline "${name}"; there are ${known}`);
  return chosen;
}

type DrawnCluster = Omit<
  ClusterOptions,
  'recordCount' | 'runnerOf' | 'onTrace' | 'faults' | 'laterInterventions' | 'world'
>;

function drawCluster(random: Random, shape: PlanShape): DrawnCluster {
  const quick = random.chance(0.5);
  return {
    seed: random.uint32(),
    shape,
    workerCount: random.integer(1, 5),
    mode: random.pick(['drizzle', 'drizzle', 'drizzle', 'bsp', 'bsp', 'continuous']),
    partMs: random.pick([2, 20]),
    pace: drawPace(random),
    network: {
      delayMsMax: random.pick([0, 0.2, 5, 30]),
      stallChance: random.pick([0, 0.02, 0.2]),
      repeatChance: random.pick([0, 0.1, 0.5]),
      repeatMsMax: random.pick([100, 100, 1000]),
    },
    costs: {
      taskMs: quick ? 0.05 : 2,
      commitMsMax: random.pick([0, 2, 40]),
      storeMsMax: random.pick([0.1, 3, 50]),
      storeFailChance: random.pick([0, 0, 0.2]),
    },
    sources: {
      recordsPerTakeMax: random.pick([2, 10, 40]),
      quietChance: random.pick([0, 0.2]),
      quietMsMax: random.pick([3, 30]),
    },
    skewMsMax: random.pick([0, 1, 5]),
    interventions: Array.from({ length: random.integer(0, 3) }, () => ({
      afterMs: random.float() * 300,
      event: drawEvent(random),
    })),
  };
}

function drawPace(random: Random): Pace {
  return {
    groupSize: random.pick([1, 2, 3, 10, 100]),
    intervalMs: random.pick([0, 1, 5, 10, 60]),
    lookAhead: random.chance(0.75),
  };
}

function drawEvent(random: Random): DriverEvent {
  if (random.chance(0.3)) return { kind: 'stop-requested', drain: true, savepoint: null };
  const { groupSize, intervalMs } = drawPace(random);
  return { kind: 'pace-changed', groupSize, intervalMs, urgent: random.chance(0.5) };
}
