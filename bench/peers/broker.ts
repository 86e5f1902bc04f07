// The Kafka broker that all engines read from and write to: the one that tests start, with a JVM
// and settings as for a load.

import process from 'node:process';
import type { KafkaServer } from '../../test/kafka/kafka-server.fixture.ts';
import { startKafka } from '../../test/kafka/kafka-server.fixture.ts';
import type { PeersHome } from './home.ts';

export function startBroker(home: PeersHome): Promise<KafkaServer> {
  process.env['MIZZLE_KAFKA_HOME'] = home.path('broker');
  return startKafka({
    jvm: ['-Xms1g', '-Xmx1g', '-XX:-UseSerialGC', '-XX:+UseG1GC', '-XX:TieredStopAtLevel=4'],
    config: {
      'log.segment.bytes': String(256 << 20),
      // Kafka's own values; those of tests make it look for work all the time.
      'log.retention.check.interval.ms': '300000',
      'log.cleaner.backoff.ms': '15000',
      'log.cleaner.dedupe.buffer.size': String(128 << 20),
      'log.cleaner.io.buffer.size': String(512 << 10),
      'broker.heartbeat.interval.ms': '2000',
      'broker.session.timeout.ms': '9000',
      'num.network.threads': '3',
      'num.io.threads': '8',
      'background.threads': '10',
    },
  });
}
