// Topics of Apache Kafka, in and out. Entry `mizzle/kafka`.

export type {
  KafkaAddress,
  KafkaSaslOptions,
  KafkaTlsOptions,
  TextOrEnv,
} from '../kafka-address.ts';
