// What writers of transactions ask their coordinator.
// [https://kafka.apache.org/protocol#The_Messages_InitProducerId and others]

import type {
  EndTransactionAnswer,
  EndTransactionAsked,
  InitProducerAnswer,
  InitProducerAsked,
  TopicPartition,
  TransactionAsked,
} from '../../../ports/kafka-wire.ts';
import type { AnswerReader } from './answer-reader.ts';
import { readByTopic, writeByTopic } from './by-topic.ts';
import type { WireApi } from './wire-api.ts';

export type PartitionError = TopicPartition & { readonly error: number };

export const initProducerIdApi: WireApi<InitProducerAsked, InitProducerAnswer> = {
  name: 'InitProducerId',
  key: 22,
  // From 3 on it takes the identity so far, from 4 on it tells a fenced producer so.
  versionMin: 4,
  versionMax: 5,
  write(writer, { transactionalId, timeoutMs, producerId, epoch }) {
    writer.text(transactionalId).int32(timeoutMs).int64(producerId).int16(epoch).noTags();
  },
  read(reader) {
    reader.int32();
    const error = reader.int16();
    return { error, producerId: reader.int64(), epoch: reader.int16() };
  },
};

export type JoiningAsked = TransactionAsked & { readonly partitions: readonly TopicPartition[] };

export const addPartitionsApi: WireApi<JoiningAsked, readonly PartitionError[]> = {
  name: 'AddPartitionsToTxn',
  key: 24,
  // Later ones are between brokers.
  versionMin: 3,
  versionMax: 3,
  write(writer, { transactionalId, producerId, epoch, partitions }) {
    writer.text(transactionalId).int64(producerId).int16(epoch);
    writeByTopic(writer, partitions, ({ partition }) => void writer.int32(partition));
    writer.noTags();
  },
  read(reader) {
    reader.int32();
    return readPartitionErrors(reader);
  },
};

/** Version 5, which bumps the epoch, is only for clusters at transaction version 2. */
export const endTransactionApi: WireApi<EndTransactionAsked, EndTransactionAnswer> = {
  name: 'EndTxn',
  key: 26,
  versionMin: 3,
  versionMax: 4,
  write(writer, { transactionalId, producerId, epoch, committed }) {
    writer.text(transactionalId).int64(producerId).int16(epoch).boolean(committed).noTags();
  },
  read(reader, asked, version) {
    reader.int32();
    const error = reader.int16();
    const { producerId, epoch } = asked;
    if (error !== 0 || version < 5) return { error, producerId, epoch };
    return { error, producerId: reader.int64(), epoch: reader.int16() };
  },
};

export const endBumpingApi: WireApi<EndTransactionAsked, EndTransactionAnswer> = {
  ...endTransactionApi,
  versionMin: 5,
  versionMax: 5,
};

/** Topics, partitions, an error for each: several answers look like that. */
export function readPartitionErrors(reader: AnswerReader): readonly PartitionError[] {
  return readByTopic(reader, (topic) => {
    return { topic, partition: reader.int32(), error: reader.int16() };
  });
}
