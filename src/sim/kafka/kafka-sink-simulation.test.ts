// The Kafka sink by itself under faults of the cluster, the network and the processes. Replay and
// look further: `npm run simulate -- --kafka sink --from SEED --seeds 1`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eachInOwnThread } from '../../testing/own-thread.fixture.ts';
import { simulateKafkaSink, simulateRepeatingSink } from './kafka-sink.fixture.ts';
import { ledgerTopic, makeMinimalSink } from './minimal-sink.fixture.ts';
import type { MinimalSinkBug } from './minimal-sink.fixture.ts';
import type { SinkSimulation } from './sink-simulation.fixture.ts';
import { simulateSink } from './sink-simulation.fixture.ts';

const seedCount = 300;

test('KafkaSink writes each micro-batch once', async () => {
  const runs = await simulateEach(simulateKafkaSink, seedCount);
  const fenced = runs.reduce((sum, run) => sum + run.fenced, 0);
  assert.ok(fenced > seedCount, 'writers are replaced while they write');
});

test('at-least-once: nothing is lost, and without faults no writer repeats itself', async () => {
  const count = seedCount / 3;
  const runs = await simulateEach(simulateRepeatingSink, count);
  const opened = runs.reduce((sum, run) => sum + run.opened, 0);
  assert.ok(opened > 3 * count, 'writers are replaced while they write');
});

function simulateEach(
  simulation: (seed: number) => Promise<SinkSimulation>,
  count: number,
): Promise<readonly SinkSimulation[]> {
  const seeds = Array.from({ length: count }, (_, seed) => seed);
  return eachInOwnThread(simulation, import.meta.resolve('./kafka-sink.fixture.ts'), seeds);
}

test('simulateKafkaSink does the same again by the same seed', async () => {
  for (let seed = 0; seed < 5; seed++) {
    assert.deepEqual(await simulateKafkaSink(seed), await simulateKafkaSink(seed));
  }
});

function simulateMinimal(seed: number, bug?: MinimalSinkBug): Promise<SinkSimulation> {
  return simulateSink(seed, {
    keepsHistories: false,
    prepare: (kafka, { sinkPartitions }) => kafka.createTopic(ledgerTopic, sinkPartitions),
    make: (platform, { topic, topicPartitions }) => {
      return makeMinimalSink({ topic, partitionCount: topicPartitions, bug }, platform);
    },
  });
}

test('a sink of another make gets through, too', async () => {
  for (let seed = 0; seed < 20; seed++) await simulateMinimal(seed).catch(said(seed));
});

const bugs: readonly MinimalSinkBug[] = [
  'keeps-identity',
  'does-not-look',
  'last-comer-wins',
  'reads-before-fencing',
  'ledger-apart',
];

for (const bug of bugs) {
  test(`a sink that ${bug} is found out in few seeds`, async () => {
    for (let seed = 0; seed < 100; seed++) {
      const error = await simulateMinimal(seed, bug).then(
        () => null,
        (found: unknown) => found,
      );
      if (error !== null) return;
    }
    assert.fail('it is not');
  });
}

function said(seed: number): (error: unknown) => never {
  return (error) => {
    throw new Error(`seed ${seed} failed`, { cause: error });
  };
}
