// Topics of Apache Kafka, in and out. Entry `mizzle/kafka`.

import type { KafkaAddress } from '../kafka-address.ts';

/** Where a Kafka cluster is, and how to be let in. */
export type KafkaCluster = KafkaAddress;
