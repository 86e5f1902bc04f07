// Arbitrary plans, clusters and interventions for the machines.

import fc from 'fast-check';
import type { DriverEvent } from '../control/driver/events.ts';
import type { Pace } from '../control/driver/planner.ts';
import type { PlanShape } from '../control/driver/placement.ts';
import type { ClusterOptions } from './cluster.ts';
import { HashRunner } from './hash-runner.fixture.ts';

const shapes: fc.Arbitrary<PlanShape> = fc
  .array(
    fc.record({
      partitionCount: fc.integer({ min: 1, max: 4 }),
      // Which of the stages before feed it; none makes a source.
      feeders: fc.uniqueArray(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
      // Producers that a consumer waits for, of the feeders in turn; 0: all.
      fanIns: fc.array(fc.constantFrom(0, 1, 2, 3), { minLength: 3, maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 5 },
  )
  .map((stages) => {
    const exchanges = stages.flatMap(({ feeders, fanIns, partitionCount }, to) => {
      const from = feeders.filter((feeder) => feeder < to);
      const fed = from.map((feeder, index) => {
        const fanIn = fanIns[index] ?? 0;
        return fanIn === 0 ? 0 : Math.ceil((stages[feeder]?.partitionCount ?? 0) / fanIn);
      });
      // Nobody may be without a consumer, or without any producer.
      const fits =
        fed.every((count) => count <= partitionCount) &&
        fed.some((count) => count === 0 || count === partitionCount);
      return from.map((feeder, index) => {
        const fanIn = fits ? (fanIns[index] ?? 0) : 0;
        return { from: feeder, to, ...(fanIn === 0 ? {} : { fanIn }) };
      });
    });
    const indexes = exchanges.map((_, index) => index);
    return {
      planHash: 'random',
      exchanges,
      stages: stages.map(({ partitionCount }, id) => {
        const inputs = indexes.filter((index) => exchanges[index]?.to === id);
        const outputs = indexes.filter((index) => exchanges[index]?.from === id);
        const sinks = outputs.length === 0;
        return { source: inputs.length === 0, inputs, outputs, sinks, partitionCount };
      }),
    };
  });

const paces: fc.Arbitrary<Pace> = fc.record({
  groupSize: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constantFrom(20, 1000)),
  intervalMs: fc.constantFrom(0, 0.3, 1, 7, 20, 60),
  lookAhead: fc.boolean(),
});

const events: fc.Arbitrary<DriverEvent> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.boolean().map((drain) => {
      return { kind: 'stop-requested', drain, savepoint: null } as const;
    }),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(paces, fc.boolean()).map(([{ groupSize, intervalMs }, urgent]) => {
      return { kind: 'pace-changed', groupSize, intervalMs, urgent } as const;
    }),
  },
);

export const clusters: fc.Arbitrary<ClusterOptions> = fc
  .record({
    seed: fc.integer({ min: 0 }),
    shape: shapes,
    workerCount: fc.integer({ min: 1, max: 5 }),
    mode: fc.constantFrom('drizzle', 'bsp', 'continuous'),
    partMs: fc.constantFrom(3, 20),
    pace: paces,
    network: fc.record({
      delayMsMax: fc.constantFrom(0, 0.1, 3, 40),
      stallChance: fc.constantFrom(0, 0.05),
      repeatChance: fc.constantFrom(0, 0.1, 0.5),
      repeatMsMax: fc.constant(100),
    }),
    costs: fc.record({
      taskMs: fc.constantFrom(0, 0.05, 2),
      commitMsMax: fc.constantFrom(0, 1, 50),
      storeMsMax: fc.constant(0),
      storeFailChance: fc.constant(0),
    }),
    sources: fc.record({
      recordsPerTakeMax: fc.integer({ min: 1, max: 20 }),
      quietChance: fc.constantFrom(0, 0.3),
      quietMsMax: fc.constantFrom(3, 30),
    }),
    skewMsMax: fc.constantFrom(0, 2),
    records: fc.integer({ min: 0, max: 150 }),
    interventions: fc.array(
      fc.record({ afterMs: fc.double({ min: 0, max: 150, noNaN: true }), event: events }),
      { maxLength: 4 },
    ),
  })
  .map(({ records, ...options }) => ({
    ...options,
    recordCount: (stage: number, partition: number) => records + 7 * stage + 3 * partition,
    runnerOf: () => new HashRunner(options.shape.stages.map(({ outputs }) => outputs.length)),
  }));
