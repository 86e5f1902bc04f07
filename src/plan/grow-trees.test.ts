import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { aggregateCall, column, PlanBuilder, schemaOf } from '../testing/plan-builder.ts';
import type { LogicalPlan, SourceId } from './logical-plan.ts';
import { partitionCountsOf } from './partition-counts.ts';
import { planPhysical } from './plan-physical.ts';
import { producersOf } from './routing.ts';

/** A count of all rows of two sources. */
function countPlan(fanIn: number): LogicalPlan {
  const builder = new PlanBuilder('count');
  const rows = schemaOf({ time: 'timestamp' });
  const sources = ['a', 'b'].map((name) => builder.source(name, rows, { time: 'time' }));
  const counted = builder.aggregate(builder.union(...sources), {
    fanIn,
    window: { kind: 'tumbling', sizeMs: 10, offsetMs: 0 },
    time: column('time', 'timestamp'),
    aggregates: [aggregateCall('rows', 'count')],
  });
  builder.sink(counted, 'out');
  return builder.plan();
}

test('growTrees leads every partition to the aggregate, in as few levels as can be', () => {
  const sizes = fc.integer({ min: 1, max: 3000 });
  const fanIns = fc.oneof(fc.integer({ min: 2, max: 9 }), fc.constantFrom(32, 1000));
  fc.assert(
    fc.property(sizes, sizes, fanIns, (first, second, fanIn) => {
      const counts = new Map([
        ['a' as SourceId, first],
        ['b' as SourceId, second],
      ]);
      const plan = planPhysical(countPlan(fanIn), { partitions: 8, sourcePartitions: counts });
      const partitions = partitionCountsOf(plan, (source) => counts.get(source) ?? 0);
      for (const source of [0, 1]) {
        let levels = 0;
        let stage = plan.stages[source];
        while (stage !== undefined && stage.outputs.length > 0) {
          levels++;
          const exchange = plan.exchanges[stage.outputs[0]!]!;
          assert.equal(exchange.from, stage.id);
          assert.ok(exchange.from < exchange.to);
          const producers = partitions[exchange.from]!;
          // Consumers share the producers out among them, none too many at a time.
          let fed = 0;
          for (let consumer = 0; consumer < partitions[exchange.to]!; consumer++) {
            const { first: from, count } = producersOf(exchange, consumer, producers);
            assert.ok(count >= 1 && count <= fanIn);
            assert.equal(from, fed);
            fed += count;
          }
          assert.equal(fed, producers);
          stage = plan.stages[exchange.to];
        }
        const least = Math.max(
          1,
          Math.ceil(Math.log(partitions[source]!) / Math.log(fanIn) - 1e-9),
        );
        assert.equal(levels, least);
        assert.equal(stage?.root[0]?.kind, 'aggregate');
      }
    }),
    { numRuns: 200 },
  );
});
