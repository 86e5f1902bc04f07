// The Kafka sink on the simulated cluster, seed by seed.

import { makeKafkaSink } from '../../connectors/kafka/kafka-sink.ts';
import type { SinkSimulation, SinkUnderTest } from './sink-simulation.fixture.ts';
import { simulateSink } from './sink-simulation.fixture.ts';

const kafkaSink: SinkUnderTest = {
  keepsHistories: true,
  make: (platform, { topic, keyed, smallBatches, compressed, onePhase }) => {
    const options = {
      brokers: 'simulated:9092',
      topic,
      transactionTimeoutMs: 20_000,
      onePhase,
      ...(keyed ? { key: ['batch', 'row'] } : {}),
      ...(smallBatches ? { batchBytesMax: 1 } : {}),
      ...(compressed ? { compression: 'lz4' as const } : {}),
    };
    return makeKafkaSink(options, platform);
  },
};

/** Throws what was wrong. */
export function simulateKafkaSink(seed: number): Promise<SinkSimulation> {
  return simulateSink(seed, kafkaSink);
}
