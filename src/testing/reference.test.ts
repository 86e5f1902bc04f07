// Small cases by hand: what the reference itself must get right, since it judges everything else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FunctionId } from '../expr/expr.ts';
import type { UserFunction } from '../plan/bindings.ts';
import type { AggregateSpec, SourceId, TableId } from '../plan/logical-plan.ts';
import type { RowObject } from '../schema/data-type.ts';
import {
  aggregateCall,
  call,
  column,
  lambda,
  literal,
  PlanBuilder,
  schemaOf,
} from './plan-builder.ts';
import type { ReferenceBatch, ReferenceOutput } from './reference.ts';
import { runReference } from './reference.ts';

const rowSchema = schemaOf({ key: 'string?', value: 'float64?', time: 'timestamp' });
const time = column('time', 'timestamp');
const key = { key: column('key', 'string?') };
const count = [aggregateCall('count', 'count')];

type Step = {
  /** [key, value, time] by source partition. */
  readonly rows: readonly (readonly (readonly [string | null, number | null, number])[])[];
  readonly ended?: readonly boolean[];
  readonly atMs?: number;
};

function batchesOf(steps: readonly Step[]): readonly ReferenceBatch[] {
  return steps.map(({ rows, ended, atMs }, index) => ({
    batchTimeMs: atMs ?? index,
    sources: new Map([
      [
        'in' as SourceId,
        rows.map((list, partition) => ({
          rows: list.map(([k, value, timeMs]) => ({ key: k, value, time: timeMs })),
          ended: ended?.[partition] ?? false,
        })),
      ],
    ]),
  }));
}

/** One aggregate over one source; gives what it emitted by micro-batch. */
function aggregateOf(
  spec: Partial<Omit<AggregateSpec, 'keys'>>,
  steps: readonly Step[],
  options: { readonly delayMs?: number; readonly idleMs?: number } = {},
): { readonly rows: readonly (readonly RowObject[])[]; readonly output: ReferenceOutput } {
  const builder = new PlanBuilder('test');
  const watermark = { delayMs: options.delayMs ?? 0, idleMs: options.idleMs ?? null };
  const source = builder.source('in', rowSchema, { time: 'time', watermark });
  const late = builder.sideSink('late', rowSchema);
  const result = builder.aggregate(source, { keys: key, time, aggregates: count, late, ...spec });
  builder.sink(result, 'out');
  const output = runReference(builder.plan(), noBindings, batchesOf(steps));
  return { rows: sinkOf(output, 'out'), output };
}

const noBindings = { tables: new Map(), functions: new Map() };

function sinkOf(output: ReferenceOutput, name: string): readonly (readonly RowObject[])[] {
  const found = [...output.sinks].find(([id]) => id === name);
  assert.ok(found !== undefined);
  return found[1];
}

const tumbling = { kind: 'tumbling', sizeMs: 10, offsetMs: 0 } as const;

function counted(k: string | null, windowStart: number, windowEnd: number, n: number): RowObject {
  return { key: k, windowStart, windowEnd, count: n };
}

test('a tumbling window emits once, when the watermark reaches its end', () => {
  const { rows, output } = aggregateOf({ window: tumbling }, [
    {
      rows: [
        [
          ['a', 1, 1],
          ['a', 1, 9],
          ['b', 1, 5],
        ],
      ],
    },
    { rows: [[['a', 1, 10]]] },
    { rows: [[]], ended: [true] },
  ]);
  assert.deepEqual(rows, [
    [],
    [counted('a', 0, 10, 2), counted('b', 0, 10, 1)],
    [counted('a', 10, 20, 1)],
  ]);
  assert.deepEqual([...output.watermarks.values()], [[9, 10, Infinity]]);
});

test('a row is late by the watermark of the micro-batch before, not by rows beside it', () => {
  const { rows, output } = aggregateOf({ window: tumbling }, [
    {
      rows: [
        [
          ['a', 1, 25],
          ['a', 1, 3],
        ],
      ],
    },
    {
      rows: [
        [
          ['a', 2, 4],
          ['a', 1, 21],
        ],
      ],
    },
  ]);
  assert.deepEqual(rows, [[counted('a', 0, 10, 1)], []]);
  assert.deepEqual(sinkOf(output, 'late'), [[], [{ key: 'a', value: 2, time: 4 }]]);
  assert.deepEqual([...output.late.values()], [[0, 1]]);
});

test('the delay holds the watermark back, and allowed lateness holds windows open', () => {
  const { rows } = aggregateOf(
    { window: tumbling, allowedLatenessMs: 5 },
    [
      {
        rows: [
          [
            ['a', 1, 1],
            ['a', 1, 16],
          ],
        ],
      },
      {
        rows: [
          [
            ['a', 1, 2],
            ['a', 1, 17],
          ],
        ],
      },
      { rows: [[['a', 1, 3]]] },
    ],
    { delayMs: 2 },
  );
  assert.deepEqual(rows, [[], [counted('a', 0, 10, 2)], []]);
});

test('offsets and negative times fall into the right windows', () => {
  const window = { kind: 'tumbling', sizeMs: 10, offsetMs: 3 } as const;
  const { rows } = aggregateOf({ window }, [
    {
      rows: [
        [
          ['a', 1, -8],
          ['a', 1, 2],
          ['a', 1, 3],
        ],
      ],
      ended: [true],
    },
  ]);
  assert.deepEqual(rows[0], [
    counted('a', -17, -7, 1),
    counted('a', -7, 3, 1),
    counted('a', 3, 13, 1),
  ]);
});

test('a row belongs to all hopping windows around it, and counts in those still open', () => {
  const window = { kind: 'hopping', sizeMs: 10, hopMs: 5, offsetMs: 0 } as const;
  const { rows, output } = aggregateOf({ window }, [
    {
      rows: [
        [
          ['a', 1, 7],
          ['b', 1, 12],
        ],
      ],
    },
    { rows: [[['a', 1, 8]]] },
    { rows: [[]], ended: [true] },
  ]);
  assert.deepEqual(rows[0], [counted('a', 0, 10, 1)]);
  assert.deepEqual(rows[1], []);
  assert.deepEqual(rows[2], [
    counted('a', 5, 15, 2),
    counted('b', 5, 15, 1),
    counted('b', 10, 20, 1),
  ]);
  assert.deepEqual([...output.late.values()], [[0, 0, 0]]);
});

test('sessions merge when less than the gap lies between rows', () => {
  const window = { kind: 'session', gapMs: 10 } as const;
  const { rows } = aggregateOf({ window }, [
    {
      rows: [
        [
          ['a', 1, 0],
          ['a', 1, 18],
          ['b', 1, 0],
          ['b', 1, 10],
        ],
      ],
    },
    {
      rows: [
        [
          ['a', 1, 9],
          ['c', 1, 30],
        ],
      ],
    },
    { rows: [[]], ended: [true] },
  ]);
  assert.deepEqual(rows, [
    [counted('a', 0, 10, 1), counted('b', 0, 10, 1)],
    [counted('a', 9, 28, 2), counted('b', 10, 20, 1)],
    [counted('c', 30, 40, 1)],
  ]);
});

test('a session row is late when a session of its own would be closed', () => {
  const window = { kind: 'session', gapMs: 10 } as const;
  const { rows, output } = aggregateOf({ window }, [
    {
      rows: [
        [
          ['a', 1, 20],
          ['b', 1, 25],
        ],
      ],
    },
    {
      rows: [
        [
          ['a', 1, 15],
          ['a', 1, 16],
        ],
      ],
    },
    { rows: [[]], ended: [true] },
  ]);
  assert.deepEqual([...output.late.values()], [[0, 1, 0]]);
  assert.deepEqual(rows[2], [counted('a', 16, 30, 2), counted('b', 25, 35, 1)]);
});

test('a global window closes at the end of all partitions', () => {
  const { rows } = aggregateOf({ window: { kind: 'global' }, time: null }, [
    { rows: [[['a', 1, 1]], [[null, 1, 1]]], ended: [true, false] },
    { rows: [[], [['a', 1, 1]]], ended: [true, true] },
  ]);
  assert.deepEqual(rows, [
    [],
    [
      { key: 'a', count: 2 },
      { key: null, count: 1 },
    ],
  ]);
});

test('update emits what changed after every micro-batch, and nothing more at the close', () => {
  const { rows } = aggregateOf({ window: tumbling, emit: 'update' }, [
    {
      rows: [
        [
          ['a', 1, 1],
          ['b', 1, 2],
        ],
      ],
    },
    { rows: [[['a', 1, 3]]] },
    { rows: [[['a', 1, 30]]] },
  ]);
  assert.deepEqual(rows, [
    [counted('a', 0, 10, 1), counted('b', 0, 10, 1)],
    [counted('a', 0, 10, 2)],
    [counted('a', 30, 40, 1)],
  ]);
});

test('the slowest partition holds the watermark until it is idle', () => {
  const watermarks = (idleMs: number | undefined): readonly number[] => {
    const { output } = aggregateOf(
      { window: tumbling },
      [
        { rows: [[['a', 1, 50]], []], atMs: 0 },
        { rows: [[['a', 1, 60]], []], atMs: 99 },
        { rows: [[['a', 1, 70]], []], atMs: 100 },
        { rows: [[['a', 1, 80]], [['a', 1, 65]]], atMs: 101 },
        { rows: [[], [['a', 1, 90]]], atMs: 102 },
      ],
      idleMs === undefined ? {} : { idleMs },
    );
    return [...output.watermarks.values()][0];
  };
  assert.deepEqual(watermarks(undefined), [-Infinity, -Infinity, -Infinity, 65, 80]);
  assert.deepEqual(watermarks(100), [-Infinity, -Infinity, 70, 70, 80]);
});

test('an ended partition does not let the rows of an idle one be late', () => {
  const { output } = aggregateOf(
    { window: tumbling },
    [
      { rows: [[['a', 1, 5]], [['a', 1, 3]]], atMs: 0 },
      { rows: [[], []], ended: [true, false], atMs: 1000 },
      { rows: [[], [['a', 1, 4]]], ended: [true, true], atMs: 1001 },
    ],
    { idleMs: 100 },
  );
  assert.deepEqual([...output.watermarks.values()], [[3, 3, Infinity]]);
  assert.deepEqual([...output.late.values()], [[0, 0, 0]]);
});

test('every aggregate function skips nulls and is null over nothing', () => {
  const value = column('value', 'float64?');
  const args = { args: [value], type: 'float64?' } as const;
  const custom = { custom: 'keys', type: 'json' } as const;
  const aggregates = [
    aggregateCall('rows', 'count'),
    aggregateCall('values', 'count', args),
    aggregateCall('sum', 'sum', args),
    aggregateCall('min', 'min', args),
    aggregateCall('max', 'max', args),
    aggregateCall('avg', 'avg', args),
    aggregateCall('first', 'first', args),
    aggregateCall('last', 'last', args),
    aggregateCall('distinct', 'count-distinct', args),
    aggregateCall('top', 'top-k', { args: [value, value], type: 'json?', k: 2 }),
    aggregateCall('custom', 'custom', custom),
  ];
  const builder = new PlanBuilder('test');
  const source = builder.source('in', rowSchema, { time: 'time' });
  builder.sink(builder.aggregate(source, { keys: key, window: tumbling, time, aggregates }), 'out');
  const functions = new Map<FunctionId, UserFunction>([
    [
      builder.fn('keys', ''),
      {
        kind: 'aggregate',
        aggregate: {
          init: () => [],
          add: (acc, row) => [...(acc as string[]), `${row['value']}@${row['time']}`],
          merge: (left, right) => [...(left as string[]), ...(right as string[])],
          result: (acc) => acc as string[],
        },
      },
    ],
  ]);
  const steps: Step[] = [
    {
      rows: [
        [
          ['a', 3, 5],
          ['a', null, 1],
          ['a', 1, 2],
          ['b', null, 0],
        ],
      ],
    },
    {
      rows: [
        [
          ['a', 3, 7],
          ['a', -0, 7],
        ],
      ],
      ended: [true],
    },
  ];
  const output = runReference(builder.plan(), { tables: new Map(), functions }, batchesOf(steps));
  const bounds = { windowStart: 0, windowEnd: 10 };
  const none = { sum: null, min: null, max: null, avg: null, first: null, last: null, top: null };
  assert.deepEqual(sinkOf(output, 'out')[1], [
    {
      key: 'a',
      ...bounds,
      rows: 5,
      values: 4,
      sum: 7,
      min: -0,
      max: 3,
      avg: 1.75,
      first: 1,
      last: -0,
      distinct: 3,
      top: [3, 3],
      custom: ['3@5', 'null@1', '1@2', '3@7', '0@7'],
    },
    { key: 'b', ...bounds, rows: 1, values: 0, distinct: 0, ...none, custom: ['null@0'] },
  ]);
});

test('joins, lambdas, maps and unions do what they say', () => {
  const builder = new PlanBuilder('test');
  const source = builder.source('in', rowSchema, { time: 'time' });
  const table = builder.table('names', schemaOf({ id: 'string?', name: 'string' }), 4);
  const joined = builder.join(source, table, {
    how: 'left',
    on: { id: column('key', 'string?') },
    add: { name: 'name' },
  });
  const kept = builder.filter(joined, lambda('big', 'boolean', ['value']));
  const twice = builder.flatMap(kept, builder.fn('twice', ''), schemaOf({ text: 'string' }));
  const plain = builder.project(source, { text: literal('plain', 'string') });
  builder.sink(builder.union(twice, plain), 'out');
  const functions = new Map<FunctionId, UserFunction>([
    ['big' as FunctionId, { kind: 'scalar', fn: (row) => Number(row['value']) > 1 }],
    [
      'twice' as FunctionId,
      {
        kind: 'flat-map',
        fn: (row, ctx) => [{ text: `${row['name']}` }, { text: `${ctx.batchTimeMs}` }],
      },
    ],
  ]);
  const tables = new Map([
    [
      'names' as TableId,
      [
        { id: 'a', name: 'Ann' },
        { id: 'a', name: 'Abe' },
        { id: null, name: 'nobody' },
        { id: 'b', name: 'Bob' },
      ],
    ],
  ]);
  const steps: Step[] = [
    {
      rows: [
        [
          ['a', 2, 1],
          ['b', 1, 1],
          [null, 3, 1],
        ],
      ],
      atMs: 7,
    },
  ];
  const output = runReference(builder.plan(), { tables, functions }, batchesOf(steps));
  assert.deepEqual(
    sinkOf(output, 'out')[0].map((row) => row['text']),
    ['Ann', '7', 'Abe', '7', 'null', '7', 'plain', 'plain', 'plain'],
  );
});

test('a second aggregate sees rows in the same micro-batch and waits as long as the first', () => {
  const builder = new PlanBuilder('test');
  const source = builder.source('in', rowSchema, { time: 'time' });
  const first = builder.aggregate(source, {
    keys: key,
    window: tumbling,
    time,
    aggregates: count,
    allowedLatenessMs: 5,
  });
  const before = call('sub', 'timestamp', column('windowEnd', 'timestamp'), literal(1, 'float64'));
  const total = aggregateCall('total', 'sum', { args: [column('count', 'float64')] });
  const second = builder.aggregate(first, { window: tumbling, time: before, aggregates: [total] });
  builder.sink(second, 'out');
  const steps: Step[] = [
    {
      rows: [
        [
          ['a', 1, 1],
          ['b', 1, 2],
        ],
      ],
    },
    { rows: [[['a', 1, 12]]] },
    {
      rows: [
        [
          ['a', 1, 3],
          ['a', 1, 16],
        ],
      ],
    },
  ];
  const output = runReference(builder.plan(), noBindings, batchesOf(steps));
  const rows = sinkOf(output, 'out');
  assert.deepEqual(rows, [[], [], [{ windowStart: 0, windowEnd: 10, total: 3 }]]);
  assert.deepEqual([...output.late.values()].flat(), [0, 0, 0, 0, 0, 0]);
});
