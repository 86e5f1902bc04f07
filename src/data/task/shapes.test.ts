// Trees and broadcasts task by task, where the order of rows and the watermarks of single
// partitions decide.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogicalPlan, SinkId, SourceId } from '../../plan/logical-plan.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import type { RowObject } from '../../schema/data-type.ts';
import { aggregateCall, column, PlanBuilder, schemaOf } from '../../testing/plan-builder.ts';
import type { ReferenceBatch } from '../../testing/reference.ts';
import type { RunOutput } from './run-plan.fixture.ts';
import { runPlan } from './run-plan.fixture.ts';

const time = column('time', 'timestamp');
const count = aggregateCall('rows', 'count');

/** By micro-batch: by source, by partition, rows. */
type Given = readonly { readonly [source: string]: readonly (readonly RowObject[])[] }[];

function run(plan: LogicalPlan, given: Given, endsAt: number = given.length - 1): RunOutput {
  const batches = given.map((sources, batch): ReferenceBatch => {
    const inputs = Object.entries(sources).map(([source, partitions]) => {
      const all = partitions.map((rows) => ({ rows, ended: batch >= endsAt }));
      return [source as SourceId, all] as const;
    });
    return { batchTimeMs: 1000 + 10 * batch, sources: new Map(inputs) };
  });
  const counts = Array.from(batches[0]!.sources, ([id, inputs]) => [id, inputs.length] as const);
  const physical = planPhysical(plan, { partitions: 2, sourcePartitions: new Map(counts) });
  return runPlan({
    plan: physical,
    bindings: { tables: new Map(), functions: new Map() },
    batches,
  });
}

function at(...times: readonly number[]): readonly RowObject[] {
  return times.map((ms) => ({ time: ms }));
}

test('a tree judges lateness as one task would, also when a partition wakes up', () => {
  const late = (fanIn: number): number => {
    const builder = new PlanBuilder('idle');
    const source = builder.source('in', schemaOf({ time: 'timestamp' }), {
      time: 'time',
      watermark: { idleMs: 15 },
    });
    const window = { kind: 'tumbling', sizeMs: 10, offsetMs: 0 } as const;
    const counted = builder.aggregate(source, { fanIn, window, time, aggregates: [count] });
    builder.sink(counted, 'out');
    const four = [
      [at(100), at(12), at(15), at(15)],
      [at(100), [], at(15), at(15)],
      // The second partition is idle, and the first alone speaks for both.
      [at(100), [], at(15), at(15)],
      // It is back, and behind what its neighbour has said; the others go on.
      [at(101), at(22), at(60), at(60)],
      [at(102), at(35), at(61), at(61)],
      [at(103), at(45), at(62), at(62)],
    ];
    return run(
      builder.plan(),
      four.map((rows) => ({ in: rows })),
    ).late;
  };
  assert.equal(late(4), 0);
  assert.equal(late(2), 0);
});

function joinPlan(how: 'inner' | 'left'): LogicalPlan {
  const builder = new PlanBuilder('rates');
  const left = builder.source('left', schemaOf({ code: 'string?', time: 'timestamp' }), {
    time: 'time',
  });
  const right = builder.source('right', schemaOf({ key: 'string?', rate: 'float64' }));
  const on = { key: column('code', 'string?') };
  const joined = builder.broadcastJoin(left, right, { how, on, add: { rate: 'rate' } });
  builder.sink(joined, 'out');
  const window = { kind: 'tumbling', sizeMs: 10, offsetMs: 0 } as const;
  builder.sink(builder.aggregate(joined, { window, time, aggregates: [count] }), 'counts');
  return builder.plan();
}

function rowsOf({ sinks }: RunOutput, sink: string): readonly (readonly unknown[])[] {
  return (sinks.get(sink as SinkId) ?? []).map((rows) => rows.map((row) => Object.values(row)));
}

const rates: Given = [
  { left: [[{ code: 'a', time: 1 }], [{ code: 'b', time: 1 }]], right: [[], []] },
  {
    left: [[{ code: 'a', time: 2 }], [{ code: 'a', time: 2 }]],
    // Within a micro-batch the later partition is the later one, and in it the later row.
    right: [
      [
        { key: 'a', rate: 1 },
        { key: 'a', rate: 2 },
      ],
      [
        { key: 'a', rate: 3 },
        { key: 'a', rate: 4 },
      ],
    ],
  },
  {
    left: [[{ code: null, time: 3 }], [{ code: 'a', time: 3 }]],
    right: [
      [
        { key: 'a', rate: 5 },
        { key: null, rate: 6 },
      ],
      [],
    ],
  },
];

test('a broadcast join meets the last row of each key through its micro-batch', () => {
  assert.deepEqual(rowsOf(run(joinPlan('left'), rates), 'out'), [
    [
      ['a', 1, null],
      ['b', 1, null],
    ],
    [
      ['a', 2, 4],
      ['a', 2, 4],
    ],
    [
      [null, 3, null],
      ['a', 3, 5],
    ],
  ]);
  assert.deepEqual(rowsOf(run(joinPlan('inner'), rates), 'out'), [
    [],
    [
      ['a', 2, 4],
      ['a', 2, 4],
    ],
    [['a', 3, 5]],
  ]);
});

test('a broadcast stream without event time, or that has ended, holds back no window', () => {
  const given: Given = [
    { left: [[{ code: 'a', time: 1 }]], right: [[{ key: 'a', rate: 1 }], []] },
    { left: [[{ code: 'a', time: 11 }]], right: [[], []] },
    { left: [[{ code: 'a', time: 21 }]], right: [[], []] },
  ];
  const closed = rowsOf(run(joinPlan('inner'), given, Infinity), 'counts');
  assert.deepEqual(closed, [[], [[0, 10, 1]], [[10, 20, 1]]]);
});
