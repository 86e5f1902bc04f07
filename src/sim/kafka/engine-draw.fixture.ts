// What a seed draws for the whole engine over a simulated Kafka: a pipeline of the simulator whose
// sources and sinks are topics, a cluster of workers with its faults, and a cluster of brokers with
// theirs.

import { Random } from '../../base/random.ts';
import type { Bindings } from '../../plan/bindings.ts';
import type { LogicalPlan, SourceId } from '../../plan/logical-plan.ts';
import type { Sink } from '../../ports/sink.ts';
import type { Source } from '../../ports/source.ts';
import type { Intervention } from '../cluster.ts';
import { simulatedSource } from '../pipeline-runner.ts';
import { SimulatedRows } from '../simulated-rows.ts';
import type { DrawnSimulation } from '../simulate.ts';
import { chooseScenario, drawFor } from '../simulate.ts';
import { drawKafkaFaults, noKafkaFaults } from './kafka-faults.ts';
import type { SimulatedKafkaOptions } from './simulated-kafka.ts';

export type DrawnEngine = {
  /** Its sources hold the rows that are put into topics. */
  readonly simulation: DrawnSimulation;
  readonly kafka: SimulatedKafkaOptions;
  /** The job ends where the topics end when it begins. */
  readonly bounded: boolean;
  /** By these it ends otherwise, and so does a run after one that was suspended. */
  readonly stops: readonly Intervention[];
  readonly laterStops: readonly Intervention[];
  readonly reading: {
    readonly bytesPerTask: number;
    /** Buffers have room for a few records only. */
    readonly small: boolean;
    /** Ranges are logged in a topic; otherwise in the simulator's own log. */
    readonly logsInTopic: boolean;
  };
  readonly writing: {
    readonly topicPartitions: number;
    readonly keyed: boolean;
    /** A row fills a record batch. */
    readonly smallBatches: boolean;
    readonly compressed: boolean;
  };
};

export function drawKafkaEngine(seed: number, pipeline?: string): DrawnEngine {
  const random = new Random(seed);
  const scenario = chooseScenario(random.fork(), pipeline);
  const built = scenario.build(random.fork());
  const given = overTopics(built.plan(), built.bindings());
  const open = scenario.anyOrder ? 'continuous' : 'drizzle';
  const mode = random.pick(['drizzle', 'drizzle', 'drizzle', 'bsp', 'bsp', open] as const);
  const simulation = drawFor(seed, { random, scenario, ...given, aheadMs: 0, faults: true, mode });
  const bounded = random.chance(0.5);
  const healMs = random.pick([200, 1000, 3000, 6000]);
  const faults = random.chance(0.1) ? noKafkaFaults : drawKafkaFaults(random.fork(), healMs);
  return {
    simulation,
    bounded,
    stops: bounded ? [] : stopsFrom(random.float() * 2000),
    laterStops: bounded ? [] : stopsFrom(random.float() * 500),
    kafka: {
      brokerCount: random.pick([1, 3, 3, 5]),
      transactionVersion: random.pick([0, 1, 2, 2]),
      verifies: random.chance(0.7),
      epochMin: random.pick([0, 0, 29_990]),
      epochMax: 32_766,
      replicationMsMax: random.pick([1, 5, 50]),
      decideMsMax: random.pick([1, 5]),
      markerMsMax: random.pick([1, 5, 100]),
      latencyMsMax: random.pick([1, 5]),
      timeoutMs: random.pick([20, 100, 1000]),
      faults,
    },
    reading: {
      bytesPerTask: random.pick([200, 1000, 10_000]),
      small: random.chance(0.3),
      logsInTopic: random.chance(0.5),
    },
    writing: {
      topicPartitions: random.integer(1, 3),
      keyed: random.chance(0.5),
      smallBatches: random.chance(0.3),
      compressed: random.chance(0.2),
    },
  };
}

/** Sources give lines, and each sink partition is written by the worker that feeds it. */
function overTopics(
  logical: LogicalPlan,
  bindings: Bindings<Source, Sink>,
): Pick<DrawnSimulation, 'logical' | 'bindings'> {
  const format = { kind: 'json-lines' } as const;
  const sources = new Map<SourceId, Source>(
    logical.sources.map(({ id }) => [
      id,
      new SimulatedRows(simulatedSource(bindings, id).rows, format),
    ]),
  );
  return {
    logical: {
      ...logical,
      sources: logical.sources.map((source) => ({ ...source, format })),
      sinks: logical.sinks.map((sink) => ({ ...sink, partitions: null })),
    },
    bindings: { ...bindings, sources },
  };
}

/** It is asked again, for a driver that has just begun may not have heard it. */
function stopsFrom(afterMs: number): readonly Intervention[] {
  const event = { kind: 'stop-requested', drain: true, savepoint: null } as const;
  return [0, 1000, 10_000].map((laterMs) => ({ afterMs: afterMs + laterMs, event }));
}
