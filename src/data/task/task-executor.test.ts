import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SourceId, TableId } from '../../plan/logical-plan.ts';
import type { LogicalPlan } from '../../plan/logical-plan.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import type { RowObject } from '../../schema/data-type.ts';
import {
  aggregateCall,
  call,
  column,
  literal,
  PlanBuilder,
  schemaOf,
} from '../../testing/plan-builder.ts';
import { runReference } from '../../testing/reference.ts';
import type { ReferenceBatch, ReferenceBindings } from '../../testing/reference.ts';
import { rowsDifference } from '../../testing/rows-difference.ts';
import { runPlan } from './run-plan.fixture.ts';

const events = schemaOf({
  ad: 'string',
  kind: 'string',
  price: 'float64?',
  count: 'int64?',
  time: 'timestamp',
});

const tables = new Map([
  [
    'ads' as TableId,
    [
      { ad: 'a', campaign: 'x' },
      { ad: 'b', campaign: 'x' },
      { ad: 'c', campaign: 'y' },
      { ad: 'd', campaign: null },
    ],
  ],
]);

const bindings: ReferenceBindings = { tables, functions: new Map() };

function event(index: number): RowObject {
  const ad = 'abcdef'[(index * 7) % 6]!;
  return {
    ad,
    kind: index % 3 === 0 ? 'view' : 'click',
    price: index % 5 === 0 ? null : (index * 37) % 11,
    count: index % 4 === 0 ? null : BigInt((index * 13) % 17),
    time: 1000 + index * 7 - ((index * 31) % 50),
  };
}

function batches(count: number, partitions: number): ReferenceBatch[] {
  let next = 0;
  return Array.from({ length: count }, (_, batch) => ({
    batchTimeMs: 5000 + batch * 10,
    sources: new Map([
      [
        'in' as SourceId,
        Array.from({ length: partitions }, (_, partition) => ({
          rows: Array.from({ length: (batch * 5 + partition * 3) % 9 }, () => event(next++)),
          ended: batch === count - 1,
        })),
      ],
    ]),
  }));
}

function check(plan: LogicalPlan, given: readonly ReferenceBatch[]): void {
  const expected = runReference(plan, bindings, given);
  const actual = runPlan({ plan: planPhysical(plan, { partitions: 3 }), bindings, batches: given });
  for (const [sink, rows] of expected.sinks) {
    rows.forEach((list, index) => {
      const difference = rowsDifference(list, actual.sinks.get(sink)![index]!);
      assert.equal(difference, null, `sink ${sink}, micro-batch ${index}`);
    });
  }
  const late = [...expected.late.values()].flat().reduce((sum, count) => sum + count, 0);
  assert.equal(actual.late, late);
}

const all = [
  aggregateCall('rows', 'count'),
  aggregateCall('prices', 'count', { args: [column('price', 'float64?')] }),
  aggregateCall('total', 'sum', { args: [column('price', 'float64?')], type: 'float64?' }),
  aggregateCall('mean', 'avg', { args: [column('price', 'float64?')], type: 'float64?' }),
  aggregateCall('least', 'min', { args: [column('price', 'float64?')], type: 'float64?' }),
  aggregateCall('most', 'max', { args: [column('count', 'int64?')], type: 'int64?' }),
  aggregateCall('sum64', 'sum', { args: [column('count', 'int64?')], type: 'int64?' }),
];

test('TaskExecutor filters, joins and counts in tumbling windows', () => {
  const builder = new PlanBuilder('ysb');
  const source = builder.source('in', events, { time: 'time' });
  const views = builder.filter(
    source,
    call('eq', 'boolean', column('kind', 'string'), literal('view', 'string')),
  );
  const ads = builder.table('ads', schemaOf({ ad: 'string', campaign: 'string?' }), 4);
  const joined = builder.join(views, ads, {
    on: { ad: column('ad', 'string') },
    add: { campaign: 'campaign' },
  });
  const counts = builder.aggregate(joined, {
    keys: { campaign: column('campaign', 'string?') },
    window: { kind: 'tumbling', sizeMs: 50, offsetMs: 0 },
    time: column('time', 'timestamp'),
    aggregates: all,
  });
  builder.sink(counts, 'out');
  check(builder.plan(), batches(30, 2));
});

test('TaskExecutor groups by columns of every type', () => {
  const builder = new PlanBuilder('keys');
  const source = builder.source('in', events, { time: 'time', watermark: { delayMs: 20 } });
  const counts = builder.aggregate(source, {
    keys: {
      ad: column('ad', 'string'),
      price: column('price', 'float64?'),
      count: column('count', 'int64?'),
    },
    window: { kind: 'hopping', sizeMs: 60, hopMs: 20, offsetMs: 5 },
    time: column('time', 'timestamp'),
    aggregates: all,
  });
  builder.sink(counts, 'out', 1);
  check(builder.plan(), batches(30, 3));
});
