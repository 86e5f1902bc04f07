// The Kafka sink on the simulated cluster, seed by seed.

import { makeKafkaSink } from '../../connectors/kafka/kafka-sink.ts';
import type { SinkSimulation, SinkUnderTest } from './sink-simulation.fixture.ts';
import { simulateSink } from './sink-simulation.fixture.ts';

function sinkOf(guarantee: 'exactly-once' | 'at-least-once'): SinkUnderTest {
  const isExact = guarantee === 'exactly-once';
  return { keepsHistories: isExact, repeats: !isExact, make: makerOf(guarantee) };
}

function makerOf(guarantee: 'exactly-once' | 'at-least-once'): SinkUnderTest['make'] {
  return (platform, { topic, keyed, smallBatches, compressed, onePhase }) => {
    const options = {
      brokers: 'simulated:9092',
      topic,
      guarantee,
      transactionTimeoutMs: 20_000,
      onePhase,
      ...(keyed ? { key: ['batch', 'row'] } : {}),
      ...(smallBatches ? { batchBytesMax: 1 } : {}),
      ...(compressed ? { compression: 'lz4' as const } : {}),
    };
    return makeKafkaSink(options, platform);
  };
}

/** Throws what was wrong. */
export function simulateKafkaSink(seed: number): Promise<SinkSimulation> {
  return simulateSink(seed, sinkOf('exactly-once'));
}

/** Without transactions and ledger. Throws what was wrong. */
export function simulateRepeatingSink(seed: number): Promise<SinkSimulation> {
  return simulateSink(seed, sinkOf('at-least-once'));
}
