// A cluster for tests of the source: a log per partition in memory behind `KafkaWire`, as far as a
// consumer sees it. It knows transactions, compaction, retention, leaders that move, and answers
// whose last batch is cut off.

import type {
  AbortedTransaction,
  FetchAsked,
  FetchedPartition,
  FetchRequest,
  Isolation,
  KafkaCompression,
  KafkaPlatform,
  KafkaWire,
  OffsetCommitted,
  TopicMetadata,
} from '../../ports/kafka-wire.ts';
import { WireFailure } from '../../ports/kafka-wire.ts';
import { encodeBatch, testCodecs } from './record-encoder.fixture.ts';
import type { TestBatch, TestRecord } from './record-encoder.fixture.ts';

type Stored = { batch: TestBatch; bytes: Uint8Array; readonly base: number; readonly last: number };
type Transaction = { readonly producerId: number; readonly first: number; end: number | null };
type Appended = {
  readonly compression?: KafkaCompression;
  readonly producerId?: number;
  readonly transactional?: boolean;
  readonly appendTimeMs?: number;
};

export class TestLog {
  leader = 1;
  epoch = 0;
  start = 0;
  end = 0;
  readonly batches: Stored[] = [];
  readonly #open = new Map<number, Transaction>();
  readonly #aborted: Transaction[] = [];

  append(records: readonly Omit<TestRecord, 'offset'>[], how: Appended = {}): void {
    const { producerId = -1, transactional = false } = how;
    const placed = records.map((record, index) => ({ ...record, offset: this.end + index }));
    if (transactional && !this.#open.has(producerId)) {
      this.#open.set(producerId, { producerId, first: this.end, end: null });
    }
    this.#store({ records: placed, ...how });
  }

  mark(producerId: number, marker: 'commit' | 'abort'): void {
    const open = this.#open.get(producerId);
    this.#open.delete(producerId);
    if (marker === 'abort' && open !== undefined) {
      open.end = this.end;
      this.#aborted.push(open);
    }
    this.#store({ records: [], baseOffset: this.end, lastOffset: this.end, producerId, marker });
  }

  /** Takes records away and keeps the batches' ends, as the cleaner does. */
  compact(keeps: (offset: number) => boolean): void {
    for (const stored of this.batches) {
      const { batch, base, last } = stored;
      if (batch.marker !== undefined) continue;
      const records = batch.records.filter(({ offset }) => keeps(offset));
      stored.batch = { ...batch, records, baseOffset: base, lastOffset: last };
      stored.bytes = encodeBatch(stored.batch);
    }
  }

  /** Retention: the log begins here now. */
  deleteBefore(offset: number): void {
    this.start = offset;
    while (this.batches.length > 0 && this.batches[0]!.last < offset) this.batches.shift();
  }

  /** What a consumer should see, told from what was written. */
  visible(isolation: Isolation): readonly TestRecord[] {
    const until = isolation === 'read-committed' ? this.stableEnd : this.end;
    return this.batches.flatMap(({ batch, base }) => {
      const isAborted = this.#aborted.some(
        ({ producerId, first, end }) =>
          producerId === batch.producerId && base >= first && base < end!,
      );
      if (batch.marker !== undefined) return [];
      if (isolation === 'read-committed' && batch.transactional === true && isAborted) return [];
      return batch.records.filter(({ offset }) => offset >= this.start && offset < until);
    });
  }

  get stableEnd(): number {
    return Math.min(this.end, ...[...this.#open.values()].map(({ first }) => first));
  }

  abortedBetween(from: number, to: number): AbortedTransaction[] {
    return this.#aborted
      .filter(({ first, end }) => first < to && end! >= from)
      .map(({ producerId, first }) => ({ producerId, firstOffset: first }));
  }

  #store(batch: TestBatch): void {
    const base = batch.baseOffset ?? batch.records[0]!.offset;
    const last = batch.lastOffset ?? batch.records.at(-1)!.offset;
    this.batches.push({ batch, bytes: encodeBatch(batch), base, last });
    this.end = last + 1;
  }
}

type Fault = (request: FetchRequest, broker: number) => number | Error | null;

export class TestCluster {
  topic = 'orders';
  topicId = '00000000-0000-4000-8000-000000000001';
  /** Whether the topic is there. */
  exists = true;
  readonly logs: TestLog[];
  /** Bytes of an answer: the last batch is cut off there. */
  answerBytesMax = Number.POSITIVE_INFINITY;
  fault: Fault | null = null;
  fetches = 0;
  openWires = 0;
  readonly committed = new Map<string, readonly OffsetCommitted[]>();
  #waiting: (() => void)[] = [];

  constructor(partitions: number) {
    this.logs = Array.from({ length: partitions }, () => new TestLog());
  }

  addPartition(): void {
    this.logs.push(new TestLog());
  }

  /** Something was written: polls that wait are answered. */
  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  platform(): KafkaPlatform {
    return {
      open: () => this.#wire(),
      nowMs: () => performance.now(),
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      newToken: () => 'token',
      environment: () => undefined,
      readFile: () => '',
      codecs: testCodecs,
    };
  }

  #wire(): KafkaWire {
    let isOpen = true;
    this.openWires++;
    const unused = (): never => {
      throw new Error('a source does not ask for that');
    };
    return {
      description: 'test:9092',
      features: unused,
      createTopics: unused,
      topicConfigs: unused,
      produce: unused,
      deleteRecords: unused,
      initProducerId: unused,
      addPartitionsToTransaction: unused,
      endTransaction: unused,
      metadata: async () => ({ brokers: [1, 2], topics: [this.#metadata()] }),
      findCoordinator: async () => ({ error: 0, message: null, broker: 1 }),
      listOffsets: async (broker, isolation, asked) =>
        asked.map(({ topic, partition, timestamp }) => {
          const log = this.logs[partition]!;
          const error = !this.exists ? 3 : log.leader === broker ? 0 : 6;
          return { topic, partition, error, offset: findOffset(log, isolation, timestamp) };
        }),
      commitOffsets: async (_broker, group, offsets) => {
        this.committed.set(group, offsets);
        return offsets.map(({ topic, partition }) => ({ topic, partition, error: 0 }));
      },
      fetchRecords: async (broker, request) => {
        const untilMs = performance.now() + request.waitMs;
        for (;;) {
          if (!isOpen) throw new WireFailure('closed', { unclear: true });
          this.fetches++;
          const fault = this.fault?.(request, broker) ?? null;
          if (fault instanceof Error) throw fault;
          // A partition that is asked for twice counts once, as Kafka has it.
          const byPlace = new Map(request.partitions.map((asked) => [asked.partition, asked]));
          const answers = [...byPlace.values()].map((asked) =>
            this.#answer(asked, { broker, isolation: request.isolation, fault: fault ?? 0 }),
          );
          const isReady = answers.some(({ error, records }) => error !== 0 || records.length > 0);
          const leftMs = untilMs - performance.now();
          if (isReady || leftMs <= 0) return answers;
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, leftMs);
            this.#waiting.push(() => {
              clearTimeout(timer);
              resolve();
            });
          });
        }
      },
      close: async () => {
        if (isOpen) this.openWires--;
        isOpen = false;
        this.wake();
      },
    };
  }

  #metadata(): TopicMetadata {
    const { topic, topicId } = this;
    if (!this.exists) return { topic, topicId, error: 3, partitions: [] };
    const partitions = this.logs.map(({ leader, epoch }, partition) => ({
      partition,
      error: 0,
      leader,
      leaderEpoch: epoch,
    }));
    return { topic, topicId, error: 0, partitions };
  }

  #answer(
    { topic, topicId, partition, offset, leaderEpoch, bytesMax }: FetchAsked,
    at: { readonly broker: number; readonly isolation: Isolation; readonly fault: number },
  ): FetchedPartition {
    const log = this.logs[partition]!;
    const end = at.isolation === 'read-committed' ? log.stableEnd : log.end;
    const records = new Uint8Array(0);
    const answer = {
      topic,
      partition,
      error: at.fault,
      highWatermark: log.end,
      lastStableOffset: log.stableEnd,
      logStartOffset: log.start,
      aborted: [],
      records,
    };
    if (at.fault !== 0) return answer;
    if (!this.exists) return { ...answer, error: 3 };
    if (topicId !== this.topicId) return { ...answer, error: 100 };
    if (log.leader !== at.broker) return { ...answer, error: 6 };
    if (log.epoch !== leaderEpoch) return { ...answer, error: log.epoch > leaderEpoch ? 74 : 75 };
    if (offset < log.start || offset > log.end) return { ...answer, error: 1 };
    const found = log.batches.filter(({ base, last }) => last >= offset && base < end);
    const whole = Buffer.concat(found.map(({ bytes }) => bytes));
    const limit = Math.max(found[0]?.bytes.length ?? 0, Math.min(bytesMax, this.answerBytesMax));
    const aborted =
      at.isolation === 'read-committed' ? log.abortedBetween(offset, log.end) : answer.aborted;
    return { ...answer, aborted, records: new Uint8Array(whole.subarray(0, limit)) };
  }
}

function findOffset(log: TestLog, isolation: Isolation, timestamp: number): number {
  if (timestamp === -2) return log.start;
  if (timestamp === -1) return isolation === 'read-committed' ? log.stableEnd : log.end;
  const all = log.batches.flatMap(({ batch }) => batch.records);
  return all.find(({ timestampMs = 1000 }) => timestampMs >= timestamp)?.offset ?? -1;
}
