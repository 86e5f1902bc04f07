// Who is in the cluster, which topics and offsets it has, who coordinates what.
// [https://kafka.apache.org/protocol#The_Messages_Metadata and others]

import type {
  ClusterMetadata,
  CoordinatorFound,
  Isolation,
  NewTopic,
  OffsetAsked,
  OffsetCommitted,
  OffsetFound,
  TopicConfigs,
} from '../../../ports/kafka-wire.ts';
import type { AnswerReader } from './answer-reader.ts';
import { readByTopic, writeByTopic } from './by-topic.ts';
import { readPartitionErrors } from './transaction-apis.ts';
import type { PartitionError } from './transaction-apis.ts';
import type { WireApi } from './wire-api.ts';

export type BrokerAddress = { readonly id: number; readonly host: string; readonly port: number };

export type MetadataAnswer = ClusterMetadata & {
  readonly addresses: readonly BrokerAddress[];
  /** -1: none at present. In a cluster without ZooKeeper, any broker. */
  readonly controller: number;
};

export const metadataApi: WireApi<readonly string[] | null, MetadataAnswer> = {
  name: 'Metadata',
  key: 3,
  versionMin: 12,
  versionMax: 12,
  write(writer, topics) {
    writer.array(topics, (topic) => {
      writer.uuid('00000000000000000000000000000000').text(topic).noTags();
    });
    // Neither makes topics nor lists what this user may do.
    writer.boolean(false).boolean(false).noTags();
  },
  read(reader) {
    reader.int32();
    const addresses = reader.array(() => {
      const address = { id: reader.int32(), host: reader.text(), port: reader.int32() };
      reader.nullableText();
      reader.skipTags();
      return address;
    });
    reader.nullableText();
    const controller = reader.int32();
    const topics = reader.array(() => readTopic(reader));
    return { brokers: addresses.map(({ id }) => id), addresses, controller, topics };
  },
};

function readTopic(reader: AnswerReader): ClusterMetadata['topics'][number] {
  const error = reader.int16();
  const topic = reader.text();
  const topicId = reader.uuid();
  // Whether it is one of Kafka's own.
  reader.boolean();
  const partitions = reader.array(() => {
    const partitionError = reader.int16();
    const partition = reader.int32();
    const leader = reader.int32();
    const leaderEpoch = reader.int32();
    // All replicas, those in sync, those that are down.
    for (let list = 0; list < 3; list++) reader.array(() => reader.int32());
    reader.skipTags();
    return { partition, error: partitionError, leader, leaderEpoch };
  });
  partitions.sort((one, other) => one.partition - other.partition);
  reader.int32();
  reader.skipTags();
  return { topic, topicId, error, partitions };
}

export type TopicMade = {
  readonly topic: string;
  readonly error: number;
  readonly message: string | null;
};

export type CreateTopicsAsked = {
  readonly topics: readonly NewTopic[];
  readonly timeoutMs: number;
};

export const createTopicsApi: WireApi<CreateTopicsAsked, readonly TopicMade[]> = {
  name: 'CreateTopics',
  key: 19,
  versionMin: 5,
  versionMax: 7,
  write(writer, { topics, timeoutMs }) {
    writer.array(topics, ({ topic, partitions, replication, configs }) => {
      writer.text(topic).int32(partitions).int16(replication);
      // No assignment of replicas by hand.
      writer.array([], () => {});
      writer.array(Object.entries(configs), ([name, value]) => {
        writer.text(name).text(value).noTags();
      });
      writer.noTags();
    });
    writer.int32(timeoutMs).boolean(false).noTags();
  },
  read(reader, _asked, version) {
    reader.int32();
    return reader.array(() => {
      const topic = reader.text();
      if (version >= 7) reader.uuid();
      const made = { topic, error: reader.int16(), message: reader.nullableText() };
      reader.int32();
      reader.int16();
      reader.array(() => {
        reader.text();
        reader.nullableText();
        reader.boolean();
        reader.int8();
        reader.boolean();
        reader.skipTags();
      });
      reader.skipTags();
      return made;
    });
  },
};

export type TopicConfigsAsked = { readonly topic: string; readonly names: readonly string[] };

export const describeConfigsApi: WireApi<TopicConfigsAsked, TopicConfigs> = {
  name: 'DescribeConfigs',
  key: 32,
  versionMin: 4,
  versionMax: 4,
  write(writer, { topic, names }) {
    writer.array([topic], () => {
      writer.int8(topicResource).text(topic);
      writer.array(names, (name) => void writer.text(name));
      writer.noTags();
    });
    // Neither synonyms nor documentation.
    writer.boolean(false).boolean(false).noTags();
  },
  read(reader) {
    reader.int32();
    const [found] = reader.array(() => {
      const error = reader.int16();
      reader.nullableText();
      reader.int8();
      reader.text();
      const configs = new Map(reader.array(() => readConfig(reader)));
      reader.skipTags();
      return { error, configs };
    });
    if (found === undefined) throw new Error('an answer without a topic');
    return found;
  },
};

const topicResource = 2;

function readConfig(reader: AnswerReader): readonly [string, string | null] {
  const config = [reader.text(), reader.nullableText()] as const;
  // Whether it can be changed, where it comes from, whether it is secret.
  reader.boolean();
  reader.int8();
  reader.boolean();
  reader.array(() => {
    reader.text();
    reader.nullableText();
    reader.int8();
    reader.skipTags();
  });
  // Its type and documentation.
  reader.int8();
  reader.nullableText();
  reader.skipTags();
  return config;
}

export type ListOffsetsAsked = {
  readonly isolation: Isolation;
  readonly partitions: readonly OffsetAsked[];
};

export const listOffsetsApi: WireApi<ListOffsetsAsked, readonly OffsetFound[]> = {
  name: 'ListOffsets',
  key: 2,
  versionMin: 6,
  versionMax: 9,
  write(writer, { isolation, partitions }) {
    writer.int32(-1).int8(isolation === 'read-committed' ? 1 : 0);
    writeByTopic(writer, partitions, ({ partition, timestamp }) => {
      // Whichever epoch its leader is in.
      writer.int32(partition).int32(-1).int64(timestamp).noTags();
    });
    writer.noTags();
  },
  read(reader) {
    reader.int32();
    return readByTopic(reader, (topic) => {
      const partition = reader.int32();
      const error = reader.int16();
      // The timestamp that was found, and the epoch behind the offset.
      reader.int64();
      const offset = reader.int64();
      reader.int32();
      return { topic, partition, error, offset };
    });
  },
};

export type CoordinatorAsked = { readonly kind: 'group' | 'transaction'; readonly key: string };

export type CoordinatorAnswer = CoordinatorFound & { readonly address: BrokerAddress };

export const findCoordinatorApi: WireApi<CoordinatorAsked, CoordinatorAnswer> = {
  name: 'FindCoordinator',
  key: 10,
  versionMin: 4,
  versionMax: 6,
  write(writer, { kind, key }) {
    writer.int8(kind === 'group' ? 0 : 1).array([key], () => void writer.text(key));
    writer.noTags();
  },
  read(reader) {
    reader.int32();
    const [found] = reader.array(() => {
      reader.text();
      const address = { id: reader.int32(), host: reader.text(), port: reader.int32() };
      const answer = { error: reader.int16(), message: reader.nullableText() };
      reader.skipTags();
      return { ...answer, broker: address.id, address };
    });
    if (found === undefined) throw new Error('an answer without a coordinator');
    return found;
  },
};

export type CommitOffsetsAsked = {
  readonly group: string;
  readonly offsets: readonly OffsetCommitted[];
};

export const commitOffsetsApi: WireApi<CommitOffsetsAsked, readonly PartitionError[]> = {
  name: 'OffsetCommit',
  key: 8,
  versionMin: 8,
  versionMax: 9,
  write(writer, { group, offsets }) {
    // Neither generation nor member: the group has no members.
    writer.text(group).int32(-1).text('').text(null);
    writeByTopic(writer, offsets, ({ partition, offset }) => {
      writer.int32(partition).int64(offset).int32(-1).text(null).noTags();
    });
    writer.noTags();
  },
  read(reader) {
    reader.int32();
    return readPartitionErrors(reader);
  },
};

export type DeleteRecordsAsked = {
  /** What lies before these offsets. */
  readonly before: readonly OffsetCommitted[];
  readonly timeoutMs: number;
};

export const deleteRecordsApi: WireApi<DeleteRecordsAsked, readonly PartitionError[]> = {
  name: 'DeleteRecords',
  key: 21,
  versionMin: 2,
  versionMax: 2,
  write(writer, { before, timeoutMs }) {
    writeByTopic(writer, before, ({ partition, offset }) => {
      writer.int32(partition).int64(offset).noTags();
    });
    writer.int32(timeoutMs).noTags();
  },
  read(reader) {
    reader.int32();
    return readByTopic(reader, (topic) => {
      const partition = reader.int32();
      // The first offset that is left.
      reader.int64();
      return { topic, partition, error: reader.int16() };
    });
  },
};
