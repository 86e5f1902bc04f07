// The whole engine over a simulated Kafka: machines of driver and workers, the data plane, the
// ledger, recovery, and the connector's own source and sink, on one virtual clock and from one
// seed. Workers and drivers are lost while brokers lose leaders and answers. In the end the output
// topics, as a reader of committed records sees them, hold what a sequential run gives.

import assert from 'node:assert/strict';
import { Random } from '../../base/random.ts';
import { canonicalJson } from '../../base/canonical-json.ts';
import type { SourceId } from '../../plan/logical-plan.ts';
import type { RowObject } from '../../schema/data-type.ts';
import type { ClusterRun } from '../cluster.ts';
import { clusterSteps, startMs } from '../cluster.ts';
import { judgeIndependently } from '../independent-judge.fixture.ts';
import { PipelineRunner } from '../pipeline-runner.ts';
import type { Reference } from '../reference-run.ts';
import { assertStoppedTogether, attemptsThatCount, referenceOf } from '../reference-run.ts';
import type { ChosenRange } from '../simulated-source.ts';
import type { TaskRunner } from '../task-runner.ts';
import { VirtualClock } from '../virtual-clock.ts';
import type { DrawnEngine } from './engine-draw.fixture.ts';
import { drawKafkaEngine } from './engine-draw.fixture.ts';
import { EngineWorld, inputTopic, ledgerOf, outputTopic } from './engine-world.fixture.ts';
import { runInTime, turn } from './kafka-run.fixture.ts';
import { SimulatedKafka } from './simulated-kafka.ts';
import { chunkOf, recordsIn, visibleRows } from './topic-rows.fixture.ts';

export type EngineSimulation = {
  readonly records: number;
  readonly rows: number;
  readonly tasks: number;
  readonly commits: number;
  readonly checkpoints: number;
  readonly recoveries: number;
  /** Of workers, drivers and stores. */
  readonly faults: number;
  readonly brokerFaults: number;
  readonly runs: number;
  readonly virtualMs: number;
};

/** After the end of a run: by then what zombies have left is over. */
const settledMs = 60_000;

/** Throws what was wrong. */
export function simulateKafkaEngine(seed: number): Promise<EngineSimulation> {
  return runKafkaEngine(drawKafkaEngine(seed));
}

export async function runKafkaEngine(
  drawn: DrawnEngine,
  onTrace?: (line: string) => void,
): Promise<EngineSimulation> {
  const { simulation } = drawn;
  const { plan, bindings, partitionCounts, cluster } = simulation;
  const random = new Random(simulation.seed + 1);
  const clock = new VirtualClock(random.fork(), startMs);
  const kafka = new SimulatedKafka(clock, random.fork(), drawn.kafka);
  const world = new EngineWorld(drawn, kafka, random.fork());
  // By then all brokers know the topics.
  await runInTime({ clock, kafka }, kafka.sleep(20));
  const runners: PipelineRunner[] = [];
  const runnerOf = (): PipelineRunner => {
    const runner = new PipelineRunner({ plan, bindings, partitionCounts });
    runners.push(runner);
    return runner;
  };
  const steps = clusterSteps({
    ...cluster,
    faults: simulation.faults ?? undefined,
    interventions: [...cluster.interventions, ...drawn.stops],
    laterInterventions: drawn.laterStops,
    world,
    recordCount: () => 0,
    runnerOf,
    onTrace,
  });
  const run = await inTurns(steps, { kafka, world });
  await runInTime({ clock, kafka }, kafka.sleep(settledMs));
  if (world.broken !== null) throw world.broken;
  const late = runners.some(({ recordsLate }) => recordsLate > 0);
  const judge = new EngineJudge(drawn, kafka, { run, world });
  const { records, rows } = judge.judge(late, runnerOf());
  return {
    records,
    rows,
    tasks: run.tasks.length,
    commits: world.committed,
    checkpoints: run.checkpoints,
    recoveries: run.rounds,
    faults: [...run.faults.values()].reduce((sum, count) => sum + count, 0),
    brokerFaults: drawn.kafka.faults.events.length,
    runs: run.runs,
    virtualMs: run.elapsedMs,
  };
}

/** After each event all that can go on at this moment does. */
async function inTurns(
  steps: Generator<void, ClusterRun>,
  { kafka, world }: { readonly kafka: SimulatedKafka; readonly world: EngineWorld },
): Promise<ClusterRun> {
  for (;;) {
    const { heard } = kafka;
    const step = steps.next();
    if (step.done === true) return step.value;
    if (kafka.heard !== heard) await turn();
    if (world.broken !== null) throw world.broken;
  }
}

class EngineJudge {
  readonly #drawn: DrawnEngine;
  readonly #kafka: SimulatedKafka;
  readonly #run: ClusterRun;
  readonly #world: EngineWorld;

  constructor(
    drawn: DrawnEngine,
    kafka: SimulatedKafka,
    { run, world }: { readonly run: ClusterRun; readonly world: EngineWorld },
  ) {
    this.#drawn = drawn;
    this.#kafka = kafka;
    this.#run = run;
    this.#world = world;
  }

  /** `late`: rows came after their window was closed. `runner`: a fresh one. */
  judge(late: boolean, runner: TaskRunner): { readonly records: number; readonly rows: number } {
    const { simulation } = this.#drawn;
    const { scenario, cluster } = simulation;
    const { outcome, tasks } = this.#run;
    if (outcome.kind === 'failed') {
      const { code, message, stack } = outcome.error;
      throw new Error(`the job failed: ${code}: ${message}\n${stack ?? ''}`);
    }
    this.#judgeQuiet();
    const endOf = (stage: number, partition: number): number =>
      this.#world.endOf(this.#sourceOf(stage), partition);
    // Where stages are launched again, those that had ended do not wait for the rest.
    if (cluster.mode !== 'bsp') assertStoppedTogether(this.#run, endOf);
    const records = this.#judgeRead(endOf);
    // Where tasks take blocks as they come, what is late depends on who comes first.
    if (!tasks.every(({ last }) => last) && (!scenario.anyOrder || late))
      return { records, rows: 0 };
    const reading: TaskRunner = {
      ...delegate(runner),
      run: (order) => {
        const { task, range } = order;
        const chunk = range === null ? null : this.#chunk(task.stage, task.partition, range);
        return runner.run({ ...order, chunk });
      },
    };
    const reference = referenceOf(this.#run, cluster.shape, reading);
    const rows = this.#judgeTopics(reference);
    const visible = reference.commits;
    judgeIndependently(
      { ...simulation, run: { ...this.#run, visible } },
      (stage, partition, range) => this.#rows(stage, partition, range),
    );
    return { records, rows };
  }

  /** Nobody's transaction hangs. */
  #judgeQuiet(): void {
    const outputs = this.#drawn.simulation.plan.sinks.flatMap(({ id }) => {
      return [outputTopic(id), ledgerOf(id)];
    });
    for (const { topic, log } of this.#kafka.brokers.partitions()) {
      if (outputs.includes(topic)) {
        assert.equal(log.lastStableOffset, log.endOffset, `nothing hangs in ${topic}`);
      }
    }
  }

  /** Gives how many records were read. A job that nobody has stopped has read all there was. */
  #judgeRead(endOf: (stage: number, partition: number) => number): number {
    const { bounded, simulation } = this.#drawn;
    const isStopped = simulation.cluster.interventions.some(({ event }) => {
      return event.kind === 'stop-requested';
    });
    const reads = attemptsThatCount(this.#run.tasks).filter(({ range }) => range !== null);
    const places = Map.groupBy(reads, ({ task }) => `${task.stage}/${task.partition}`);
    let records = 0;
    for (const [place, all] of places) {
      const { stage, partition } = all[0]!.task;
      const to = Math.max(...all.map(({ range }) => range!.to));
      const end = endOf(stage, partition);
      if (bounded && !isStopped) assert.equal(to, end, `s${place} was read to its end`);
      records += this.#records(stage, partition, { from: 0, to, ended: false }).length;
    }
    return records;
  }

  /** Each topic has the rows of its sink, each once, and those of a sink partition in order. */
  #judgeTopics({ commits, inParts }: Reference): number {
    let total = 0;
    for (const { id } of this.#drawn.simulation.plan.sinks) {
      const wanted = new Map<string, number[]>();
      const places: { readonly partition: number; readonly name: string }[] = [];
      const own = commits.filter(({ sink }) => sink === id).toSorted((a, b) => a.batch - b.batch);
      for (const { partition, batch, rows } of own) {
        for (const row of rows) {
          const text = canonicalJson(JSON.parse(JSON.stringify(row)));
          wanted.set(text, [...(wanted.get(text) ?? []), places.length]);
          places.push({ partition, name: `${id}/${partition}@${batch}` });
        }
      }
      const left = new Map([...wanted].map(([text, all]) => [text, all.length]));
      for (const rows of visibleRows(this.#kafka.brokers, outputTopic(id))) {
        /** By sink partition: the last row of it that was seen. */
        const latest = new Map<number, number>();
        for (const row of rows) {
          const text = canonicalJson(row as RowObject);
          const before = left.get(text) ?? 0;
          const where = wanted.get(text)?.map((place) => places[place]!.name) ?? ['nowhere'];
          assert.ok(before > 0, `${text} is visible once more, and is in ${where.join()}`);
          left.set(text, before - 1);
          total++;
          // Of equal rows nobody can say which comes first.
          const [place, ...others] = wanted.get(text)!;
          if (others.length > 0 || inParts) continue;
          const { partition, name } = places[place!]!;
          assert.ok(place! > (latest.get(partition) ?? -1), `${text} of ${name} is out of order`);
          latest.set(partition, place!);
        }
      }
      for (const [text, count] of left) {
        const where = wanted.get(text)!.map((place) => places[place]!.name);
        assert.equal(count, 0, `${text} of ${where.join()} is not visible`);
      }
    }
    return total;
  }

  #sourceOf(stage: number): SourceId {
    const { input } = this.#drawn.simulation.plan.stages[stage]!;
    assert.ok(input.kind === 'scan');
    return input.scan.source;
  }

  #chunk(stage: number, partition: number, range: ChosenRange): ReturnType<typeof chunkOf> {
    const topic = inputTopic(this.#sourceOf(stage));
    return chunkOf(this.#kafka.brokers, { topic, partition }, range);
  }

  #records(stage: number, partition: number, range: ChosenRange): ReturnType<typeof recordsIn> {
    const topic = inputTopic(this.#sourceOf(stage));
    return recordsIn(this.#kafka.brokers, { topic, partition }, range);
  }

  #rows(stage: number, partition: number, range: ChosenRange): readonly RowObject[] {
    return this.#records(stage, partition, range).map(({ value }) => {
      return JSON.parse(new TextDecoder().decode(value)) as RowObject;
    });
  }
}

function delegate(runner: TaskRunner): TaskRunner {
  return {
    recordsLate: 0,
    run: (order) => runner.run(order),
    textOf: (output) => runner.textOf(output),
    bytesOf: (output) => runner.bytesOf(output),
    rangeOf: (record) => runner.rangeOf(record),
    snapshot: (place) => runner.snapshot(place),
    restore: (place, from) => runner.restore(place, from),
  };
}
