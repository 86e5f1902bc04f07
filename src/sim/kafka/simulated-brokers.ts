// The brokers of a simulated cluster: who leads a partition and for how long, what a broker answers
// to a request that has arrived, and when. Replication is a delay after which what the leader has
// appended is committed; a leader that goes takes with it what was not.

import { assert } from '../../base/assert.ts';
import type { Random } from '../../base/random.ts';
import { kafkaErrors } from '../../connectors/kafka/error-codes.ts';
import { headOf } from './batch-bytes.ts';
import type {
  ClusterMetadata,
  FetchAsked,
  FetchedPartition,
  FetchRequest,
  Isolation,
  NewTopic,
  OffsetAsked,
  OffsetFound,
  PartitionMetadata,
  ProducedPartition,
  ProduceRequest,
  TopicConfigs,
  TopicPartition,
} from '../../ports/kafka-wire.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import type { KafkaFaultModel } from './kafka-faults.ts';
import { PartitionLog } from './partition-log.ts';
import type { MarkerDelivery } from './transaction-coordinator.ts';
import { TransactionCoordinator } from './transaction-coordinator.ts';

export type KafkaModel = {
  readonly brokerCount: number;
  readonly transactionVersion: 0 | 1 | 2;
  /**
   * Before version 2: a leader asks the coordinator whether a partition is in the transaction.
   * Brokers do it from Kafka 3.6 on.
   */
  readonly verifies: boolean;
  /** From here on a producer id is used up. */
  readonly epochMax: number;
  readonly epochMin: number;
  readonly replicationMsMax: number;
  readonly decideMsMax: number;
  readonly markerMsMax: number;
  readonly faults: KafkaFaultModel;
};

type Partition = TopicPartition & {
  readonly log: PartitionLog;
  leader: number;
  /** What somebody who is out of date says. */
  formerLeader: PartitionMetadata | null;
  /** Until then the leader does not know the high watermark of the former one, ms. */
  laggingUntilMs: number;
  laggingAt: number;
  /** Counts markers and leaders: what was verified before one does not hold after it. */
  guard: number;
  readonly listeners: Set<() => void>;
};

type Topic = {
  readonly topic: string;
  readonly topicId: string;
  readonly configs: Readonly<Record<string, string>>;
  readonly partitions: readonly Partition[];
  /** Until then some brokers do not know it, ms. */
  readonly spreadMs: number;
};

type Broker = { isUp: boolean; generation: number };

/** Transactional ids are spread over so many parts, each with a coordinator. */
const coordinatorCount = 5;

export class SimulatedBrokers {
  readonly coordinator: TransactionCoordinator;
  readonly brokers: readonly Broker[];
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #model: KafkaModel;
  readonly #startMs: number;
  readonly #topics = new Map<string, Topic>();
  readonly #coordinators: { broker: number; loadingUntilMs: number }[];
  /** Transactional ids that were seen, by part. */
  readonly #ids = Array.from({ length: coordinatorCount }, () => new Set<string>());
  readonly #groups = new Map<string, number>();
  #topicIds = 0;

  constructor(clock: VirtualClock, random: Random, model: KafkaModel) {
    this.#clock = clock;
    this.#random = random;
    this.#model = model;
    this.#startMs = clock.nowMs;
    const { transactionVersion, epochMin, epochMax, decideMsMax, brokerCount } = model;
    this.brokers = Array.from({ length: brokerCount }, () => ({ isUp: true, generation: 0 }));
    this.#coordinators = Array.from({ length: coordinatorCount }, (_, part) => {
      return { broker: part % brokerCount, loadingUntilMs: 0 };
    });
    this.coordinator = new TransactionCoordinator(clock, random.fork(), {
      transactionVersion,
      epochMin,
      epochMax,
      decideMsMax,
      deliver: (delivery) => this.#deliver(delivery),
    });
  }

  get isFaulty(): boolean {
    return this.#clock.nowMs - this.#startMs < this.#model.faults.healMs;
  }

  topic(topic: string): Topic | undefined {
    return this.#topics.get(topic);
  }

  /** For judges and set-ups. */
  log({ topic, partition }: TopicPartition): PartitionLog {
    return this.#topics.get(topic)!.partitions[partition]!.log;
  }

  partitions(): readonly Partition[] {
    return [...this.#topics.values()].flatMap((topic) => topic.partitions);
  }

  // What happens to the cluster.

  changeLeader(partition: Partition, forMs: number): void {
    const { log } = partition;
    const ends = log.uncommittedEnds();
    const committed = log.highWatermark;
    log.truncate(ends[this.#random.integer(0, ends.length - 1)]!);
    partition.formerLeader = metadataOf(partition);
    log.leaderEpoch++;
    partition.guard++;
    partition.leader = -1;
    this.#changed(partition);
    this.#clock.after(forMs, () => this.#elect(partition, committed));
  }

  moveCoordinator(part: number, loadingMs: number): void {
    const coordinator = this.#coordinators[part]!;
    const up = this.#up();
    if (up.length === 0) return;
    coordinator.broker = up[this.#random.integer(0, up.length - 1)]!;
    coordinator.loadingUntilMs = this.#clock.nowMs + loadingMs;
    // While it loads nothing is sent; the delays of markers stand for that.
    for (const id of this.#ids[part]!) this.coordinator.moved(id);
  }

  coordinatorPart(victim: number): number {
    return Math.floor(victim * coordinatorCount);
  }

  takeDown(id: number, forMs: number): void {
    const broker = this.brokers[id]!;
    if (!broker.isUp || this.#up().length < 2) return;
    broker.isUp = false;
    broker.generation++;
    // The others need some time to notice.
    const noticedMs = this.#random.float() * forMs;
    this.#clock.after(noticedMs, () => {
      for (const partition of this.partitions()) {
        if (partition.leader === id) this.changeLeader(partition, this.#random.float() * 20);
      }
      for (const [part, { broker: at }] of this.#coordinators.entries()) {
        if (at === id) this.moveCoordinator(part, this.#random.float() * 20);
      }
    });
    this.#clock.after(forMs, () => {
      broker.isUp = true;
    });
  }

  /** Topics that are configured for it. The last batches are left: their segment is in use. */
  compact(): void {
    for (const { configs, partitions } of this.#topics.values()) {
      if (configs['cleanup.policy'] !== 'compact') continue;
      for (const { log } of partitions) {
        const share = this.#random.float();
        log.compact(Math.floor(log.startOffset + share * (log.endOffset - log.startOffset)));
      }
    }
  }

  // What brokers answer.

  metadata(topics: readonly string[] | null): ClusterMetadata {
    const isStale = this.isFaulty && this.#random.chance(this.#model.faults.stale);
    const asked = topics ?? [...this.#topics.keys()];
    return {
      brokers: this.#up(),
      topics: asked.map((name) => {
        const topic = this.#topics.get(name);
        const isKnown = topic !== undefined && !(isStale && this.#clock.nowMs < topic.spreadMs);
        if (!isKnown) {
          const error = kafkaErrors.unknownTopicOrPartition;
          return { topic: name, topicId: '', error, partitions: [] };
        }
        const partitions = topic.partitions.map((partition) => {
          return (isStale ? partition.formerLeader : null) ?? metadataOf(partition);
        });
        return { topic: name, topicId: topic.topicId, error: kafkaErrors.none, partitions };
      }),
    };
  }

  createTopic({ topic, partitions, configs }: NewTopic): number {
    if (this.#topics.has(topic)) return kafkaErrors.topicAlreadyExists;
    const { brokerCount } = this.#model;
    this.#topics.set(topic, {
      topic,
      configs,
      spreadMs: this.#clock.nowMs + 20,
      topicId: `00000000-0000-4000-8000-${String(++this.#topicIds).padStart(12, '0')}`,
      partitions: Array.from({ length: partitions }, (_, partition) => ({
        topic,
        partition,
        log: new PartitionLog(),
        leader: partition % brokerCount,
        formerLeader: null,
        laggingUntilMs: 0,
        laggingAt: 0,
        guard: 0,
        listeners: new Set(),
      })),
    });
    return kafkaErrors.none;
  }

  topicConfigs(topic: string, names: readonly string[]): TopicConfigs {
    const found = this.#topics.get(topic);
    if (found === undefined) {
      return { error: kafkaErrors.unknownTopicOrPartition, configs: new Map() };
    }
    const settings = { 'cleanup.policy': 'delete', ...found.configs };
    const known = new Map<string, string>(Object.entries(settings));
    const configs = new Map(names.map((name) => [name, known.get(name) ?? null]));
    return { error: kafkaErrors.none, configs };
  }

  /** The topic is gone; one of the same name is another one. */
  deleteTopic(topic: string): void {
    this.#topics.delete(topic);
  }

  listOffset(broker: number, isolation: Isolation, asked: OffsetAsked): OffsetFound {
    const { topic, partition: index, timestamp } = asked;
    const at = { topic, partition: index };
    const found = this.#led(broker, asked);
    if (typeof found === 'number') return { ...at, error: found, offset: -1 };
    const { log, laggingUntilMs } = found;
    if (timestamp !== -2 && this.#clock.nowMs < laggingUntilMs) {
      return { ...at, error: kafkaErrors.offsetNotAvailable, offset: -1 };
    }
    const isCommitted = isolation === 'read-committed';
    const end = isCommitted ? log.lastStableOffset : log.highWatermark;
    if (timestamp === -2) return { ...at, error: 0, offset: log.startOffset };
    return { ...at, error: 0, offset: timestamp === -1 ? end : log.offsetAt(timestamp, end) };
  }

  /** What lies before an offset goes; no further than all have it. */
  deleteBefore(broker: number, at: TopicPartition, offset: number): number {
    const found = this.#led(broker, at);
    if (typeof found === 'number') return found;
    if (offset > found.log.highWatermark) return kafkaErrors.offsetOutOfRange;
    found.log.removeBelow(offset);
    return kafkaErrors.none;
  }

  answerFetch(
    broker: number,
    request: FetchRequest,
    reply: (answer: readonly FetchedPartition[]) => void,
  ): void {
    const until = this.#clock.nowMs + request.waitMs;
    const listened = request.partitions.flatMap((asked) => {
      const found = this.#led(broker, asked);
      return typeof found === 'number' ? [] : [found];
    });
    let isAnswered = false;
    const attempt = (): void => {
      if (isAnswered) return;
      const answer = this.#fetchNow(broker, request);
      const bytes = answer.reduce((sum, { records }) => sum + records.length, 0);
      const isFailed = answer.some(({ error }) => error !== kafkaErrors.none);
      if (bytes < request.bytesMin && !isFailed && this.#clock.nowMs < until) return;
      isAnswered = true;
      for (const { listeners } of listened) listeners.delete(attempt);
      reply(answer);
    };
    attempt();
    if (isAnswered) return;
    for (const { listeners } of listened) listeners.add(attempt);
    this.#clock.at(until, attempt);
  }

  produce(
    broker: number,
    request: ProduceRequest,
    reply: (answer: readonly ProducedPartition[]) => void,
  ): void {
    const answers: ProducedPartition[] = [];
    for (const [index, { topic, partition, records }] of request.partitions.entries()) {
      const answer = ({ error, offset }: { error: number; offset: number }): void => {
        answers[index] = { topic, partition, error, offset, message: null };
        if (answers.filter(() => true).length === request.partitions.length) reply(answers);
      };
      this.#produceOne(broker, { ...request, topic, partition, records }, answer);
    }
  }

  /** The error of a broker that does not coordinate the id; 0: it does. */
  coordinates(broker: number, transactionalId: string): number {
    const part = partOf(transactionalId);
    const { broker: at, loadingUntilMs } = this.#coordinators[part]!;
    if (at !== broker) return kafkaErrors.notCoordinator;
    if (this.#clock.nowMs < loadingUntilMs) return kafkaErrors.coordinatorLoadInProgress;
    this.#ids[part]!.add(transactionalId);
    return kafkaErrors.none;
  }

  findCoordinator(key: string): { readonly error: number; readonly broker: number } {
    const { broker } = this.#coordinators[partOf(key)]!;
    if (!this.brokers[broker]!.isUp && this.#random.chance(0.5)) {
      return { error: kafkaErrors.coordinatorNotAvailable, broker: -1 };
    }
    const isStale = this.isFaulty && this.#random.chance(this.#model.faults.stale);
    return { error: kafkaErrors.none, broker: isStale ? this.#someBroker() : broker };
  }

  /** The last to come counts, whoever it is. */
  commitOffset(
    broker: number,
    group: string,
    { topic, partition, offset }: TopicPartition & { readonly offset: number },
  ): number {
    const { broker: at, loadingUntilMs } = this.#coordinators[partOf(group)]!;
    if (at !== broker) return kafkaErrors.notCoordinator;
    if (this.#clock.nowMs < loadingUntilMs) return kafkaErrors.coordinatorLoadInProgress;
    if (this.#topics.get(topic)?.partitions[partition] === undefined) {
      return kafkaErrors.unknownTopicOrPartition;
    }
    this.#groups.set(`${group} ${topic}/${partition}`, offset);
    return kafkaErrors.none;
  }

  groupOffset(group: string, { topic, partition }: TopicPartition): number {
    return this.#groups.get(`${group} ${topic}/${partition}`) ?? -1;
  }

  #produceOne(
    broker: number,
    request: Omit<ProduceRequest, 'partitions'> & TopicPartition & { readonly records: Uint8Array },
    answer: (of: { error: number; offset: number }) => void,
  ): void {
    const refuse = (error: number): void => answer({ error, offset: -1 });
    const { topic, partition: index, records, transactionalId, joins = false } = request;
    const partition = this.#led(broker, request);
    if (typeof partition === 'number') return refuse(partition);
    assert(!joins || this.#model.transactionVersion >= 2, 'an older cluster knows no joining');
    const append = (): void => this.#append(broker, { ...request, partition }, answer);
    if (records.length < 61) return refuse(kafkaErrors.corruptMessage);
    const { producerId, producerEpoch: epoch, transactional } = headOf(records);
    if (!transactional || transactionalId === null) return append();
    const isOpen = partition.log.isOpen(producerId, joins ? epoch : null);
    if (isOpen || !(joins || this.#model.verifies)) return append();
    const { guard } = partition;
    const verified = (error: number): void => {
      const own = verificationError(error, joins);
      if (own !== kafkaErrors.none) return refuse(own);
      // A transaction that has ended meanwhile was verified in vain.
      if (partition.guard !== guard) return refuse(kafkaErrors.notEnoughReplicas);
      append();
    };
    const isLost = this.isFaulty && this.#random.chance(this.#model.faults.lostReplies);
    const askMs = this.#random.float() * this.#model.decideMsMax;
    this.#clock.after(askMs, () => {
      const asked = { transactionalId, producerId, epoch, topic, partition: index };
      const { broker: at } = this.#coordinators[partOf(transactionalId)]!;
      const error = this.coordinates(at, transactionalId);
      if (error !== kafkaErrors.none || !this.brokers[at]!.isUp) {
        return verified(error || kafkaErrors.coordinatorNotAvailable);
      }
      const heard = isLost ? (): void => verified(kafkaErrors.networkException) : verified;
      if (!joins) return heard(this.coordinator.verify(asked));
      this.coordinator.addPartitions(
        { ...asked, partitions: [{ topic, partition: index }] },
        heard,
      );
    });
  }

  #append(
    broker: number,
    request: Pick<ProduceRequest, 'acks' | 'timeoutMs' | 'joins'> & {
      readonly records: Uint8Array;
      readonly partition: Partition;
    },
    answer: (of: { error: number; offset: number }) => void,
  ): void {
    const { partition, acks, timeoutMs } = request;
    const { log } = partition;
    if (partition.leader !== broker || !this.brokers[broker]!.isUp) {
      return answer({ error: kafkaErrors.notLeaderOrFollower, offset: -1 });
    }
    const { error, offset, end } = log.append(request.records, request.joins ?? false);
    if (error !== kafkaErrors.none) return answer({ error, offset: -1 });
    this.#replicate(partition);
    if (acks === 1) return answer({ error, offset });
    this.#whenCommitted(partition, { end, timeoutMs }, (code) => {
      answer({ error: code, offset: code === kafkaErrors.none ? offset : -1 });
    });
  }

  /** With an error if the leader changes, or the time is up: then it may come about or not. */
  #whenCommitted(
    partition: Partition,
    { end, timeoutMs }: { readonly end: number; readonly timeoutMs: number },
    then: (error: number) => void,
  ): void {
    const { log, listeners } = partition;
    const { leaderEpoch } = log;
    let isOver = false;
    const check = (): void => {
      if (isOver) return;
      const isCommitted = log.leaderEpoch === leaderEpoch && log.highWatermark >= end;
      if (log.leaderEpoch === leaderEpoch && !isCommitted) return;
      isOver = true;
      listeners.delete(check);
      then(isCommitted ? kafkaErrors.none : kafkaErrors.notLeaderOrFollower);
    };
    listeners.add(check);
    check();
    if (isOver) return;
    this.#clock.after(timeoutMs, () => {
      if (isOver) return;
      isOver = true;
      listeners.delete(check);
      then(kafkaErrors.requestTimedOut);
    });
  }

  #replicate(partition: Partition): void {
    const { log } = partition;
    const { leaderEpoch, endOffset } = log;
    this.#clock.after(this.#random.float() * this.#model.replicationMsMax, () => {
      if (log.leaderEpoch !== leaderEpoch || endOffset <= log.highWatermark) return;
      log.raiseHighWatermark(endOffset);
      this.#changed(partition);
    });
  }

  #elect(partition: Partition, committed: number): void {
    const { log } = partition;
    const up = this.#up();
    partition.leader = up[this.#random.integer(0, up.length - 1)]!;
    if (this.isFaulty) {
      const lagMsMax = this.#random.pick([20, 500]);
      partition.laggingUntilMs = this.#clock.nowMs + this.#random.float() * lagMsMax;
      const { startOffset } = log;
      const at = this.#random.integer(startOffset, Math.max(committed, startOffset));
      partition.laggingAt = Math.min(log.batchBegin(at), committed);
    }
    this.#replicate(partition);
    this.#changed(partition);
  }

  #deliver({ to, marker, done }: MarkerDelivery): void {
    const { slowMarkers, slowMarkerMsMax } = this.#model.faults;
    const isSlow = this.isFaulty && this.#random.chance(slowMarkers);
    const msMax = isSlow ? slowMarkerMsMax : this.#model.markerMsMax;
    this.#clock.after(this.#random.float() * msMax, () => {
      const partition = this.#topics.get(to.topic)?.partitions[to.partition];
      if (partition === undefined) return done();
      const again = (): void => this.#deliver({ to, marker, done });
      const isLed = partition.leader >= 0 && this.brokers[partition.leader]!.isUp;
      if (!isLed) return again();
      partition.guard++;
      if (!partition.log.appendMarker(marker, this.#clock.nowMs)) return done();
      const end = partition.log.endOffset;
      this.#replicate(partition);
      this.#changed(partition);
      this.#whenCommitted(partition, { end, timeoutMs: 1000 }, (error) => {
        if (error === kafkaErrors.none) done();
        else again();
      });
    });
  }

  #fetchNow(broker: number, request: FetchRequest): readonly FetchedPartition[] {
    let left = request.bytesMax;
    return request.partitions.map((asked) => {
      const { isolation } = request;
      const fetched = this.#fetchOne(broker, asked, { isolation, bytesLeft: left });
      left -= fetched.records.length;
      return fetched;
    });
  }

  #fetchOne(
    broker: number,
    asked: FetchAsked,
    { isolation, bytesLeft }: { readonly isolation: Isolation; readonly bytesLeft: number },
  ): FetchedPartition {
    const { topic, partition: index, offset } = asked;
    const none = { topic, partition: index, aborted: [], records: new Uint8Array() };
    const unknown = { highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 };
    const partition = this.#led(broker, asked);
    if (typeof partition === 'number') return { ...none, ...unknown, error: partition };
    const { topicId } = this.#topics.get(topic)!;
    if (asked.topicId !== '' && asked.topicId !== topicId) {
      return { ...none, ...unknown, error: kafkaErrors.unknownTopicId };
    }
    const { log } = partition;
    if (asked.leaderEpoch >= 0 && asked.leaderEpoch !== log.leaderEpoch) {
      const isOld = asked.leaderEpoch < log.leaderEpoch;
      const error = isOld ? kafkaErrors.fencedLeaderEpoch : kafkaErrors.unknownLeaderEpoch;
      return { ...none, ...unknown, error };
    }
    if (offset < log.startOffset || offset > log.endOffset) {
      return { ...none, ...unknown, error: kafkaErrors.offsetOutOfRange };
    }
    const isLagging = this.#clock.nowMs < partition.laggingUntilMs;
    const highWatermark = isLagging ? partition.laggingAt : log.highWatermark;
    const lastStableOffset = log.stableBelow(highWatermark);
    const seen = { highWatermark, lastStableOffset, logStartOffset: log.startOffset };
    const isCommitted = isolation === 'read-committed';
    const below = isCommitted ? lastStableOffset : highWatermark;
    if (offset >= below || bytesLeft <= 0) return { ...none, ...seen, error: 0 };
    const bytesMax = Math.max(1, Math.min(asked.bytesMax, bytesLeft));
    const batches = log.read(offset, below, bytesMax);
    const records = joined(batches, bytesMax);
    const last = batches.at(-1);
    const to =
      last === undefined ? below : headOf(last).baseOffset + headOf(last).lastOffsetDelta + 1;
    const aborted = isCommitted ? log.abortedIn(offset, to) : [];
    return { ...none, ...seen, error: 0, aborted, records };
  }

  #led(broker: number, { topic, partition: index }: TopicPartition): Partition | number {
    const partition = this.#topics.get(topic)?.partitions[index];
    if (partition === undefined) return kafkaErrors.unknownTopicOrPartition;
    return partition.leader === broker ? partition : kafkaErrors.notLeaderOrFollower;
  }

  #changed(partition: Partition): void {
    for (const listener of Array.from(partition.listeners)) listener();
  }

  #up(): readonly number[] {
    return [...this.brokers.keys()].filter((id) => this.brokers[id]!.isUp);
  }

  #someBroker(): number {
    return this.#random.integer(0, this.brokers.length - 1);
  }
}

function metadataOf({ partition, leader, log }: Partition): PartitionMetadata {
  const error = leader < 0 ? kafkaErrors.leaderNotAvailable : kafkaErrors.none;
  return { partition, error, leader, leaderEpoch: log.leaderEpoch };
}

/** What a leader tells a producer of what the coordinator has told it. [KIP-890] */
function verificationError(error: number, joins: boolean): number {
  switch (error) {
    case kafkaErrors.producerFenced:
      return kafkaErrors.invalidProducerEpoch;
    case kafkaErrors.concurrentTransactions:
      return joins ? error : kafkaErrors.notEnoughReplicas;
    case kafkaErrors.networkException:
    case kafkaErrors.coordinatorLoadInProgress:
    case kafkaErrors.coordinatorNotAvailable:
    case kafkaErrors.notCoordinator:
      return kafkaErrors.notEnoughReplicas;
    default:
      return error;
  }
}

/** The first batch whole, the others up to the limit: the last is cut off. */
function joined(batches: readonly Uint8Array[], bytesMax: number): Uint8Array {
  const whole = batches.reduce((sum, bytes) => sum + bytes.length, 0);
  const length = Math.min(whole, Math.max(bytesMax, batches[0]?.length ?? 0));
  const joint = new Uint8Array(length);
  let at = 0;
  for (const bytes of batches) {
    joint.set(bytes.subarray(0, length - at), at);
    at += bytes.length;
    if (at >= length) break;
  }
  return joint;
}

function partOf(key: string): number {
  let hash = 0;
  for (const char of key) hash = (hash * 31 + char.charCodeAt(0)) >>> 0;
  return hash % coordinatorCount;
}
