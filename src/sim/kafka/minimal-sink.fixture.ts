import type { KafkaConnection } from '../../ports/kafka-wire.ts';
export const kafkaConnection: KafkaConnection = {
  brokers: ['simulated:9092'],
  clientId: 'mizzle',
  tls: false,
  sasl: null,
  connectTimeoutMs: 5_000,
  requestTimeoutMs: 30_000,
};
