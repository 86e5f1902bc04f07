// Source and sink of Kafka together, under an engine that is as small as can be: workers that take
// ranges, log them and commit what they hold, one micro-batch after the other. Workers are lost and
// come back as zombies while the cluster has faults. What the output topic holds in the end is what
// the input topic does, each record once and in order.

import assert from 'node:assert/strict';
import { Random } from '../../base/random.ts';
import { StreamError } from '../../base/stream-error.ts';
import { makeKafkaSink } from '../../connectors/kafka/kafka-sink.ts';
import { KafkaSource } from '../../connectors/kafka/kafka-source.ts';
import { sourceContext, textOf } from '../../connectors/source-reading.fixture.ts';
import { rowsToBatch } from '../../data/columnar/rows.ts';
import type { SourceChunk } from '../../ports/source-chunk.ts';
import type { SourceContext } from '../../ports/source.ts';
import type { SinkContext, SinkWriter } from '../../ports/sink.ts';
import { int32 } from '../../schema/column-type.ts';
import type { JsonValue, RowSchema } from '../../schema/data-type.ts';
import { schema } from '../../schema/schema.ts';
import { rawRecords } from './batch-bytes.ts';
import { Feeder } from './feeder.fixture.ts';
import { drawKafkaFaults, noKafkaFaults } from './kafka-faults.ts';
import { newKafka, recordsOf, runInTime } from './kafka-run.fixture.ts';
import type { SimulatedClient, SimulatedKafka } from './simulated-kafka.ts';

const input = 'input';
const output = 'output';
const columns = schema({ v: int32() });

const outputSchema: RowSchema = {
  fields: ['partition', 'batch', 'row', 'v'].map((name) => {
    return { name, path: [name], type: { kind: 'int32' as const }, nullable: false };
  }),
};

type OutputRow = Readonly<Record<'partition' | 'batch' | 'row' | 'v', number>>;

export type PipelineSimulation = {
  readonly records: number;
  readonly batches: number;
  readonly lives: number;
  readonly failed: number;
};

/** What every partition's range log holds: batch by batch, from the first on. */
type Range = { readonly from: number; readonly to: number };
type Life = {
  readonly term: number;
  readonly incarnation: number;
  readonly client: SimulatedClient;
};

/** A worker that others have taken the place of. */
class Replaced extends Error {}

/** Throws what was wrong. */
export async function simulateKafkaPipeline(seed: number): Promise<PipelineSimulation> {
  const random = new Random(seed);
  const healMs = random.pick([200, 1000, 3000, 6000]);
  const faults = random.chance(0.1) ? noKafkaFaults : drawKafkaFaults(random.fork(), healMs);
  const { clock, kafka } = newKafka(random.uint32(), {
    brokerCount: random.pick([1, 3, 3, 5]),
    transactionVersion: random.pick([0, 1, 2, 2]),
    epochMin: random.pick([0, 0, 29_997]),
    replicationMsMax: random.pick([1, 5, 50]),
    decideMsMax: random.pick([1, 5]),
    markerMsMax: random.pick([1, 5, 100]),
    latencyMsMax: random.pick([1, 5]),
    timeoutMs: random.pick([20, 100, 1000]),
    faults,
  });
  const partitionCount = random.integer(1, 3);
  kafka.createTopic(input, partitionCount);
  kafka.createTopic(output, random.integer(1, 3));
  const world = new World(kafka, random.fork(), partitionCount);
  await runInTime({ clock, kafka, limitMs: healMs + 400_000 }, world.run());
  await runInTime({ clock, kafka }, kafka.sleep(60_000));
  world.judge();
  return world.totals;
}

class World {
  readonly totals = { records: 0, batches: 0, lives: 0, failed: 0 };
  readonly #kafka: SimulatedKafka;
  readonly #random: Random;
  readonly #logs: Range[][];
  /** Who may append to the range log of a partition. */
  readonly #owners: (Life | null)[];
  #layout: JsonValue = null;
  #values = 0;
  #processes = 0;
  #term = 1;
  #incarnation = 0;
  #losses: number;
  #isFed = false;
  /** A judge has found something, perhaps where nobody waits for it. */
  #broken: unknown = null;

  constructor(kafka: SimulatedKafka, random: Random, partitionCount: number) {
    this.#kafka = kafka;
    this.#random = random;
    this.#logs = Array.from({ length: partitionCount }, () => []);
    this.#owners = Array.from({ length: partitionCount }, () => null);
    this.#losses = random.pick([0, 2, 5, 10]);
  }

  async run(): Promise<void> {
    await this.#feed(this.#random.integer(0, 8));
    await this.#asDriver(async (client) => {
      this.#layout = await this.#source(client).layout(this.#sourceContext());
    });
    await this.#prepare(false);
    const feeding = this.#feed(this.#random.integer(1, 12));
    const working = Array.from(this.#logs.keys(), (partition) => this.#supervise(partition));
    await feeding;
    // The last transactions that nobody has ended are over by then.
    await this.#kafka.sleep(5_000);
    this.#isFed = true;
    await Promise.all(working);
  }

  judge(): void {
    if (this.#broken !== null) throw this.#broken;
    const rows: OutputRow[] = [];
    for (const { topic, log } of this.#kafka.brokers.partitions()) {
      assert.equal(log.lastStableOffset, log.endOffset, `nothing hangs in ${topic}`);
      if (topic !== output) continue;
      const found = recordsOf(log.visible('read-committed'));
      rows.push(...found.map(({ value }) => JSON.parse(value!) as OutputRow));
    }
    for (const [partition, log] of this.#logs.entries()) {
      const source = this.#kafka.brokers.log({ topic: input, partition });
      // What comes later than the end of the run was not read.
      const end = log.at(-1)?.to ?? 0;
      const expected = source
        .visible('read-committed')
        .flatMap((bytes) => rawRecords(bytes))
        .filter(({ offset }) => offset < end)
        .map(({ value }) => (JSON.parse(new TextDecoder().decode(value!)) as OutputRow).v);
      const mine = rows
        .filter((row) => row.partition === partition)
        .sort((a, b) => a.batch - b.batch || a.row - b.row);
      assert.deepEqual(
        mine.map(({ v }) => v),
        expected,
        `partition ${partition}`,
      );
      this.totals.records += mine.length;
      this.totals.batches += log.length;
    }
  }

  async #feed(rounds: number): Promise<void> {
    const feeders = ['a', null].map((transactionalId) => {
      return new Feeder(this.#newClient(), this.#random.fork(), {
        topic: input,
        partitionCount: this.#logs.length,
        transactionalId,
        rounds,
        newValue: () => JSON.stringify({ v: this.#values++ }),
      });
    });
    await Promise.all(feeders.map((feeder) => feeder.run()));
  }

  /** Until it works, each time as another process. */
  async #asDriver(action: (client: SimulatedClient) => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await action(this.#newClient());
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  #prepare(resumes: boolean): Promise<void> {
    const run = { term: this.#term, incarnation: 0 };
    return this.#asDriver((client) => {
      return this.#sink(client).prepare(this.#sinkContext({ ...run, resumes }));
    });
  }

  /** Gives a partition one worker after the other until everything is written. */
  async #supervise(partition: number): Promise<void> {
    const random = this.#random;
    for (let tries = 0; tries < 200; tries++) {
      const client = this.#newClient();
      const life: Life = { term: this.#term, incarnation: ++this.#incarnation, client };
      this.#owners[partition] = life;
      this.totals.lives++;
      const working = this.#work(partition, life).then(
        () => 'done' as const,
        (error: unknown) => this.#ended(error),
      );
      const lossMs = random.float() * random.pick([10, 100, 1000]);
      const lost = this.#kafka.sleep(lossMs).then(() => 'lost' as const);
      const outcome = await (this.#losses > 0 ? Promise.race([working, lost]) : working);
      if (outcome === 'done') return;
      if (outcome !== 'lost') continue;
      this.#losses--;
      const how = random.pick(['crash', 'pause', 'zombie', 'new-driver']);
      if (how === 'crash') client.crash();
      if (how === 'pause') client.pause(random.float() * random.pick([100, 1000]));
      if (how !== 'new-driver') continue;
      this.#term++;
      await this.#prepare(true);
    }
    assert.fail(`partition ${partition} is never done`);
  }

  async #work(partition: number, life: Life): Promise<void> {
    const log = this.#logs[partition]!;
    const { client } = life;
    const writer = await this.#sink(client).open(partition, this.#sinkContext(life));
    const source = this.#source(client);
    const replayer = await source.replayer(partition, this.#sourceContext());
    for (let batch = writer.committedThrough + 1; batch < log.length; batch++) {
      const { from, to } = log[batch]!;
      await commit(writer, { partition, batch, chunk: await replayer.read(from, to) });
    }
    await replayer.close();
    assert.ok(writer.committedThrough < log.length, 'nothing is visible that was not logged');
    const from = log.at(-1)?.to;
    const context = this.#sourceContext(from === undefined ? {} : { from });
    const reader = await source.open(partition, context);
    for (;;) {
      await client.platform.sleep(this.#random.float() * this.#random.pick([2, 20]));
      if (!reader.ready()) {
        if (this.#isDone(partition)) break;
        continue;
      }
      const chunk = reader.take(this.#random.pick([1, 50, 500]));
      if (chunk.to === chunk.from) continue;
      const batch = log.length;
      await this.#append(partition, life, chunk);
      await commit(writer, { partition, batch, chunk });
    }
    await reader.close();
    await writer.close();
  }

  /** Durable after a delay, if the worker is still the one that may write. */
  async #append(partition: number, life: Life, { from, to }: SourceChunk): Promise<void> {
    await life.client.platform.sleep(this.#random.float() * 5);
    if (this.#owners[partition] !== life) throw new Replaced();
    this.#logs[partition]!.push({ from, to });
    await life.client.platform.sleep(this.#random.float() * 2);
  }

  #isDone(partition: number): boolean {
    const { lastStableOffset } = this.#kafka.brokers.log({ topic: input, partition });
    return this.#isFed && (this.#logs[partition]!.at(-1)?.to ?? 0) >= lastStableOffset;
  }

  #source({ platform }: SimulatedClient): KafkaSource {
    return new KafkaSource({ brokers: 'simulated:9092', topic: input, schema: columns }, platform);
  }

  #sink({ platform }: SimulatedClient): ReturnType<typeof makeKafkaSink> {
    const address = { brokers: 'simulated:9092', topic: output };
    return makeKafkaSink({ ...address, key: 'partition', transactionTimeoutMs: 20_000 }, platform);
  }

  #sourceContext(part: Partial<SourceContext> = {}): SourceContext {
    const layout = this.#layout === null ? {} : { layout: this.#layout };
    return sourceContext({ nowMs: () => this.#kafka.clock.nowMs, ...layout, ...part });
  }

  #sinkContext(of: {
    readonly term: number;
    readonly incarnation: number;
    readonly resumes?: boolean;
  }): SinkContext {
    const { term, incarnation, resumes = term > 1 } = of;
    const name = { pipeline: 'simulated', history: 'h1', keeps: null };
    const run = { ...name, term, incarnation, resumes };
    return { nowMs: () => this.#kafka.clock.nowMs, schema: outputSchema, name: 'out', run };
  }

  #newClient(): SimulatedClient {
    return this.#kafka.client(`process-${this.#processes++}`);
  }

  #ended(error: unknown): 'failed' {
    if (!(error instanceof Replaced)) this.#failed(error);
    return 'failed';
  }

  #failed(error: unknown): void {
    // A mistake of the program is none of the world's failures.
    if (!(error instanceof StreamError)) {
      this.#broken ??= error;
      throw error;
    }
    this.totals.failed++;
    assert.ok(this.totals.failed < 500, `it fails for ever: ${String(error)}`);
  }
}

async function commit(
  writer: SinkWriter,
  of: { readonly partition: number; readonly batch: number; readonly chunk: SourceChunk },
): Promise<void> {
  const { partition, batch, chunk } = of;
  const rows = textOf(chunk)
    .filter((line) => line.trim() !== '')
    .map((line, row) => ({ ...(JSON.parse(line) as { v: number }), partition, batch, row }));
  const onBad = (): never => assert.fail('a row does not fit');
  const check = { nowMs: 0, timeAheadMsMax: 0, timeField: -1, onBad };
  await writer.commit({ batch, rows: rowsToBatch(outputSchema, rows, check), watermarkMs: batch });
}
