// The Kafka source on a simulated cluster with faults: readers crash and go on elsewhere while
// others write. What they give is what stands in the log, record by record, with its offset; and
// what a replayer gives for ranges is what a reader gave.

import assert from 'node:assert/strict';
import { Random } from '../../base/random.ts';
import { StreamError } from '../../base/stream-error.ts';
import { KafkaSource } from '../../connectors/kafka/kafka-source.ts';
import { sourceContext, textOf } from '../../connectors/source-reading.fixture.ts';
import type { SourceChunk } from '../../ports/source-chunk.ts';
import type { SourceContext, SourceReader } from '../../ports/source.ts';
import { float64, int32 } from '../../schema/column-type.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import { schema } from '../../schema/schema.ts';
import { headOf, rawRecords } from './batch-bytes.ts';
import { Feeder } from './feeder.fixture.ts';
import { drawKafkaFaults, noKafkaFaults } from './kafka-faults.ts';
import { newKafka, runInTime } from './kafka-run.fixture.ts';
import type { SimulatedClient, SimulatedKafka } from './simulated-kafka.ts';

const topic = 'input';
const group = 'lag';
const columns = schema({ v: int32(), at: float64() });

export type SourceSimulation = {
  readonly records: number;
  readonly chunks: number;
  readonly reopened: number;
  readonly failed: number;
  /** Partitions whose group was found at their end. */
  readonly committed: number;
};

type Range = { readonly from: number; readonly to: number; readonly texts: readonly string[] };

type Drawn = {
  readonly partitionCount: number;
  readonly isolation: 'read-committed' | 'read-uncommitted';
  readonly bounded: boolean;
  readonly spliced: boolean;
  readonly small: boolean;
  readonly compacted: boolean;
  /** Positions are committed to a group. */
  readonly grouped: boolean;
};

/** Throws what was wrong. */
export async function simulateKafkaSource(seed: number): Promise<SourceSimulation> {
  const random = new Random(seed);
  const healMs = random.pick([200, 1000, 3000, 6000]);
  const faults = random.chance(0.1) ? noKafkaFaults : drawKafkaFaults(random.fork(), healMs);
  const { clock, kafka } = newKafka(random.uint32(), {
    brokerCount: random.pick([1, 3, 3, 5]),
    transactionVersion: random.pick([0, 1, 2, 2]),
    replicationMsMax: random.pick([1, 5, 50]),
    decideMsMax: random.pick([1, 5]),
    markerMsMax: random.pick([1, 5, 100]),
    latencyMsMax: random.pick([1, 5]),
    timeoutMs: random.pick([20, 100, 1000]),
    faults,
  });
  const drawn: Drawn = {
    partitionCount: random.integer(1, 3),
    isolation: random.pick(['read-committed', 'read-committed', 'read-uncommitted']),
    bounded: random.chance(0.3),
    spliced: random.chance(0.5),
    small: random.chance(0.5),
    compacted: random.chance(0.5),
    grouped: random.chance(0.5),
  };
  kafka.createTopic(topic, drawn.partitionCount, {
    'cleanup.policy': drawn.compacted ? 'compact' : 'delete',
  });
  const world = new World(kafka, random.fork(), drawn);
  await runInTime({ clock, kafka, limitMs: healMs + 400_000 }, world.run());
  return world.totals;
}

class World {
  readonly totals = { records: 0, chunks: 0, reopened: 0, failed: 0, committed: 0 };
  readonly #kafka: SimulatedKafka;
  readonly #random: Random;
  readonly #drawn: Drawn;
  readonly #ranges: Range[][];
  #values = 0;
  #processes = 0;
  #isFed = false;
  #layout: JsonValue = null;

  constructor(kafka: SimulatedKafka, random: Random, drawn: Drawn) {
    this.#kafka = kafka;
    this.#random = random;
    this.#drawn = drawn;
    this.#ranges = Array.from({ length: drawn.partitionCount }, () => []);
  }

  async run(): Promise<void> {
    await this.#feed(this.#random.integer(0, 20));
    // Before anybody reads: afterwards a range would not be what it was.
    if (this.#drawn.compacted) this.#kafka.brokers.compact();
    const feeding = this.#feed(this.#random.integer(0, 30));
    await this.#layOut();
    const partitions = Array.from(this.#ranges.keys());
    const reading = partitions.map((partition) => this.#readAll(partition));
    await feeding;
    // The last transactions that nobody has ended are over by then.
    await this.#kafka.sleep(5_000);
    this.#isFed = true;
    await Promise.all(reading);
    for (const partition of partitions) this.#judge(partition);
    await Promise.all(partitions.map((partition) => this.#replay(partition)));
  }

  async #feed(rounds: number): Promise<void> {
    const feeders = ['a', 'b', null].map((transactionalId) => {
      return new Feeder(this.#newClient(), this.#random.fork(), {
        topic,
        partitionCount: this.#drawn.partitionCount,
        transactionalId,
        rounds,
        newValue: () => JSON.stringify({ v: this.#values++ }),
      });
    });
    await Promise.all(feeders.map((feeder) => feeder.run()));
  }

  async #layOut(): Promise<void> {
    for (;;) {
      try {
        this.#layout = await this.#source(this.#newClient()).layout(this.#context());
        return;
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  /** One life of a reader after the other, each where the last one has come to. */
  async #readAll(partition: number): Promise<void> {
    const random = this.#random;
    for (let tries = 0; tries < 200; tries++) {
      const client = this.#newClient();
      const losesAfter = random.chance(0.7) ? random.integer(0, 10) : Infinity;
      const from = this.#ranges[partition]!.at(-1)?.to;
      const context = this.#context(from === undefined ? {} : { from });
      try {
        const reader = await this.#source(client).open(partition, context);
        const isDone = await this.#read(partition, reader, losesAfter);
        if (isDone) {
          await reader.close();
          return this.#judgeGroup(partition, { lives: tries + 1 });
        }
      } catch (error) {
        this.#failed(error);
      }
      if (random.chance(0.5)) client.crash();
      this.totals.reopened++;
    }
    assert.fail(`partition ${partition} is never read to its end`);
  }

  /** False: the reader is given up. */
  async #read(partition: number, reader: SourceReader, losesAfter: number): Promise<boolean> {
    const random = this.#random;
    const ranges = this.#ranges[partition]!;
    for (let takes = 0; takes < losesAfter; takes++) {
      await this.#kafka.sleep(random.float() * random.pick([1, 20, 100]));
      if (!reader.ready()) {
        if (!this.#drawn.bounded && this.#isThrough(partition)) return true;
        continue;
      }
      const chunk = reader.take(random.pick([1, 50, 500, 1e6]));
      const position = ranges.at(-1)?.to ?? this.#startOf(partition);
      assert.equal(chunk.from, position, 'ranges follow each other');
      assert.ok(chunk.to >= chunk.from);
      ranges.push({ from: chunk.from, to: chunk.to, texts: linesOf(chunk) });
      this.totals.chunks++;
      if (chunk.ended) {
        assert.ok(this.#drawn.bounded, 'only a bounded run ends');
        return true;
      }
    }
    return false;
  }

  #isThrough(partition: number): boolean {
    return this.#isFed && (this.#ranges[partition]!.at(-1)?.to ?? 0) >= this.#end(partition);
  }

  #startOf(partition: number): number {
    return (this.#layout as { readonly starts: readonly number[] }).starts[partition]!;
  }

  #end(partition: number): number {
    const log = this.#kafka.brokers.log({ topic, partition });
    const { ends } = this.#layout as { readonly ends: readonly number[] | null };
    if (ends !== null) return ends[partition]!;
    return this.#drawn.isolation === 'read-committed' ? log.lastStableOffset : log.highWatermark;
  }

  /** Whoever looks at the lag sees how far the run has come, and never further. */
  #judgeGroup(partition: number, { lives }: { readonly lives: number }): void {
    const offset = this.#kafka.brokers.groupOffset(group, { topic, partition });
    const ends = this.#ranges[partition]!.map(({ to }) => to);
    if (!this.#drawn.grouped) return assert.equal(offset, -1);
    assert.ok(offset === -1 || ends.includes(offset), `${offset} was never reached`);
    // What others have left behind may come late, and faults may last.
    const isAlone = lives === 1 && this.#kafka.options.faults === noKafkaFaults;
    const last = ends.findLast((to, index) => to > (ends[index - 1] ?? this.#startOf(partition)));
    if (!isAlone || last === undefined) return;
    assert.equal(offset, last, `partition ${partition} was read to ${last}`);
    this.totals.committed++;
  }

  #judge(partition: number): void {
    const log = this.#kafka.brokers.log({ topic, partition });
    const ranges = this.#ranges[partition]!;
    // What has come after the end of the run was not read.
    const to = ranges.at(-1)?.to ?? this.#startOf(partition);
    const end = this.#drawn.bounded ? this.#end(partition) : to;
    const expected = log.visible(this.#drawn.isolation).flatMap((bytes) => {
      assert.equal(headOf(bytes).control, false);
      return rawRecords(bytes)
        .filter(({ offset }) => offset >= this.#startOf(partition) && offset < end)
        .map(({ offset, value }) => `${offset} ${new TextDecoder().decode(value!)}`);
    });
    const found = ranges.flatMap(({ texts }) => texts);
    this.totals.records += found.length;
    assert.ok(to >= end || expected.length === 0, 'it was read to the end');
    assert.deepEqual(found.map(valueOf), expected.map(valueOf), `partition ${partition}`);
    if (!this.#drawn.spliced) return;
    const offsets = expected.map((text) => Number(text.split(' ', 1)[0]));
    assert.deepEqual(
      found.map((text) => (JSON.parse(text) as { at: number }).at),
      offsets,
    );
  }

  /** Ranges on end, picked at random, by another process. */
  async #replay(partition: number): Promise<void> {
    const ranges = this.#ranges[partition]!;
    for (let round = 0; round < Math.min(5, ranges.length); round++) {
      const first = this.#random.integer(0, ranges.length - 1);
      const last = this.#random.integer(first, ranges.length - 1);
      const asked = ranges.slice(first, last + 1);
      const source = this.#source(this.#newClient());
      const replayer = await source.replayer(partition, this.#context());
      const chunk = await replayer.read(asked[0]!.from, asked.at(-1)!.to);
      assert.deepEqual([chunk.from, chunk.to], [asked[0]!.from, asked.at(-1)!.to]);
      assert.deepEqual(
        linesOf(chunk),
        asked.flatMap(({ texts }) => texts),
      );
      await replayer.close();
    }
  }

  #source(client: SimulatedClient): KafkaSource {
    const { isolation, bounded, spliced, small, grouped } = this.#drawn;
    return new KafkaSource(
      {
        brokers: 'simulated:9092',
        topic,
        schema: columns,
        isolation,
        ...(grouped ? { group } : {}),
        ...(bounded ? { until: 'latest' as const } : {}),
        ...(spliced ? { columns: { at: 'offset' as const } } : {}),
        ...(small ? { bufferBytes: 200, fetchBytes: 150, fetchWaitMs: 20 } : {}),
      },
      client.platform,
    );
  }

  #context(part: Partial<SourceContext> = {}): SourceContext {
    const { clock } = this.#kafka;
    const layout = this.#layout === null ? {} : { layout: this.#layout };
    return sourceContext({ nowMs: () => clock.nowMs, ...layout, ...part });
  }

  #newClient(): SimulatedClient {
    return this.#kafka.client(`process-${this.#processes++}`);
  }

  #failed(error: unknown): void {
    // A mistake of the program is none of the world's failures.
    if (!(error instanceof StreamError)) throw error;
    this.totals.failed++;
    assert.ok(this.totals.failed < 200, `it fails for ever: ${String(error)}`);
  }
}

/** What is laid in place leaves blank lines where heads and keys were. */
function linesOf(chunk: SourceChunk): readonly string[] {
  return textOf(chunk)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function valueOf(text: string): unknown {
  return (JSON.parse(text.replace(/^\d+ /, '')) as { readonly v: number }).v;
}
