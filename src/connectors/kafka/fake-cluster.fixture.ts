// A Kafka cluster in a few hundred lines, for what the sink asks of one: logs, idempotent
// producers, transactions of both kinds. Answers come at once; a test can put itself in front of
// each request, and let it be lost, come late, or come twice.

import assert from 'node:assert/strict';
import { readRecordsBatch, Reader, crc32c } from '@platformatic/kafka';
import { WireFailure } from '../../ports/kafka-wire.ts';
import type {
  EndTransactionAnswer,
  EndTransactionAsked,
  FetchedPartition,
  InitProducerAnswer,
  InitProducerAsked,
  KafkaPlatform,
  KafkaWire,
  NewTopic,
  ProducedPartition,
  ProduceRequest,
  TopicMetadata,
  TransactionAsked,
  TopicPartition,
} from '../../ports/kafka-wire.ts';
import { kafkaErrors } from './error-codes.ts';
import { batchHeadAt, batchHeadBytes, writeBatchHead } from './record-batch.ts';

/** In front of each request. `act` carries it out and gives the answer. */
export type Hook = <Answer>(
  request: { readonly api: keyof KafkaWire; readonly asked: unknown },
  act: () => Promise<Answer>,
) => Promise<Answer>;

export type SeenRecord = {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly timestampMs: number;
  readonly headers: readonly (readonly [string, string | null])[];
};

type LoggedBatch = { readonly offset: number; readonly last: number; readonly bytes: Uint8Array };

type ProducerState = {
  epoch: number;
  next: number;
  recent: { readonly sequence: number; readonly records: number; readonly offset: number }[];
};

type Log = {
  readonly batches: LoggedBatch[];
  start: number;
  end: number;
  readonly producers: Map<number, ProducerState>;
};

type Transactions = {
  readonly producerId: number;
  epoch: number;
  state: 'empty' | 'ongoing' | 'committed' | 'aborted';
  readonly partitions: Map<string, TopicPartition>;
};

const through: Hook = (_, act) => act();

type Topic = { readonly id: string; readonly logs: Log[]; readonly policy: string };

export class FakeCluster {
  readonly transactionVersion: number;
  readonly brokers: number;
  /** Bytes of the greatest record batch. */
  messageBytesMax = 1_048_588;
  nowMs = 1_000;
  /** All requests, in order of their being carried out. */
  readonly requests: { readonly api: keyof KafkaWire; readonly asked: unknown }[] = [];
  wires = 0;
  readonly #topics = new Map<string, Topic>();
  #topicIds = 0;
  readonly #transactions = new Map<string, Transactions>();
  #producers = 0;
  #tokens = 0;

  constructor({ transactionVersion = 2, brokers = 1 } = {}) {
    this.transactionVersion = transactionVersion;
    this.brokers = brokers;
  }

  platform(hook: Hook = through): KafkaPlatform {
    return {
      open: () => this.#wire(hook),
      nowMs: () => this.nowMs,
      sleep: async (ms) => {
        this.nowMs += ms;
      },
      newToken: () => `token${this.#tokens++}`,
      environment: () => undefined,
      readFile: () => '',
      codecs: {
        crc32c: (bytes, from, to) => crc32c(bytes.subarray(from, to)) >>> 0,
        compress: () => assert.fail('nothing is compressed here'),
        decompress: () => assert.fail('nothing is compressed here'),
      },
    };
  }

  addTopic(topic: string, partitions: number, policy = 'delete'): void {
    const logs = Array.from({ length: partitions }, (): Log => {
      return { batches: [], start: 0, end: 0, producers: new Map() };
    });
    this.#topics.set(topic, { id: `${topic} ${this.#topicIds++}`, logs, policy });
  }

  deleteTopic(topic: string): void {
    this.#topics.delete(topic);
  }

  hasTopic(topic: string): boolean {
    return this.#topics.has(topic);
  }

  /** What a reader of committed records sees in the end, by the client of somebody else. */
  committed(topic: string): SeenRecord[] {
    return this.#topics.get(topic)!.logs.flatMap((log, partition) => committedOf(log, partition));
  }

  /** What readers of committed records have to wait at; null: at the end. */
  openTransactions(topic: string): number {
    const open = [...this.#transactions.values()].filter(({ state, partitions }) => {
      const topics = [...partitions.values()].map((place) => place.topic);
      return state === 'ongoing' && topics.includes(topic);
    });
    return open.length;
  }

  /** As compaction does it: of each key the newest record that counts stays, markers go. */
  compact(topic: string): void {
    for (const [partition, log] of this.#topics.get(topic)!.logs.entries()) {
      const newest = new Map(committedOf(log, partition).map(({ key, offset }) => [key, offset]));
      const kept = new Set(newest.values());
      const isKept = ({ offset, bytes }: LoggedBatch): boolean =>
        batchHeadAt(bytes, 0)!.control || kept.has(offset);
      log.batches.splice(0, log.batches.length, ...log.batches.filter(isKept));
    }
  }

  /** Retention: what is below is gone. */
  deleteBefore(topic: string, partition: number, offset: number): void {
    const log = this.#log({ topic, partition });
    log.start = offset;
    log.batches.splice(0, log.batches.findLastIndex(({ last }) => last < offset) + 1);
  }

  /** The coordinator has waited too long. */
  expireTransactions(): void {
    for (const state of this.#transactions.values()) {
      if (state.state === 'ongoing') this.#finish(state, false, true);
    }
  }

  #wire(hook: Hook): KafkaWire {
    this.wires++;
    const call = <Answer>(
      api: keyof KafkaWire,
      asked: unknown,
      act: () => Answer,
    ): Promise<Answer> =>
      hook({ api, asked }, async () => {
        this.requests.push({ api, asked });
        return act();
      });
    const unasked = (): never => assert.fail('the sink does not ask that');
    return {
      description: 'fake:9092',
      features: async () => ({ transactionVersion: this.transactionVersion }),
      metadata: (_, topics) =>
        call('metadata', topics, () => ({
          brokers: Array.from({ length: this.brokers }, (__, id) => id),
          topics: (topics ?? []).map((topic) => this.#metadata(topic)),
        })),
      createTopics: (_, topics) =>
        call('createTopics', topics, () => topics.map((topic) => this.#create(topic))),
      topicConfigs: (_, topic) =>
        call('topicConfigs', topic, () => {
          const policy = this.#topics.get(topic)?.policy;
          const error = policy === undefined ? kafkaErrors.unknownTopicOrPartition : 0;
          return { error, configs: new Map([['cleanup.policy', policy ?? null]]) };
        }),
      listOffsets: (_, __, asked) =>
        call('listOffsets', asked, () =>
          asked.map(({ topic, partition, timestamp }) => {
            const log = this.#log({ topic, partition });
            const offset = timestamp === -1 ? log.end : log.start;
            return { topic, partition, error: 0, offset };
          }),
        ),
      fetchRecords: (_, request) =>
        call('fetchRecords', request, () =>
          request.partitions.map((asked) => this.#fetch(asked, asked.offset)),
        ),
      produce: (broker, request) => call('produce', request, () => this.#produce(broker, request)),
      findCoordinator: (_, of) =>
        call('findCoordinator', of, () => ({ error: 0, message: null, broker: 0 })),
      initProducerId: (_, asked) => call('initProducerId', asked, () => this.#initProducer(asked)),
      addPartitionsToTransaction: (_, asked) =>
        call('addPartitionsToTransaction', asked, () => {
          const state = this.#transactions.get(asked.transactionalId)!;
          const error = isOf(state, asked) ? 0 : kafkaErrors.producerFenced;
          if (error === 0) for (const place of asked.partitions) this.#enter(state, place);
          return asked.partitions.map((place) => ({ ...place, error }));
        }),
      endTransaction: (_, asked) =>
        call('endTransaction', asked, () => this.#endTransaction(asked)),
      commitOffsets: unasked,
      deleteRecords: unasked,
      close: async () => {
        this.wires--;
      },
    };
  }

  #metadata(topic: string): TopicMetadata {
    const found = this.#topics.get(topic);
    if (found === undefined) {
      return { topic, topicId: '', error: kafkaErrors.unknownTopicOrPartition, partitions: [] };
    }
    const partitions = found.logs.map((_, partition) => {
      return { partition, error: 0, leader: partition % this.brokers, leaderEpoch: 0 };
    });
    return { topic, topicId: found.id, error: 0, partitions };
  }

  #create({ topic, partitions, configs }: NewTopic): {
    topic: string;
    error: number;
    message: null;
  } {
    const isThere = this.#topics.has(topic);
    if (!isThere) this.addTopic(topic, partitions, configs['cleanup.policy']);
    return { topic, error: isThere ? kafkaErrors.topicAlreadyExists : 0, message: null };
  }

  #log({ topic, partition }: TopicPartition): Log {
    return this.#topics.get(topic)!.logs[partition]!;
  }

  #fetch({ topic, partition }: TopicPartition, offset: number): FetchedPartition {
    const log = this.#log({ topic, partition });
    // Few at a time, so that readers have to go on.
    const found = log.batches.filter(({ last }) => last >= offset).slice(0, 7);
    const records = Buffer.concat(found.map(({ bytes }) => bytes));
    return {
      topic,
      partition,
      error: 0,
      highWatermark: log.end,
      lastStableOffset: log.end,
      logStartOffset: log.start,
      aborted: [],
      records: new Uint8Array(records),
    };
  }

  #produce(broker: number, request: ProduceRequest): ProducedPartition[] {
    const places = request.partitions.map(({ topic, partition }) => `${topic}/${partition}`);
    assert.equal(new Set(places).size, places.length, 'a partition has one batch in a request');
    return request.partitions.map(({ topic, partition, records }) => {
      const answer = (error: number, offset = -1): ProducedPartition => {
        return { topic, partition, error, message: null, offset };
      };
      if (!this.#topics.has(topic)) return answer(kafkaErrors.unknownTopicOrPartition);
      if (partition % this.brokers !== broker) return answer(kafkaErrors.notLeaderOrFollower);
      if (records.length > this.messageBytesMax) return answer(kafkaErrors.messageTooLarge);
      const head = batchHeadAt(records, 0)!;
      assert.equal(head.bytes, records.length, 'it is one whole batch');
      assert.equal(head.crc, crc32c(records.subarray(21)) >>> 0, 'the checksum is right');
      assert.equal(head.transactional, request.transactionalId !== null);
      const place = { topic, partition };
      if (request.transactionalId !== null) {
        const state = this.#transactions.get(request.transactionalId)!;
        const sender = { producerId: head.producerId, epoch: head.producerEpoch };
        if (!isOf(state, sender)) return answer(kafkaErrors.invalidProducerEpoch);
        if (request.joins === true) this.#enter(state, place);
        else if (!state.partitions.has(`${topic}/${partition}`)) {
          return answer(kafkaErrors.invalidTxnState);
        }
      }
      const checked = this.#number(place, head);
      if (typeof checked === 'number') return answer(checked);
      if (checked.duplicate !== null) return answer(0, checked.duplicate);
      return answer(0, this.#append(place, records));
    });
  }

  #number(
    place: TopicPartition,
    head: NonNullable<ReturnType<typeof batchHeadAt>>,
  ): number | { readonly duplicate: number | null } {
    const { producers, end } = this.#log(place);
    const known = producers.get(head.producerId);
    const { producerEpoch: epoch, baseSequence: sequence, records } = head;
    if (known !== undefined && epoch < known.epoch) return kafkaErrors.invalidProducerEpoch;
    const state =
      known === undefined || epoch > known.epoch ? { epoch, next: 0, recent: [] } : known;
    const twin = state.recent.find(
      (other) => other.sequence === sequence && other.records === records,
    );
    if (twin !== undefined) return { duplicate: twin.offset };
    if (sequence !== state.next) return kafkaErrors.outOfOrderSequenceNumber;
    state.next += records;
    state.recent = [...state.recent, { sequence, records, offset: end }].slice(-5);
    producers.set(head.producerId, state);
    return { duplicate: null };
  }

  #append(place: TopicPartition, records: Uint8Array): number {
    const log = this.#log(place);
    const bytes = records.slice();
    const offset = log.end;
    new DataView(bytes.buffer).setBigInt64(0, BigInt(offset));
    const last = offset + batchHeadAt(bytes, 0)!.lastOffsetDelta;
    log.batches.push({ offset, last, bytes });
    log.end = last + 1;
    return offset;
  }

  #initProducer({ transactionalId }: InitProducerAsked): InitProducerAnswer {
    if (transactionalId === null) return { error: 0, producerId: this.#producers++, epoch: 0 };
    const before = this.#transactions.get(transactionalId);
    if (before === undefined) {
      const producerId = this.#producers++;
      const state = { producerId, epoch: 0, state: 'empty', partitions: new Map() } as const;
      this.#transactions.set(transactionalId, { ...state, partitions: new Map() });
      return { error: 0, producerId, epoch: 0 };
    }
    if (before.state === 'ongoing') {
      this.#finish(before, false, true);
      return { error: kafkaErrors.concurrentTransactions, producerId: -1, epoch: -1 };
    }
    before.epoch++;
    before.state = 'empty';
    return { error: 0, producerId: before.producerId, epoch: before.epoch };
  }

  #endTransaction(asked: EndTransactionAsked): EndTransactionAnswer {
    const { committed, producerId, epoch, bumps } = asked;
    assert.ok(!bumps || this.transactionVersion >= 2);
    const state = this.#transactions.get(asked.transactionalId)!;
    const wanted = committed ? 'committed' : 'aborted';
    const answer = (error: number): EndTransactionAnswer => ({ error, producerId, epoch });
    const isRepeated = bumps && epoch === state.epoch - 1 && state.state === wanted;
    if (isRepeated) return { error: 0, producerId, epoch: state.epoch };
    if (!isOf(state, asked)) return answer(kafkaErrors.producerFenced);
    if (state.state === wanted && !bumps) return answer(0);
    if (state.state !== 'ongoing') return answer(kafkaErrors.invalidTxnState);
    this.#finish(state, committed, bumps);
    return { error: 0, producerId, epoch: state.epoch };
  }

  #enter(state: Transactions, { topic, partition }: TopicPartition): void {
    state.state = 'ongoing';
    state.partitions.set(`${topic}/${partition}`, { topic, partition });
  }

  #finish(state: Transactions, committed: boolean, bumps: boolean): void {
    if (bumps) state.epoch++;
    for (const place of state.partitions.values()) {
      this.#append(place, marker({ ...state, committed }));
      const { producers } = this.#log(place);
      const known = producers.get(state.producerId);
      if (known !== undefined && known.epoch >= state.epoch) continue;
      producers.set(state.producerId, { epoch: state.epoch, next: 0, recent: [] });
    }
    state.partitions.clear();
    state.state = committed ? 'committed' : 'aborted';
  }
}

/** A request that is lost on its way, or whose answer is. */
export function lost(unclear: boolean): WireFailure {
  return new WireFailure('the connection broke', { unclear });
}

function isOf(
  state: Transactions,
  { producerId, epoch }: Omit<TransactionAsked, 'transactionalId'>,
) {
  return state.producerId === producerId && state.epoch === epoch;
}

function marker(of: {
  readonly producerId: number;
  readonly epoch: number;
  readonly committed: boolean;
}): Uint8Array {
  const record = [0, 0, 0, 8, 0, 0, 0, of.committed ? 1 : 0, 12, 0, 0, 0, 0, 0, 0, 0];
  const bytes = new Uint8Array(batchHeadBytes + 1 + record.length);
  bytes.set([record.length * 2, ...record], batchHeadBytes);
  writeBatchHead(bytes, {
    baseOffset: 0,
    leaderEpoch: 0,
    magic: 2,
    compression: 'none',
    appendTime: false,
    transactional: true,
    control: true,
    lastOffsetDelta: 0,
    baseTimestampMs: 0,
    maxTimestampMs: 0,
    producerId: of.producerId,
    producerEpoch: of.epoch,
    baseSequence: -1,
    records: 1,
  });
  return bytes;
}

function committedOf({ batches }: Log, partition: number): SeenRecord[] {
  const ends = new Map<number, boolean>();
  const seen: SeenRecord[] = [];
  for (const { offset, bytes } of batches.toReversed()) {
    const head = batchHeadAt(bytes, 0)!;
    if (head.control) ends.set(head.producerId, bytes[batchHeadBytes + 8] === 1);
    else if (!head.transactional || ends.get(head.producerId) === true) {
      const records = decoded(bytes).map((record, index) => {
        return { ...record, partition, offset: offset + index };
      });
      seen.unshift(...records);
    }
  }
  return seen;
}

/** By a decoder that is not ours. */
export function decoded(bytes: Uint8Array): Omit<SeenRecord, 'partition' | 'offset'>[] {
  const batch = readRecordsBatch(Reader.from(Buffer.from(bytes)));
  const text = (part: Buffer | null | undefined): string | null =>
    part === null || part === undefined ? null : part.toString('utf8');
  return batch.records.map((record) => ({
    key: text(record.key),
    value: text(record.value),
    timestampMs: Number(batch.firstTimestamp + record.timestampDelta),
    headers: [...record.headers].map(([name, value]) => [String(name), text(value)] as const),
  }));
}
