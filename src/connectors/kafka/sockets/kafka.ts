// Topics of Apache Kafka, in and out. Entry `mizzle/kafka`.

import type { TypedSink, TypedSource } from '../../../ports/typed.ts';
import type { Schema } from '../../../schema/schema.ts';
import type { Columns } from '../../../schema/value-type.ts';
import type { KafkaAddress } from '../kafka-address.ts';
import { makeKafkaSink } from '../kafka-sink.ts';
import type { KafkaSinkOptions } from '../kafka-sink.ts';
import { makeKafkaSource } from '../kafka-source.ts';
import type { KafkaDecoder as Decoder, KafkaRecord as DecodedRecord } from '../row-decoder.ts';
import type { KafkaSourceOptions as SourceOptions } from '../source-options.ts';
import { socketPlatform } from './platform.ts';

/** Where a Kafka cluster is, and how to be let in. */
export type KafkaCluster = KafkaAddress;

/** What to read of a topic; `Name` is a column of the schema. */
export type KafkaSourceOptions<Name extends string = string> = SourceOptions<Name>;

/** How values in an encoding of your own become rows. */
export type KafkaDecoder = Decoder;

/** What comes with a value that is decoded. */
export type KafkaRecord = DecodedRecord;

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
 * Writes rows to a topic, each as a record, exactly once: a micro-batch is a transaction, which
 * also carries its entry in the ledger, a compacted topic `<topic>.mizzle-ledger` that is made if
 * it is not there; don't write to it. Readers see whole micro-batches, if they set isolation.level
 * to read_committed, some milliseconds after the interval's end. Needs the package
 * `@platformatic/kafka`, on all hosts.
 *
 * The value is the row as JSON, or one column; `key` places records as Kafka's own producer does,
 * and rows without key of a micro-batch stay together. With `guarantee: 'at-least-once'` there are
 * no transactions. The run rejects with `topic-unknown`, `kafka-unreachable`, `kafka-permission`,
 * `record-too-large`, `option-invalid` and the like.
 *
 * @example
 * kafkaSink({ brokers: 'localhost:9092', topic: 'totals', key: 'user' });
 */
export function kafkaSink<Row = unknown>(options: KafkaSinkOptions): TypedSink<Row> {
  return makeKafkaSink(options, socketPlatform);
}
