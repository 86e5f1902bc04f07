// Topics of Apache Kafka, in and out. Entry `mizzle/kafka`.

import type { TypedSink, TypedSource } from '../../../ports/typed.ts';
import type { Schema } from '../../../schema/schema.ts';
import type { Columns } from '../../../schema/value-type.ts';
import { makeKafkaSource } from '../kafka-source.ts';
import type { KafkaSinkOptions } from '../kafka-sink.ts';
import { makeKafkaSink } from '../kafka-sink.ts';
import type { KafkaSourceOptions } from '../source-options.ts';
import { socketPlatform } from './platform.ts';

export type {
  KafkaAddress,
  KafkaSaslOptions,
  KafkaTlsOptions,
  TextOrReference,
} from '../../../ports/kafka-address.ts';
export { avro } from '../formats/avro.ts';
export type { AvroOptions } from '../formats/avro.ts';
export { protobuf } from '../formats/protobuf.ts';
export type { ProtobufOptions } from '../formats/protobuf.ts';
export type { KafkaFormat } from '../kafka-format.ts';
export type { KafkaSinkOptions } from '../kafka-sink.ts';
export type { KafkaStart } from '../kafka-layout.ts';
export type { OnRetention } from '../kafka-reader.ts';
export type { KafkaDecoder, KafkaRecord } from '../row-decoder.ts';
export type { KafkaSourceOptions } from '../source-options.ts';
export type { KafkaColumn } from '../splice-lines.ts';

/**
 * Reads a topic, each of its partitions as a partition of the source. The values are JSON objects
 * unless `format` says otherwise; records without a value (tombstones), and values of nothing but
 * white space, are skipped. A bad record is named by topic, partition and offset.
 *
 * The run knows itself what it has read, by its checkpoints; no consumer group is joined. One that
 * resumes goes on in the topic that it has read, and also reads partitions that were added to it
 * since, from their first records; a running one does not see them. Records must be kept at least
 * for as long as a run may be down: those that are gone are the error `offset-out-of-range`, or
 * with `onRetention` a gap. What compaction takes away in the meantime is missing when a range is
 * read again.
 *
 * Rejects the run with StreamErrors that name the topic: `topic-unknown`, `topic-recreated`,
 * `offset-out-of-range`, `range-gone`, `kafka-batch-damaged`, `kafka-format`, `kafka-permission`,
 * `kafka-unreachable`, `kafka-refused`. Throws one with code `option-invalid`.
 *
 * @example
 * const events = kafkaSource({
 *   brokers: { env: 'KAFKA_BROKERS' },
 *   topic: 'events',
 *   schema: schema({ user: string(), at: timestamp('ms') }),
 *   columns: { at: 'timestamp' },
 * });
 */
export function kafkaSource<C extends Columns>(
  options: KafkaSourceOptions<keyof C & string> & { readonly schema: Schema<C> },
): TypedSource<C> {
  return makeKafkaSource(options, socketPlatform);
}

/**
 * Writes rows into a topic as JSON. A micro-batch is one transaction, which also carries an entry
 * of the sink's ledger, a compacted topic of its own: so each row is there once for readers with
 * `isolation.level=read_committed`, milliseconds after its micro-batch is done, also over losses
 * and restarts. Nobody else may write to the ledger's topic. Keys are given to partitions as the
 * Java client does.
 *
 * Rejects the run with StreamErrors that name the topic: `topic-unknown`, `record-too-large`,
 * `kafka-permission`, `kafka-unreachable`, `kafka-refused`. Throws one with code `option-invalid`.
 *
 * @example
 * kafkaSink({ brokers: { env: 'KAFKA_BROKERS' }, topic: 'totals', key: 'user' });
 */
export function kafkaSink<Row = unknown>(options: KafkaSinkOptions): TypedSink<Row> {
  return makeKafkaSink<Row>(options, socketPlatform);
}
