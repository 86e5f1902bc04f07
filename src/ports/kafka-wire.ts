// What the connector asks of Kafka: one call is one request to one broker, with the protocol's own
// words. The real one speaks over sockets, the simulated one is a model of a cluster; everything
// that decides (whom to ask, when to ask again, what an error means) is above it.
//
// A call resolves with whatever the broker answered, error codes included, and rejects with
// `WireFailure` when there is no answer: then nobody knows whether the broker has carried it out.
// [Kafka protocol guide, https://kafka.apache.org/protocol]

/** The id of a broker, or `null`: any of the bootstrap brokers. */
export type BrokerId = number | null;

/** No answer: the connection could not be made, broke, or the time was up. */
export class WireFailure extends Error {
  /** The request may have been carried out; false: it was never sent. */
  readonly unclear: boolean;

  constructor(message: string, options: { readonly unclear: boolean; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'WireFailure';
    this.unclear = options.unclear;
  }
}

export type TopicPartition = { readonly topic: string; readonly partition: number };

export type PartitionMetadata = {
  readonly partition: number;
  /** Kafka's error code, 0: none. */
  readonly error: number;
  /** -1: none at present. */
  readonly leader: number;
  readonly leaderEpoch: number;
};

export type TopicMetadata = {
  readonly topic: string;
  /** 16 bytes as a UUID in text. Another one under the same name: the topic was made anew. */
  readonly topicId: string;
  readonly error: number;
  readonly partitions: readonly PartitionMetadata[];
};

export type ClusterMetadata = {
  readonly brokers: readonly number[];
  readonly topics: readonly TopicMetadata[];
};

/** What the cluster as a whole can do. */
export type ClusterFeatures = {
  /** Level of `transaction.version`, 0 where there is none; from 2 on: KIP-890. */
  readonly transactionVersion: number;
};

export type NewTopic = {
  readonly topic: string;
  readonly partitions: number;
  /** -1: the broker's default. */
  readonly replication: number;
  readonly configs: Readonly<Record<string, string>>;
};

/** -1: the end (in `read-committed`: the last stable offset), -2: the earliest; else epoch ms. */
export type OffsetAsked = TopicPartition & { readonly timestamp: number };

export type OffsetFound = TopicPartition & {
  readonly error: number;
  /** -1: there is no record as late as that. */
  readonly offset: number;
};

export type Isolation = 'read-committed' | 'read-uncommitted';

export type FetchAsked = TopicPartition & {
  readonly topicId: string;
  readonly leaderEpoch: number;
  readonly offset: number;
  readonly bytesMax: number;
};

export type FetchRequest = {
  /** How long the broker may wait for `bytesMin`, ms. */
  readonly waitMs: number;
  readonly bytesMin: number;
  readonly bytesMax: number;
  readonly isolation: Isolation;
  readonly partitions: readonly FetchAsked[];
};

export type AbortedTransaction = { readonly producerId: number; readonly firstOffset: number };

export type FetchedPartition = TopicPartition & {
  readonly error: number;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  /** Ascending by first offset; only in `read-committed`. */
  readonly aborted: readonly AbortedTransaction[];
  /**
   * Record batches on end; the first may begin before the offset asked for, the last may be cut
   * off. The receiver's own: nobody writes to it afterwards but the receiver.
   */
  readonly records: Uint8Array;
  /**
   * To be called, or not, when nobody looks at `records` any more: their memory may then be
   * used again.
   */
  readonly release?: () => void;
};

export type ProduceRequest = {
  readonly transactionalId: string | null;
  /** KIP-890: it joins the transaction by itself. Only where `transactionVersion` is 2 or more. */
  readonly joins?: boolean;
  /** -1: all in-sync replicas. */
  readonly acks: -1 | 1;
  readonly timeoutMs: number;
  readonly partitions: readonly (TopicPartition & { readonly records: Uint8Array })[];
};

export type ProducedPartition = TopicPartition & {
  readonly error: number;
  readonly message: string | null;
  /** Of the first record; -1 if unknown (a duplicate that the broker has forgotten). */
  readonly offset: number;
};

/** Who may write by a transactional id; -1 and -1: not known yet. */
export type ProducerIdentity = { readonly producerId: number; readonly epoch: number };

export type CoordinatorFound = {
  readonly error: number;
  readonly message: string | null;
  readonly broker: number;
};

export type InitProducerAsked = ProducerIdentity & {
  readonly transactionalId: string | null;
  readonly timeoutMs: number;
};

export type InitProducerAnswer = ProducerIdentity & { readonly error: number };

export type TransactionAsked = ProducerIdentity & { readonly transactionalId: string };

export type EndTransactionAsked = TransactionAsked & {
  readonly committed: boolean;
  /** KIP-890: the answer has the identity for the next transaction. */
  readonly bumps: boolean;
};

/** Without a bump, or on an error, the identity that was given. */
export type EndTransactionAnswer = ProducerIdentity & { readonly error: number };

export type TopicConfigs = {
  readonly error: number;
  /** Those that were asked for; null: none, or secret. */
  readonly configs: ReadonlyMap<string, string | null>;
};

export type OffsetCommitted = TopicPartition & { readonly offset: number };

export interface KafkaWire {
  /** The bootstrap brokers, for messages. */
  readonly description: string;
  features(): Promise<ClusterFeatures>;
  /** null: all topics. Makes none. */
  metadata(broker: BrokerId, topics: readonly string[] | null): Promise<ClusterMetadata>;
  createTopics(
    broker: BrokerId,
    topics: readonly NewTopic[],
  ): Promise<
    readonly { readonly topic: string; readonly error: number; readonly message: string | null }[]
  >;
  /** The settings of a topic, its brokers' defaults where it has none of its own. */
  topicConfigs(broker: BrokerId, topic: string, names: readonly string[]): Promise<TopicConfigs>;
  listOffsets(
    broker: number,
    isolation: Isolation,
    asked: readonly OffsetAsked[],
  ): Promise<readonly OffsetFound[]>;
  fetchRecords(broker: number, request: FetchRequest): Promise<readonly FetchedPartition[]>;
  produce(broker: number, request: ProduceRequest): Promise<readonly ProducedPartition[]>;
  findCoordinator(
    broker: BrokerId,
    of: { readonly kind: 'group' | 'transaction'; readonly key: string },
  ): Promise<CoordinatorFound>;
  initProducerId(broker: BrokerId, asked: InitProducerAsked): Promise<InitProducerAnswer>;
  /** Only where the cluster is not at transaction version 2, which does it by the first write. */
  addPartitionsToTransaction(
    broker: number,
    asked: TransactionAsked & { readonly partitions: readonly TopicPartition[] },
  ): Promise<readonly (TopicPartition & { readonly error: number })[]>;
  endTransaction(broker: number, asked: EndTransactionAsked): Promise<EndTransactionAnswer>;
  /** For lag tools: offsets of a group that has no members. */
  commitOffsets(
    broker: number,
    group: string,
    offsets: readonly OffsetCommitted[],
  ): Promise<readonly (TopicPartition & { readonly error: number })[]>;
  /** Deletes what lies before an offset. */
  deleteRecords(
    broker: number,
    before: readonly (TopicPartition & { readonly offset: number })[],
  ): Promise<readonly (TopicPartition & { readonly error: number })[]>;
  /** Fails what is under way. */
  close(): Promise<void>;
}

/** Where the wire leads and how it is secured; plain data, so that it can be given to workers. */
export type KafkaConnection = {
  /** `host:port`, one or several. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly tls: boolean | KafkaTls;
  readonly sasl: KafkaSasl | null;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
};

/** PEM texts or paths are resolved before. */
export type KafkaTls = {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
};

export type KafkaSasl = {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER';
  readonly username?: string;
  readonly password?: string;
  readonly token?: string;
};

/** What the connector needs of its surroundings; the simulator gives its own. */
export type KafkaPlatform = {
  open(connection: KafkaConnection): KafkaWire;
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  /** Different at every call, whoever calls. */
  newToken(): string;
  /** An environment variable of this process. */
  environment(name: string): string | undefined;
  /** A whole file of this machine as text. Throws the system's error. */
  readFile(path: string): string;
  readonly codecs: KafkaCodecs;
};

export type KafkaCompression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

export type KafkaCodecs = {
  /** CRC-32C of a part of some bytes, unsigned. */
  crc32c(bytes: Uint8Array, from: number, to: number): number;
  compress(by: KafkaCompression, bytes: Uint8Array): Uint8Array;
  /** Throws where the bytes are damaged, or the platform does not have the algorithm. */
  decompress(by: KafkaCompression, bytes: Uint8Array): Uint8Array;
};
