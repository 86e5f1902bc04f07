// One client's way to a simulated cluster: each call is a request to a broker, with the delays and
// losses of the network.

import type { Random } from '../../base/random.ts';
import type {
  BrokerId,
  ClusterFeatures,
  ClusterMetadata,
  CoordinatorFound,
  EndTransactionAnswer,
  EndTransactionAsked,
  FetchedPartition,
  FetchRequest,
  InitProducerAnswer,
  InitProducerAsked,
  Isolation,
  KafkaWire,
  NewTopic,
  OffsetAsked,
  OffsetCommitted,
  OffsetFound,
  ProducedPartition,
  ProduceRequest,
  TopicConfigs,
  TopicPartition,
  TransactionAsked,
} from '../../ports/kafka-wire.ts';
import { WireFailure } from '../../ports/kafka-wire.ts';
import type { SimulatedBrokers } from './simulated-brokers.ts';
import type { SimulatedClient } from './simulated-kafka.ts';

type Created = { readonly topic: string; readonly error: number; readonly message: string | null };

export class SimulatedWire implements KafkaWire {
  readonly description = 'simulated:9092';
  readonly #client: SimulatedClient;
  readonly #timeoutMs: number;
  readonly #connections = new Map<number, { arrivalMs: number }>();
  readonly #underWay = new Set<(error: WireFailure) => void>();
  #isClosed = false;

  constructor(client: SimulatedClient, timeoutMs: number) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
  }

  features(): Promise<ClusterFeatures> {
    const { transactionVersion } = this.#client.kafka.options;
    return this.#ask(null, (_, reply) => reply({ transactionVersion }));
  }

  metadata(broker: BrokerId, topics: readonly string[] | null): Promise<ClusterMetadata> {
    return this.#ask(broker, (_, reply) => reply(this.#brokers.metadata(topics)));
  }

  createTopics(broker: BrokerId, topics: readonly NewTopic[]): Promise<readonly Created[]> {
    return this.#ask(broker, (_, reply) => {
      const created = topics.map((topic) => {
        return { topic: topic.topic, error: this.#brokers.createTopic(topic), message: null };
      });
      reply(created);
    });
  }

  topicConfigs(broker: BrokerId, topic: string, names: readonly string[]): Promise<TopicConfigs> {
    return this.#ask(broker, (_, reply) => reply(this.#brokers.topicConfigs(topic, names)));
  }

  listOffsets(
    broker: number,
    isolation: Isolation,
    asked: readonly OffsetAsked[],
  ): Promise<readonly OffsetFound[]> {
    return this.#ask(broker, (id, reply) => {
      reply(asked.map((offset) => this.#brokers.listOffset(id, isolation, offset)));
    });
  }

  fetchRecords(broker: number, request: FetchRequest): Promise<readonly FetchedPartition[]> {
    return this.#ask(broker, (id, reply) => this.#brokers.answerFetch(id, request, reply));
  }

  produce(broker: number, request: ProduceRequest): Promise<readonly ProducedPartition[]> {
    // The bytes are on their way: what the sender does with them later is its own.
    const partitions = request.partitions.map((part) => {
      return { ...part, records: part.records.slice() };
    });
    return this.#ask(broker, (id, reply) => {
      this.#brokers.produce(id, { ...request, partitions }, reply);
    });
  }

  findCoordinator(
    broker: BrokerId,
    of: { readonly kind: 'group' | 'transaction'; readonly key: string },
  ): Promise<CoordinatorFound> {
    return this.#ask(broker, (_, reply) => {
      reply({ ...this.#brokers.findCoordinator(of.key), message: null });
    });
  }

  initProducerId(broker: BrokerId, asked: InitProducerAsked): Promise<InitProducerAnswer> {
    return this.#ask(broker, (id, reply) => {
      const { transactionalId } = asked;
      const error = transactionalId === null ? 0 : this.#brokers.coordinates(id, transactionalId);
      if (error !== 0) reply({ error, producerId: -1, epoch: -1 });
      else this.#brokers.coordinator.initProducerId(asked, reply);
    });
  }

  addPartitionsToTransaction(
    broker: number,
    asked: TransactionAsked & { readonly partitions: readonly TopicPartition[] },
  ): Promise<readonly (TopicPartition & { readonly error: number })[]> {
    return this.#ask(broker, (id, reply) => {
      const answer = (error: number): void => {
        reply(asked.partitions.map(({ topic, partition }) => ({ topic, partition, error })));
      };
      const error = this.#brokers.coordinates(id, asked.transactionalId);
      if (error !== 0) answer(error);
      else this.#brokers.coordinator.addPartitions(asked, answer);
    });
  }

  endTransaction(broker: number, asked: EndTransactionAsked): Promise<EndTransactionAnswer> {
    return this.#ask(broker, (id, reply) => {
      const { transactionalId, producerId, epoch } = asked;
      const error = this.#brokers.coordinates(id, transactionalId);
      if (error !== 0) reply({ error, producerId, epoch });
      else this.#brokers.coordinator.endTransaction(asked, reply);
    });
  }

  commitOffsets(
    broker: number,
    group: string,
    offsets: readonly OffsetCommitted[],
  ): Promise<readonly (TopicPartition & { readonly error: number })[]> {
    return this.#ask(broker, (id, reply) => {
      const answers = offsets.map((each) => {
        const { topic, partition } = each;
        return { topic, partition, error: this.#brokers.commitOffset(id, group, each) };
      });
      reply(answers);
    });
  }

  deleteRecords(
    broker: number,
    before: readonly OffsetCommitted[],
  ): Promise<readonly (TopicPartition & { readonly error: number })[]> {
    return this.#ask(broker, (id, reply) => {
      const answers = before.map(({ topic, partition, offset }) => {
        const error = this.#brokers.deleteBefore(id, { topic, partition }, offset);
        return { topic, partition, error };
      });
      reply(answers);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const failure = new WireFailure('the connection is closed', { unclear: true });
    for (const reject of this.#underWay) reject(failure);
    this.#underWay.clear();
  }

  get #brokers(): SimulatedBrokers {
    return this.#client.kafka.brokers;
  }

  get #random(): Random {
    return this.#client.kafka.random;
  }

  #ask<Answer>(
    broker: BrokerId,
    execute: (broker: number, reply: (answer: Answer) => void) => void,
  ): Promise<Answer> {
    if (this.#isClosed) {
      return Promise.reject(new WireFailure('the connection is closed', { unclear: false }));
    }
    const id = broker ?? this.#random.integer(0, this.#brokers.brokers.length - 1);
    let connection = this.#connections.get(id);
    if (connection === undefined) this.#connections.set(id, (connection = { arrivalMs: 0 }));
    const to = { broker: id, timeoutMs: this.#timeoutMs };
    const answered = this.#client.request<Answer>(to, connection, (reply) => execute(id, reply));
    return new Promise((resolve, reject) => {
      this.#underWay.add(reject);
      const over = (): void => void this.#underWay.delete(reject);
      answered.then(resolve, reject).finally(over);
    });
  }
}
