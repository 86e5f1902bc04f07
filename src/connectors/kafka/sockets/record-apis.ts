// Fetch and Produce. Records go through as bytes, not looked at and not copied.
// [https://kafka.apache.org/protocol#The_Messages_Fetch, #The_Messages_Produce]

import type {
  FetchedPartition,
  FetchRequest,
  ProducedPartition,
  ProduceRequest,
} from '../../../ports/kafka-wire.ts';
import type { AnswerReader } from './answer-reader.ts';
import { byTopic, readByTopic, writeByTopic } from './by-topic.ts';
import type { WireApi } from './wire-api.ts';

export const fetchApi: WireApi<FetchRequest, readonly FetchedPartition[]> = {
  name: 'Fetch',
  key: 1,
  // From 13 on by the id of a topic: a topic that was made anew is not taken for the old one.
  versionMin: 13,
  versionMax: 17,
  write(writer, asked, version) {
    if (version < 15) writer.int32(-1);
    writer.int32(asked.waitMs).int32(asked.bytesMin).int32(asked.bytesMax);
    writer.int8(asked.isolation === 'read-committed' ? 1 : 0);
    // No session: the broker keeps nothing between two requests.
    writer.int32(0).int32(-1);
    writer.array(byTopic(asked.partitions), ([, partitions]) => {
      writer.uuid(partitions[0]!.topicId);
      writer.array(partitions, (partition) => {
        writer.int32(partition.partition).int32(partition.leaderEpoch).int64(partition.offset);
        // The epoch of the last record fetched and the start of the log are for replicas.
        writer.int32(-1).int64(-1).int32(partition.bytesMax).noTags();
      });
      writer.noTags();
    });
    writer
      .array([], () => {})
      .text('')
      .noTags();
  },
  read(reader, asked) {
    reader.int32();
    const error = reader.int16();
    reader.int32();
    if (error !== 0) return asked.partitions.map((partition) => nothingFetched(partition, error));
    const names = new Map(asked.partitions.map(({ topicId, topic }) => [topicId, topic]));
    const topics = reader.array(() => {
      const topic = names.get(reader.uuid());
      const partitions = reader.array(() => readFetched(reader, topic ?? ''));
      reader.skipTags();
      return topic === undefined ? [] : partitions;
    });
    return topics.flat();
  },
};

function readFetched(reader: AnswerReader, topic: string): FetchedPartition {
  const partition = reader.int32();
  const error = reader.int16();
  const highWatermark = reader.int64();
  const lastStableOffset = reader.int64();
  const logStartOffset = reader.int64();
  const aborted = reader.array(() => {
    const transaction = { producerId: reader.int64(), firstOffset: reader.int64() };
    reader.skipTags();
    return transaction;
  });
  aborted.sort((one, other) => one.firstOffset - other.firstOffset);
  // Another replica is only proposed to those that name their rack.
  reader.int32();
  const records = reader.records();
  reader.skipTags();
  const marks = { highWatermark, lastStableOffset, logStartOffset };
  return { topic, partition, error, ...marks, aborted, records };
}

function nothingFetched(
  { topic, partition }: { readonly topic: string; readonly partition: number },
  error: number,
): FetchedPartition {
  const marks = { highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 };
  return { topic, partition, error, ...marks, aborted: [], records: new Uint8Array(0) };
}

export const produceApi: WireApi<ProduceRequest, readonly ProducedPartition[]> = {
  name: 'Produce',
  key: 0,
  versionMin: 9,
  // From 13 on by the id of a topic.
  versionMax: 12,
  write(writer, asked) {
    writer.text(asked.transactionalId).int16(asked.acks).int32(asked.timeoutMs);
    writeByTopic(writer, asked.partitions, ({ partition, records }) => {
      writer.int32(partition).records(records).noTags();
    });
    writer.noTags();
  },
  read(reader) {
    return readByTopic(reader, (topic) => readProduced(reader, topic));
  },
};

/** From 12 on a write of a transaction joins it by itself. */
export const produceVersionMaxUnjoined = 11;

function readProduced(reader: AnswerReader, topic: string): ProducedPartition {
  const partition = reader.int32();
  const error = reader.int16();
  const offset = reader.int64();
  // The time of appending, and where the log starts.
  reader.int64();
  reader.int64();
  const refused = reader.array(() => {
    reader.int32();
    const why = reader.nullableText();
    reader.skipTags();
    return why;
  });
  const message = reader.nullableText() ?? refused.find((why) => why !== null) ?? null;
  return { topic, partition, error, message, offset };
}
