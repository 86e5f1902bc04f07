// Kafka over sockets. Requests that belong together share a connection, because a broker answers
// a connection's requests one by one, in their order: what one writer of transactions asks of one
// broker stays in order, and does not wait for others. A fetch, for which the broker waits, has a
// connection to itself.

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
  KafkaConnection,
  KafkaWire,
  NewTopic,
  OffsetAsked,
  OffsetCommitted,
  OffsetFound,
  ProducedPartition,
  ProduceRequest,
  TopicConfigs,
} from '../../../ports/kafka-wire.ts';
import type { StreamError } from '../../../base/stream-error.ts';
import { WireFailure } from '../../../ports/kafka-wire.ts';
import {
  commitOffsetsApi,
  createTopicsApi,
  deleteRecordsApi,
  describeConfigsApi,
  findCoordinatorApi,
  listOffsetsApi,
  metadataApi,
} from './cluster-apis.ts';
import type { BrokerAddress, CoordinatorAsked, MetadataAnswer, TopicMade } from './cluster-apis.ts';
import { KafkaLink } from './kafka-link.ts';
import { loginMissing } from './link-failures.ts';
import type { LinkAddress } from './dial.ts';
import { FrameBuffers } from './frame-buffers.ts';
import { fetchApi, produceApi, produceVersionMaxUnjoined } from './record-apis.ts';
import {
  addPartitionsApi,
  endBumpingApi,
  endTransactionApi,
  initProducerIdApi,
} from './transaction-apis.ts';
import type { JoiningAsked, PartitionError } from './transaction-apis.ts';
import type { WireApi } from './wire-api.ts';

/** What a broker may take beyond the time it was told to wait, ms. */
const marginMs = 5_000;

export class SocketWire implements KafkaWire {
  readonly description: string;
  readonly #options: KafkaConnection;
  readonly #bootstrap: readonly LinkAddress[];
  readonly #addresses = new Map<number, BrokerAddress>();
  /** By purpose and broker. */
  readonly #links = new Map<string, Promise<KafkaLink>>();
  /** Connections for fetches that wait for one, by broker. */
  readonly #idle = new Map<string, KafkaLink[]>();
  /** Whatever is not ended, those on their way included. */
  readonly #open = new Set<KafkaLink>();
  readonly #buffers = new FrameBuffers();
  #features: Promise<ClusterFeatures> | null = null;
  #closed = false;

  constructor(options: KafkaConnection) {
    this.description = options.brokers.join(',');
    this.#options = options;
    this.#bootstrap = options.brokers.map(parseAddress);
  }

  /** As of the first time it is asked: a cluster that is upgraded still takes the older ways. */
  features(): Promise<ClusterFeatures> {
    if (this.#features === null) {
      const asked = this.#anyLink(purposes.control).then(({ features }) => ({
        transactionVersion: features.get('transaction.version') ?? 0,
      }));
      this.#features = asked;
      asked.catch(() => (this.#features = null));
    }
    return this.#features;
  }

  metadata(broker: BrokerId, topics: readonly string[] | null): Promise<ClusterMetadata> {
    return this.#metadata(broker, topics);
  }

  async createTopics(broker: BrokerId, topics: readonly NewTopic[]): Promise<readonly TopicMade[]> {
    const timeoutMs = this.#options.requestTimeoutMs;
    // Only brokers that have no ZooKeeper pass it on to the controller.
    const to = broker ?? (await this.#controller());
    return this.#call(createTopicsApi, { topics, timeoutMs }, { broker: to, waitMs: timeoutMs });
  }

  topicConfigs(broker: BrokerId, topic: string, names: readonly string[]): Promise<TopicConfigs> {
    return this.#call(describeConfigsApi, { topic, names }, { broker });
  }

  listOffsets(
    broker: number,
    isolation: Isolation,
    partitions: readonly OffsetAsked[],
  ): Promise<readonly OffsetFound[]> {
    return this.#call(listOffsetsApi, { isolation, partitions }, { broker });
  }

  async fetchRecords(broker: number, request: FetchRequest): Promise<readonly FetchedPartition[]> {
    const address = await this.#address(broker);
    const name = nameOf(address);
    const link = this.#idle.get(name)?.pop() ?? (await this.#connect(address, () => {}));
    const timeoutMs = this.#timeoutMs(request.waitMs);
    try {
      return withRelease(await link.call(fetchApi, request, { timeoutMs }), this.#buffers);
    } finally {
      if (link.usable) this.#rest(name, link);
    }
  }

  produce(broker: number, request: ProduceRequest): Promise<readonly ProducedPartition[]> {
    const { transactionalId, timeoutMs: waitMs, joins = false } = request;
    const purpose = purposes.writer(transactionalId);
    const versionMax = joins ? produceApi.versionMax : produceVersionMaxUnjoined;
    return this.#call(produceApi, request, { broker, purpose, waitMs, versionMax });
  }

  async findCoordinator(broker: BrokerId, of: CoordinatorAsked): Promise<CoordinatorFound> {
    const found = await this.#call(findCoordinatorApi, of, { broker });
    const { address, error, message } = found;
    if (error === 0) this.#addresses.set(address.id, address);
    return { error, message, broker: found.broker };
  }

  initProducerId(broker: BrokerId, asked: InitProducerAsked): Promise<InitProducerAnswer> {
    const purpose = purposes.writer(asked.transactionalId);
    return this.#call(initProducerIdApi, asked, { broker, purpose });
  }

  addPartitionsToTransaction(
    broker: number,
    asked: JoiningAsked,
  ): Promise<readonly PartitionError[]> {
    const purpose = purposes.writer(asked.transactionalId);
    return this.#call(addPartitionsApi, asked, { broker, purpose });
  }

  endTransaction(broker: number, asked: EndTransactionAsked): Promise<EndTransactionAnswer> {
    const purpose = purposes.writer(asked.transactionalId);
    const api = asked.bumps ? endBumpingApi : endTransactionApi;
    return this.#call(api, asked, { broker, purpose });
  }

  commitOffsets(
    broker: number,
    group: string,
    offsets: readonly OffsetCommitted[],
  ): Promise<readonly PartitionError[]> {
    return this.#call(commitOffsetsApi, { group, offsets }, { broker });
  }

  deleteRecords(
    broker: number,
    before: readonly OffsetCommitted[],
  ): Promise<readonly PartitionError[]> {
    const timeoutMs = this.#options.requestTimeoutMs;
    return this.#call(deleteRecordsApi, { before, timeoutMs }, { broker, waitMs: timeoutMs });
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const link of this.#open) link.end(closedFailure(true));
    return Promise.resolve();
  }

  async #call<Asked, Answer>(
    api: WireApi<Asked, Answer>,
    asked: Asked,
    to: {
      readonly broker: BrokerId;
      readonly purpose?: string;
      readonly waitMs?: number;
      readonly versionMax?: number;
    },
  ): Promise<Answer> {
    const { broker, purpose = purposes.control, waitMs = 0, versionMax = Infinity } = to;
    const link =
      broker === null
        ? await this.#anyLink(purpose)
        : await this.#link(await this.#address(broker), purpose);
    try {
      return await link.call(api, asked, { timeoutMs: this.#timeoutMs(waitMs), versionMax });
    } catch (error) {
      throw (await this.#loginMissing(link)) ?? error;
    }
  }

  async #loginMissing(link: KafkaLink): Promise<StreamError | null> {
    if (this.#closed || this.#options.sasl !== null || !link.endedMute) return null;
    return loginMissing({ options: this.#options, address: link.address });
  }

  async #metadata(broker: BrokerId, topics: readonly string[] | null): Promise<MetadataAnswer> {
    const answer = await this.#call(metadataApi, topics, { broker });
    for (const address of answer.addresses) this.#addresses.set(address.id, address);
    return answer;
  }

  async #controller(): Promise<BrokerId> {
    const { controller, brokers } = await this.#metadata(null, []);
    return brokers.includes(controller) ? controller : null;
  }

  async #address(broker: number): Promise<BrokerAddress> {
    if (!this.#addresses.has(broker)) await this.#metadata(null, []);
    const address = this.#addresses.get(broker);
    if (address !== undefined) return address;
    throw new WireFailure(`broker ${broker} is not in the cluster now`, { unclear: false });
  }

  /** The first that can be reached: one with a connection, one of bootstrap, one heard of. */
  async #anyLink(purpose: string): Promise<KafkaLink> {
    const candidates = [...this.#bootstrap, ...this.#addresses.values()];
    const names = new Map(candidates.map((address) => [nameOf(address), address]));
    const connected = (address: LinkAddress): number =>
      this.#links.has(`${purpose} ${nameOf(address)}`) ? 0 : 1;
    const ordered = [...names.values()].sort((one, other) => connected(one) - connected(other));
    const failures: WireFailure[] = [];
    for (const address of ordered) {
      try {
        return await this.#link(address, purpose);
      } catch (error) {
        if (!(error instanceof WireFailure) || this.#closed) throw error;
        failures.push(error);
      }
    }
    const message = failures.map((failure) => failure.message).join('; ');
    throw new WireFailure(message, { unclear: false, cause: failures[0] });
  }

  #link(address: LinkAddress, purpose: string): Promise<KafkaLink> {
    const key = `${purpose} ${nameOf(address)}`;
    const known = this.#links.get(key);
    if (known !== undefined) return known;
    const forget = (): void => {
      if (this.#links.get(key) === link) this.#links.delete(key);
    };
    const link = this.#connect(address, forget);
    this.#links.set(key, link);
    link.catch(forget);
    return link;
  }

  async #connect(address: LinkAddress, onLeave: () => void): Promise<KafkaLink> {
    if (this.#closed) throw closedFailure(false);
    const link: KafkaLink = new KafkaLink(this.#options, address, {
      leave: () => {
        const idle = this.#idle.get(nameOf(address)) ?? [];
        if (idle.includes(link)) idle.splice(idle.indexOf(link), 1);
        onLeave();
      },
      ended: () => this.#open.delete(link),
      buffers: this.#buffers,
    });
    this.#open.add(link);
    await link.connect();
    return link;
  }

  #rest(name: string, link: KafkaLink): void {
    const idle = this.#idle.get(name);
    if (idle === undefined) this.#idle.set(name, [link]);
    else idle.push(link);
  }

  #timeoutMs(waitMs: number): number {
    return Math.max(this.#options.requestTimeoutMs, waitMs === 0 ? 0 : waitMs + marginMs);
  }
}

/** The parts of an answer share its buffer: it is free when all of them are. */
function withRelease(
  answers: readonly FetchedPartition[],
  buffers: FrameBuffers,
): readonly FetchedPartition[] {
  const parts = answers.filter(({ records }) => records.length > 0 && buffers.has(records));
  let held = parts.length;
  return answers.map((answer) => {
    if (!parts.includes(answer)) return answer;
    let isHeld = true;
    const release = (): void => {
      if (!isHeld) return;
      isHeld = false;
      held--;
      if (held === 0) buffers.giveBack(answer.records);
    };
    return { ...answer, release };
  });
}

const purposes = {
  control: 'control',
  writer: (transactionalId: string | null): string => `writer ${transactionalId ?? ''}`,
};

function nameOf({ host, port }: LinkAddress): string {
  return `${host}:${port}`;
}

function parseAddress(text: string): LinkAddress {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(text.slice(colon + 1)) };
}

function closedFailure(unclear: boolean): WireFailure {
  return new WireFailure('the connection to Kafka was closed by this side', { unclear });
}
