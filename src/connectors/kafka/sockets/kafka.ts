// Topics of Apache Kafka, in and out. Entry `mizzle/kafka`.

import type { TypedSink } from '../../../ports/typed.ts';
import type { KafkaAddress } from '../kafka-address.ts';
import { makeKafkaSink } from '../kafka-sink.ts';
import type { KafkaSinkOptions } from '../kafka-sink.ts';
import { socketPlatform } from './platform.ts';

/** Where a Kafka cluster is, and how to be let in. */
export type KafkaCluster = KafkaAddress;

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
