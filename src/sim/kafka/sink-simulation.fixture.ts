// Writers of a sink by themselves, on a simulated cluster with faults: they crash, stand still, are
// replaced and come back. In the end every micro-batch is visible once, whole and in order, by a
// writer that was allowed to, whatever has happened.

import assert from 'node:assert/strict';
import { Random } from '../../base/random.ts';
import { StreamError } from '../../base/stream-error.ts';
import { isNewer } from '../../connectors/fenced.ts';
import { rowsToBatch } from '../../data/columnar/rows.ts';
import type { KafkaPlatform } from '../../ports/kafka-wire.ts';
import type { Sink, SinkContext, SinkRun, SinkWriter } from '../../ports/sink.ts';
import type { RowObject, RowSchema } from '../../schema/data-type.ts';
import { drawKafkaFaults, noKafkaFaults } from './kafka-faults.ts';
import { newKafka, recordsOf, runInTime } from './kafka-run.fixture.ts';
import type { SimulatedClient, SimulatedKafka, SimulatedKafkaOptions } from './simulated-kafka.ts';

export type SinkUnderTest = {
  /** It knows of histories that follow each other. */
  readonly keepsHistories: boolean;
  /** It has no ledger and fences nobody: whoever opens repeats everything. */
  readonly repeats?: boolean;
  /** Topics that are there before; the sink makes others by itself. */
  readonly prepare?: (kafka: SimulatedKafka, of: SinkDrawn) => void;
  readonly make: (platform: KafkaPlatform, of: SinkDrawn) => Sink;
};

export type SinkDrawn = {
  readonly topic: string;
  readonly topicPartitions: number;
  readonly sinkPartitions: number;
  /** Rows are spread over the topic's partitions. */
  readonly keyed: boolean;
  /** A row fills a record batch. */
  readonly smallBatches: boolean;
  readonly compressed: boolean;
  /** Micro-batches may be committed without transactions. */
  readonly onePhase: boolean;
};

export type SinkSimulation = {
  readonly elapsedMs: number;
  readonly opened: number;
  readonly fenced: number;
  readonly failed: number;
};

type Row = {
  readonly history: number;
  readonly partition: number;
  readonly batch: number;
  readonly row: number;
};
/** Who wrote it: a number that only one life of a writer has. */
type Seen = Row & { readonly by: number };

const schema: RowSchema = {
  fields: ['history', 'partition', 'batch', 'row', 'by'].map((name) => {
    return { name, path: [name], type: { kind: 'int32' as const }, nullable: false };
  }),
};

type Done = { readonly life: Life; readonly batch: number };

type Life = {
  readonly by: number;
  readonly partition: number;
  readonly history: number;
  readonly run: SinkRun;
  /** How far the ledger went when it opened; null: it has not. */
  through: number | null;
};

/** After the faults, this long is enough for all that has been left behind. */
const healedMsMax = 400_000;

export async function simulateSink(
  seed: number,
  sink: SinkUnderTest,
  options: Partial<SimulatedKafkaOptions> & { readonly calm?: boolean } = {},
): Promise<SinkSimulation> {
  const random = new Random(seed);
  const healMs = random.pick([50, 200, 1000, 1000, 10_000]);
  const calm = options.calm ?? random.chance(0.1);
  const faults = calm ? noKafkaFaults : drawKafkaFaults(random.fork(), healMs);
  const onePhase = new Random(seed + 1).chance(0.6);
  const { clock, kafka } = newKafka(random.uint32(), {
    brokerCount: random.pick([1, 3, 3, 5]),
    transactionVersion: random.pick([0, 1, 2, 2]),
    verifies: random.chance(0.7),
    ...epochsOf(random.pick([32_766, 32_766, 2, 5]), onePhase),
    replicationMsMax: random.pick([1, 5, 50]),
    decideMsMax: random.pick([1, 5, 50]),
    markerMsMax: random.pick([1, 5, 100]),
    latencyMsMax: random.pick([1, 5]),
    timeoutMs: random.pick([20, 100, 1000]),
    faults,
    ...options,
  });
  const drawn: SinkDrawn = {
    topic: 'output',
    topicPartitions: random.integer(1, 4),
    sinkPartitions: random.integer(1, 3),
    keyed: random.chance(0.5),
    smallBatches: random.chance(0.3),
    compressed: random.chance(0.2),
    onePhase,
  };
  kafka.createTopic(drawn.topic, drawn.topicPartitions);
  sink.prepare?.(kafka, drawn);
  const world = new World(kafka, random.fork(), { drawn, sink });
  const startMs = clock.nowMs;
  await runInTime({ clock, kafka, limitMs: healMs + healedMsMax }, world.run());
  const elapsedMs = clock.nowMs - startMs;
  // What zombies have left on its way arrives, too.
  await runInTime({ clock, kafka }, kafka.sleep(60_000));
  world.judgeStable();
  world.judge();
  return { elapsedMs, opened: world.lives.length, fenced: world.fenced, failed: world.failed };
}

/** Close to the last one, or to where transactions are the only way; or a short row of them. */
function epochsOf(
  epochMax: number,
  onePhase: boolean,
): Pick<SimulatedKafkaOptions, 'epochMin' | 'epochMax'> {
  if (epochMax > 1000 || !onePhase) return { epochMin: 0, epochMax };
  return { epochMin: epochMax === 2 ? 32_762 : 29_997, epochMax: 32_766 };
}

class World {
  readonly lives: Life[] = [];
  fenced = 0;
  failed = 0;
  readonly #kafka: SimulatedKafka;
  readonly #random: Random;
  readonly #drawn: SinkDrawn;
  readonly #sink: SinkUnderTest;
  /** Rows of each micro-batch, by sink partition. */
  readonly #script: readonly (readonly number[])[];
  #losses: number;
  #term = 1;
  #incarnation = 0;
  #processes = 0;
  #history = 1;
  /** Nobody is sent to work any more. */
  #isStopped = false;
  /** What was visible of a history when the next one began. */
  #kept: readonly Seen[] | null = null;
  /** Commits that have resolved. */
  readonly #done: Done[] = [];
  #lastError = '';
  /** A judge has found something, perhaps where nobody waits for it. */
  #broken: unknown = null;

  constructor(
    kafka: SimulatedKafka,
    random: Random,
    of: { readonly drawn: SinkDrawn; readonly sink: SinkUnderTest },
  ) {
    this.#kafka = kafka;
    this.#random = random;
    this.#drawn = of.drawn;
    this.#sink = of.sink;
    const batchCount = random.integer(2, 10);
    this.#script = Array.from({ length: of.drawn.sinkPartitions }, () => {
      return Array.from({ length: batchCount }, () => random.pick([0, 1, 1, 2, 5]));
    });
    this.#losses = random.pick([0, 1, 2, 4, 10]);
  }

  async run(): Promise<void> {
    await this.#prepare(false);
    this.#compactNowAndThen();
    if (this.#sink.keepsHistories && this.#random.chance(0.3)) await this.#breakOff();
    const partitions = Array.from(this.#script.keys());
    await Promise.all(partitions.map((partition) => this.#supervise(partition)));
  }

  /** The run ends somewhere, and a new history follows it and keeps what is visible. */
  async #breakOff(): Promise<void> {
    const partitions = Array.from(this.#script.keys());
    const running = Promise.all(partitions.map((partition) => this.#supervise(partition)));
    await this.#kafka.sleep(this.#random.float() * this.#random.pick([20, 200, 2000]));
    this.#isStopped = true;
    this.#term++;
    this.#history++;
    await this.#prepare(false, ['h1']);
    this.#kept = this.#visible().filter(({ history }) => history === 1);
    this.#isStopped = false;
    // Who has not noticed goes on; it can do nothing any more.
    running.catch((error: unknown) => (this.#broken ??= error));
  }

  /** Topics that ask for it lose what newer records replace. */
  #compactNowAndThen(): void {
    const { brokers, clock } = this.#kafka;
    if (!brokers.isFaulty) return;
    clock.after(this.#random.float() * this.#random.pick([20, 200, 2000]), () => {
      brokers.compact();
      this.#compactNowAndThen();
    });
  }

  /** A driver's part: until it works, each time as another process. */
  async #prepare(resumes: boolean, keeps: readonly string[] | null = null): Promise<void> {
    for (let tries = 0; ; tries++) {
      const client = this.#newClient();
      const sink = this.#sink.make(client.platform, this.#drawn);
      try {
        await sink.prepare(this.#context({ resumes, keeps }));
        return;
      } catch (error) {
        this.#failed(error);
        assert.ok(tries < 200, 'preparing takes no end');
        await this.#kafka.sleep(10);
      }
    }
  }

  /** Sees to it that a partition has a writer, and gives it up now and then. */
  async #supervise(partition: number): Promise<void> {
    let again: { readonly client: SimulatedClient; readonly run: SinkRun } | null = null;
    const history = this.#history;
    for (let tries = 0; tries < 500; tries++) {
      if (this.#isStopped || history !== this.#history) return;
      const client: SimulatedClient = again?.client ?? this.#newClient();
      const run: SinkRun = again?.run ?? this.#newRun();
      const by = this.lives.length;
      const life: Life = { by, partition, history, run, through: null };
      this.lives.push(life);
      let isGivenUp = false;
      const isOver = this.#live(life, client, () => isGivenUp);
      const loss = this.#mayLose()
        ? this.#kafka.sleep(this.#random.float() * this.#lossMsMax())
        : null;
      const outcome = await (loss === null
        ? isOver
        : Promise.race([isOver, loss.then(() => 'lost' as const)]));
      if (outcome === 'done') return;
      isGivenUp = true;
      again = null;
      if (outcome === 'lost') {
        this.#losses--;
        await this.#lose(client);
        continue;
      }
      // It is tried again at once, by the same process or by another one.
      const isSame = this.#random.chance(0.3);
      if (this.#random.chance(0.5)) again = { client, run: isSame ? run : this.#newRun() };
    }
    assert.fail(`partition ${partition} is never done: ${this.#lastError}`);
  }

  async #lose(client: SimulatedClient): Promise<void> {
    switch (this.#random.pick(['crash', 'zombie', 'pause', 'new-term'])) {
      case 'crash':
        return client.crash();
      case 'pause':
        return client.pause(this.#random.float() * this.#random.pick([50, 500, 5000]));
      case 'new-term':
        this.#term++;
        return this.#prepare(true);
      case 'zombie':
    }
  }

  /** One life of a writer: opens, and commits what is missing. */
  async #live(
    life: Life,
    client: SimulatedClient,
    isGivenUp: () => boolean,
  ): Promise<'done' | 'failed'> {
    const { partition, run } = life;
    const sink = this.#sink.make(client.platform, this.#drawn);
    let writer: SinkWriter | null = null;
    try {
      writer = await sink.open(partition, this.#context(run));
      this.#onOpen(life, writer.committedThrough);
      const rows = this.#script[partition]!;
      for (let batch = writer.committedThrough + 1; batch < rows.length; batch++) {
        if (rows[batch] === 0 && this.#random.chance(0.7)) continue;
        if (this.#random.chance(0.3)) await this.#kafka.sleep(this.#random.float() * 20);
        await writer.commit({
          batch,
          rows: batchOf(this.#rows(life, batch)),
          watermarkMs: batch,
        });
        // Without rows there is nothing to see.
        if (rows[batch]! > 0) this.#onCommitted({ life, batch });
      }
      await writer.close().catch((error: unknown) => this.#failed(error));
      return 'done';
    } catch (error) {
      this.#failed(error);
      const isFenced = error instanceof StreamError && error.code === 'fenced';
      if (isFenced) this.#checkFenced(life, isGivenUp());
      await writer?.close().catch((other: unknown) => this.#failed(other));
      return 'failed';
    }
  }

  /** Only one that came later may fence. */
  #checkFenced(life: Life, isGivenUp: boolean): void {
    this.fenced++;
    const later = this.lives.some((other) => {
      if (other === life || !isBeside(other, life)) return false;
      return !isNewer(life.run, other.run) && (other.by > life.by || isNewer(other.run, life.run));
    });
    const newTerm = life.run.term < this.#term || life.history < this.#history;
    assert.ok(later || newTerm || isGivenUp, `writer ${life.by} was fenced by nobody`);
  }

  #onOpen(life: Life, through: number): void {
    life.through = through;
    if (this.#sink.repeats === true) return assert.equal(through, -1);
    for (const { life: other, batch } of this.#done) {
      if (!isBeside(other, life)) continue;
      assert.ok(
        batch <= through || isNewer(other.run, life.run),
        `writer ${life.by} opened behind ${through}, but ${batch} was said to be visible`,
      );
    }
  }

  /** Whoever had looked before its history was closed may still open; it commits nothing new. */
  #onCommitted(done: Done): void {
    const { life, batch } = done;
    const isOver = this.#kept !== null && life.history !== this.#history;
    const isKept = (row: Seen): boolean => row.partition === life.partition && row.batch === batch;
    assert.ok(!isOver || this.#kept!.some(isKept), 'a history that is over');
    this.#done.push(done);
  }

  #newClient(): SimulatedClient {
    return this.#kafka.client(`process-${this.#processes++}`);
  }

  #newRun(): SinkRun {
    const run = this.#context({ term: this.#term, incarnation: ++this.#incarnation }).run;
    return run;
  }

  #context(run: Partial<SinkRun>): SinkContext {
    const { clock } = this.#kafka;
    return {
      nowMs: () => clock.nowMs,
      schema,
      name: 'out',
      run: {
        pipeline: 'simulated',
        history: `h${this.#history}`,
        term: this.#term,
        incarnation: 0,
        resumes: this.#term > 1,
        keeps: null,
        ...run,
      },
    };
  }

  #mayLose(): boolean {
    return this.#losses > 0;
  }

  #lossMsMax(): number {
    return this.#random.pick([5, 50, 500]);
  }

  #rows({ history, partition, by }: Life, batch: number): RowObject[] {
    const count = this.#script[partition]![batch]!;
    return Array.from({ length: count }, (_, row) => ({ history, partition, batch, row, by }));
  }

  #failed(error: unknown): void {
    // A mistake of the program is none of the world's failures.
    const isExpected = error instanceof StreamError;
    if (!isExpected) {
      this.#broken ??= error;
      throw error;
    }
    this.failed++;
    this.#lastError = String(error);
  }

  /** Everything once, whole, in order, and by who was allowed to. */
  judge(): void {
    if (this.#broken !== null) throw this.#broken;
    const seen = this.#visible();
    if (this.#sink.repeats === true) return this.#judgeRepeated(seen);
    for (const partition of this.#script.keys()) {
      for (let history = 1; history <= this.#history; history++) {
        const mine = seen.filter((row) => row.partition === partition && row.history === history);
        this.#judgePartition(mine, { partition, history });
      }
    }
    if (this.#kept === null) return;
    const former = seen.filter(({ history }) => history === 1);
    assert.deepEqual(former, this.#kept, 'a history that is over stays as it is');
  }

  /** Everything at least once, also of each writer that has said so; without faults just once. */
  #judgeRepeated(seen: readonly Seen[]): void {
    assert.equal(this.fenced, 0);
    const isCalm = this.#kafka.options.faults === noKafkaFaults;
    for (const [partition, counts] of this.#script.entries()) {
      for (const [batch, count] of counts.entries()) {
        const name = `micro-batch ${batch} of partition ${partition}`;
        const mine = seen.filter((row) => row.partition === partition && row.batch === batch);
        const wanted = Array.from({ length: count }, (_, row) => row);
        assert.deepEqual(placesOf(mine, false), wanted, name);
        for (const { life } of this.#done.filter((done) => done.batch === batch)) {
          if (life.partition !== partition) continue;
          const own = mine.filter(({ by }) => by === life.by);
          assert.deepEqual(placesOf(own, isCalm), wanted, `${name} by writer ${life.by}`);
        }
      }
    }
  }

  #judgePartition(
    rows: readonly Seen[],
    { partition, history }: { readonly partition: number; readonly history: number },
  ): void {
    const counts = this.#script[partition]!;
    const done = this.#done.filter(({ life }) => {
      return life.partition === partition && life.history === history;
    });
    // A history that was broken off has all up to some micro-batch.
    const reached = Math.max(-1, ...rows.map(({ batch }) => batch), ...done.map((of) => of.batch));
    const end = history === this.#history ? counts.length - 1 : reached;
    for (const [batch, count] of counts.entries()) {
      const mine = rows.filter((row) => row.batch === batch);
      const name = `micro-batch ${batch} of partition ${partition}`;
      const wanted = Array.from({ length: batch <= end ? count : 0 }, (_, row) => row);
      const places = mine.map(({ row }) => row).sort((a, b) => a - b);
      assert.deepEqual(places, wanted, name);
      const writers = new Set(mine.map(({ by }) => by));
      assert.ok(writers.size <= 1, `${name} is by ${[...writers].join()}`);
      for (const by of writers) this.#judgeWriter(this.lives[by]!, batch);
    }
  }

  /** What readers see, one partition after the other, each in order. */
  #visible(): readonly Seen[] {
    const { topic, topicPartitions } = this.#drawn;
    return Array.from({ length: topicPartitions }).flatMap((_, partition) => {
      const log = this.#kafka.brokers.log({ topic, partition });
      const rows = recordsOf(log.visible('read-committed')).map(({ value }) => {
        return JSON.parse(value!) as Seen;
      });
      if (this.#sink.repeats === true) return rows;
      for (const sinkPartition of this.#script.keys()) {
        const mine = rows.filter((row) => row.partition === sinkPartition);
        const places = mine.map((row) => row.history * 1e6 + row.batch * 1000 + row.row);
        const sorted = places.toSorted((a, b) => a - b);
        assert.deepEqual(places, sorted, 'rows are in order');
      }
      return rows;
    });
  }

  judgeStable(): void {
    for (const { topic, log } of this.#kafka.brokers.partitions()) {
      assert.equal(log.lastStableOffset, log.endOffset, `nothing hangs in ${topic}`);
    }
  }

  #judgeWriter(life: Life, batch: number): void {
    for (const other of this.lives) {
      if (!isBeside(other, life) || other.through === null) continue;
      const isAllowed = batch <= other.through ? other !== life : !isNewer(other.run, life.run);
      const what = `micro-batch ${batch} is by writer ${life.by}, `;
      assert.ok(isAllowed, `${what}though ${other.by} opened behind ${other.through}`);
    }
  }
}

function placesOf(rows: readonly Row[], countsAll: boolean): readonly number[] {
  const places = rows.map(({ row }) => row).toSorted((a, b) => a - b);
  return countsAll ? places : [...new Set(places)];
}

function batchOf(rows: readonly RowObject[]): ReturnType<typeof rowsToBatch> {
  const onBad = (): never => assert.fail('a row does not fit');
  return rowsToBatch(schema, rows, { nowMs: 0, timeAheadMsMax: 0, timeField: -1, onBad });
}

/** Of two lives that write the same. */
function isBeside(left: Life, right: Life): boolean {
  return left.partition === right.partition && left.history === right.history;
}
