// What the engine reads and writes in a simulation over Kafka: topics, through the connector, with
// a process of its own for each worker and each driver.

import assert from 'node:assert/strict';
import { hashText } from '../../base/hash.ts';
import type { Random } from '../../base/random.ts';
import { makeKafkaSink } from '../../connectors/kafka/kafka-sink.ts';
import { KafkaSource } from '../../connectors/kafka/kafka-source.ts';
import type { Term } from '../../control/protocol/ids.ts';
import type { SinkId, SinkSpec, SourceId, SourceSpec } from '../../plan/logical-plan.ts';
import type { Sink, SinkContext, SinkRun } from '../../ports/sink.ts';
import type { Source, SourceContext } from '../../ports/source.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import type { Schema } from '../../schema/schema.ts';
import { simulatedSource } from '../pipeline-runner.ts';
import type { Commit } from '../task-runner.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import type { ClusterWorld, WorkerHost } from '../worker-io.ts';
import type { DrawnEngine } from './engine-draw.fixture.ts';
import { EngineLog } from './engine-log.fixture.ts';
import { Feeder } from './feeder.fixture.ts';
import { PortIo } from './port-io.fixture.ts';
import { headOf, rawRecords } from './batch-bytes.ts';
import { plain } from './kafka-run.fixture.ts';
import type { SimulatedClient, SimulatedKafka } from './simulated-kafka.ts';
import { fill } from './topic-rows.fixture.ts';

const address = { brokers: 'simulated:9092' };
/** Who is gone holds up readers for so long. */
const transactionTimeoutMs = 20_000;

export class EngineWorld implements ClusterWorld {
  readonly clock: VirtualClock;
  /** What a judge has found where nobody waits for it. */
  broken: unknown = null;
  committed = 0;
  readonly #drawn: DrawnEngine;
  readonly #kafka: SimulatedKafka;
  readonly #startMs: number;
  #layouts: Readonly<Record<SourceId, JsonValue>> = {};
  #term = 0;
  #processes = 0;
  readonly #clients = new WeakMap<WorkerHost, SimulatedClient>();
  readonly #log: EngineLog | null;

  constructor(drawn: DrawnEngine, kafka: SimulatedKafka, random: Random) {
    this.#drawn = drawn;
    this.#kafka = kafka;
    this.clock = kafka.clock;
    this.#startMs = kafka.clock.nowMs;
    const log = {
      plan: this.#plan,
      nowMs: () => this.clock.nowMs,
      clientOf: (host: WorkerHost) => this.#clientOf(host),
      onBroken: (error: unknown) => this.#onBroken(error),
    };
    this.#log = drawn.reading.logsInTopic ? new EngineLog(log) : null;
    for (const source of this.#plan.sources) this.#fillTopic(source, random);
    for (const { id } of this.#plan.sinks) {
      kafka.createTopic(outputTopic(id), drawn.writing.topicPartitions);
    }
  }

  begin(term: Term, prepared: () => void): void {
    this.#kafka.heard++;
    this.#begin(term).then(prepared).catch(this.#onBroken);
  }

  get log(): EngineLog | null {
    return this.#log;
  }

  ioOf(host: WorkerHost): PortIo {
    const client = this.#clientOf(host);
    const { plan, bindings, cluster } = this.#drawn.simulation;
    const sources = new Map(
      this.#plan.sources.map((spec) => [spec.id, this.#source(spec, client)]),
    );
    const sinks = new Map(this.#plan.sinks.map((spec) => [spec.id, this.#sink(spec, client)]));
    const { bytesPerTask } = this.#drawn.reading;
    const { workerCount } = cluster;
    const config = { bytesPerTask, workerCount, layouts: this.#layouts, startMs: this.#startMs };
    const clock = { nowMs: () => this.clock.nowMs };
    return new PortIo(host, {
      client,
      readers: { plan, bindings: { ...bindings, sources, sinks }, config, clock },
      writers: { specs: plan.sinks, sinks, clock, run: this.#run, ledgers: {} },
      onBroken: this.#onBroken,
      onCommitted: (commit) => this.#onCommitted(commit),
    });
  }

  /** Bounded: where each partition ends; Infinity: it goes on. */
  endOf(source: SourceId, partition: number): number {
    const { ends } = this.#layouts[source] as { readonly ends: readonly number[] | null };
    return ends?.[partition] ?? Infinity;
  }

  get #plan(): DrawnEngine['simulation']['plan'] {
    return this.#drawn.simulation.plan;
  }

  /** Of a job that goes on while it is fed the second half comes by and by. */
  #fillTopic({ id }: SourceSpec, random: Random): void {
    const { bounded, simulation } = this.#drawn;
    const { rows } = simulatedSource(simulation.bindings, id);
    const topic = inputTopic(id);
    this.#kafka.createTopic(topic, rows.length);
    const later: string[] = [];
    for (const [partition, all] of rows.entries()) {
      const count = bounded ? all.length : Math.ceil(all.length / 2);
      fill(this.#kafka.brokers, { topic, partition }, { random, rows: all.slice(0, count) });
      later.push(...all.slice(count).map((row) => JSON.stringify(row)));
    }
    if (later.length === 0) return;
    for (const transactionalId of [`feeder of ${topic}`, null]) {
      const client = this.#client(`feeder-${this.#processes}`);
      const feeder = new Feeder(client, random.fork(), {
        topic,
        partitionCount: rows.length,
        transactionalId,
        rounds: random.integer(1, 12),
        newValue: () => later[random.integer(0, later.length - 1)]!,
      });
      feeder.run().catch(this.#onBroken);
    }
  }

  async #begin(term: Term): Promise<void> {
    this.#term = term;
    const client = this.#client('driver');
    const layouts: Record<SourceId, JsonValue> = {};
    for (const spec of this.#plan.sources) {
      const layout = this.#layouts[spec.id] ?? null;
      const source = this.#source(spec, client);
      layouts[spec.id] = await source.layout!(this.#sourceContext(spec, layout));
      if (layout !== null) assert.deepEqual(layouts[spec.id], layout, 'a run keeps its layout');
    }
    this.#layouts = layouts;
    for (const spec of this.#plan.sinks) {
      await this.#sink(spec, client).prepare(this.#sinkContext(spec));
    }
    this.#log?.begin(term, client);
  }

  get #run(): SinkRun {
    const name = { pipeline: this.#plan.name, history: 'h1', keeps: null };
    return { ...name, term: this.#term, incarnation: 0, resumes: this.#term > 1 };
  }

  #sinkContext({ schema, name }: SinkSpec): SinkContext {
    return { nowMs: () => this.clock.nowMs, schema, name, run: this.#run };
  }

  #sourceContext({ schema, format }: SourceSpec, layout: JsonValue): SourceContext {
    const { workerCount } = this.#drawn.simulation.cluster;
    const nowMs = (): number => this.clock.nowMs;
    const warn = (): void => {};
    return { nowMs, startMs: this.#startMs, schema, format, workerCount, layout, warn };
  }

  #source({ id, schema }: SourceSpec, { platform }: SimulatedClient): Source {
    const { bounded, reading } = this.#drawn;
    const options = {
      ...address,
      topic: inputTopic(id),
      schema: schema as Schema,
      ...(bounded ? { until: 'latest' as const } : {}),
      ...(reading.small ? { bufferBytes: 200, fetchBytes: 150, fetchWaitMs: 20 } : {}),
    };
    return new KafkaSource(options, platform);
  }

  #sink({ id, schema }: SinkSpec, { platform }: SimulatedClient): Sink {
    const { keyed, smallBatches, compressed } = this.#drawn.writing;
    const key = schema.fields.find(({ type }) => type.kind === 'string')?.name;
    const options = {
      ...address,
      topic: outputTopic(id),
      transactionTimeoutMs,
      ...(keyed && key !== undefined ? { key } : {}),
      ...(smallBatches ? { batchBytesMax: 1 } : {}),
      ...(compressed ? { compression: 'lz4' as const } : {}),
    };
    return makeKafkaSink(options, platform) as Sink;
  }

  /** One for each life of a worker. */
  #clientOf(host: WorkerHost): SimulatedClient {
    const client = this.#clients.get(host) ?? this.#client(host.name);
    this.#clients.set(host, client);
    return client;
  }

  #client(name: string): SimulatedClient {
    return this.#kafka.client(`${name}-${this.#processes++}`);
  }

  /** What the connector calls visible the cluster has decided, whoever fails from now on. */
  #onCommitted({ sink, partition, batch }: Commit): void {
    this.committed++;
    const { brokers } = this.#kafka;
    const { name } = this.#plan.sinks.find(({ id }) => id === sink)!;
    const key = JSON.stringify([this.#plan.name, 'h1', name, partition]);
    let through = -1;
    for (const { log } of brokers.topic(ledgerOf(sink as SinkId))!.partitions) {
      const decided = log.decided((producer) => brokers.coordinator.isCommitting(producer));
      for (const record of decided.flatMap((bytes) => rawRecords(bytes))) {
        if (decoded(record.key) !== key) continue;
        const entry = JSON.parse(decoded(record.value)) as { readonly batch: number };
        through = Math.max(through, entry.batch);
      }
    }
    // Or it says so itself, where it was committed in one phase.
    const owner = hashText(key).slice(0, 16);
    for (const { log } of brokers.topic(outputTopic(sink as SinkId))!.partitions) {
      for (const bytes of log.decided(() => false)) {
        const text = new TextDecoder('latin1').decode(plain(bytes));
        const [, said] = new RegExp(`mizzle-commit.${owner} (\\d+)`, 's').exec(text) ?? [];
        if (said !== undefined && !headOf(bytes).transactional) {
          through = Math.max(through, Number(said));
        }
      }
    }
    const what = `${sink}/${partition}@${batch}`;
    assert.ok(through >= batch, `${what} is said to be visible, and the ledger is at @${through}`);
  }

  readonly #onBroken = (error: unknown): void => {
    this.broken ??= error;
  };
}

export function inputTopic(source: SourceId): string {
  return `in-${source}`;
}

export function outputTopic(sink: SinkId): string {
  return `out-${sink}`;
}

export function ledgerOf(sink: SinkId): string {
  return `${outputTopic(sink)}.mizzle-ledger`;
}

function decoded(bytes: Uint8Array | null): string {
  return new TextDecoder().decode(bytes ?? new Uint8Array());
}
