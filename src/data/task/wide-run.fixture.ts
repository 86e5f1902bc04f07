// Runs whose state has many groups, of which a micro-batch changes some: every kind of accumulator,
// two keys, each kind of window.

import fc from 'fast-check';
import { Random } from '../../base/random.ts';
import type { Expr } from '../../expr/expr.ts';
import type { AggregateCall, SourceId, WindowSpec } from '../../plan/logical-plan.ts';
import type { RowObject } from '../../schema/data-type.ts';
import { aggregateCall, column, PlanBuilder, schemaOf } from '../../testing/plan-builder.ts';
import type { TypeName } from '../../testing/plan-builder.ts';
import type { ReferenceBatch } from '../../testing/reference.ts';
import type { RandomRun } from './random-plan.fixture.ts';

const columns = {
  key: 'string?',
  id: 'int32?',
  name: 'string',
  long: 'int64?',
  real: 'float64?',
  flag: 'boolean?',
  doc: 'json?',
  time: 'timestamp',
} as const satisfies { readonly [name: string]: TypeName };

function of(name: keyof typeof columns): Expr {
  return column(name, columns[name]);
}

const firstOrLast = (['long', 'flag', 'name', 'real', 'id'] as const).flatMap((name) => {
  const type: TypeName = name === 'name' ? 'string?' : columns[name];
  return [
    aggregateCall('', 'first', { args: [of(name)], type }),
    aggregateCall('', 'last', { args: [of(name)], type }),
  ];
});

const distincts = (['name', 'long', 'real', 'flag', 'doc', 'time'] as const).flatMap((name) => [
  aggregateCall('', 'count-distinct', { args: [of(name)] }),
  aggregateCall('', 'approx-count-distinct', { args: [of(name)], type: 'int64' }),
]);

const calls: readonly AggregateCall[] = [
  aggregateCall('', 'count'),
  aggregateCall('', 'count', { args: [of('real')], type: 'int64' }),
  aggregateCall('', 'sum', { args: [of('real')], type: 'float64?' }),
  aggregateCall('', 'sum', { args: [of('long')], type: 'int64?' }),
  aggregateCall('', 'avg', { args: [of('real')], type: 'float64?' }),
  aggregateCall('', 'avg', { args: [of('long')], type: 'float64?' }),
  aggregateCall('', 'min', { args: [of('name')], type: 'string?' }),
  aggregateCall('', 'max', { args: [of('flag')], type: 'boolean?' }),
  aggregateCall('', 'max', { args: [of('real')], type: 'float64?' }),
  aggregateCall('', 'top-k', { args: [of('doc'), of('real')], type: 'json?', k: 2 }),
  aggregateCall('', 'top-k', { args: [of('long'), of('name')], type: 'json?', k: 3 }),
  aggregateCall('', 'custom', { custom: 'sumText', type: 'string' }),
  ...firstOrLast,
  ...distincts,
];

const windows: readonly WindowSpec[] = [
  { kind: 'global' },
  { kind: 'tumbling', sizeMs: 60, offsetMs: 0 },
  { kind: 'hopping', sizeMs: 120, hopMs: 40, offsetMs: 5 },
  { kind: 'session', gapMs: 25 },
];

const keyCount = 120;
const batchCount = 14;

export const wideRun: fc.Arbitrary<RandomRun> = fc
  .record({
    seed: fc.nat(),
    window: fc.constantFrom(...windows),
    keys: fc.constantFrom<readonly (keyof typeof columns)[]>(['key'], ['id', 'key'], ['long']),
    aggregates: fc.uniqueArray(fc.nat({ max: calls.length - 1 }), { minLength: 3, maxLength: 8 }),
    delayMs: fc.constantFrom(0, 50),
    emit: fc.constantFrom('close' as const, 'update' as const),
    late: fc.boolean(),
  })
  .map(({ seed, window, keys, aggregates, delayMs, emit, late }) => {
    const builder = new PlanBuilder('wide');
    const schema = schemaOf(columns);
    builder.fn('sumText', 'sumText');
    const watermark = { delayMs, idleMs: 40 };
    const format = { kind: 'rows' } as const;
    const source = builder.source('in', schema, { time: 'time', watermark, format });
    const result = builder.aggregate(source, {
      keys: Object.fromEntries(keys.map((name) => [name, of(name)])),
      window,
      time: of('time'),
      aggregates: aggregates.map((at, index) => ({ ...calls[at]!, name: `r${index}` })),
      emit: window.kind === 'session' ? 'close' : emit,
      late: late ? builder.sideSink('late', schema) : null,
    });
    builder.sink(result, 'out');
    return { plan: builder.plan(), batches: batchesOf(new Random(seed)), partitions: 2 };
  });

/** The first micro-batch meets most keys, later ones a few, and old ones come again. */
function batchesOf(random: Random): ReferenceBatch[] {
  return Array.from({ length: batchCount }, (_, batch) => {
    const sources = Array.from({ length: 2 }, () => {
      const rowCount = batch === 0 ? 250 : random.chance(0.2) ? 0 : random.integer(1, 12);
      const rows = Array.from({ length: rowCount }, () => rowOf(random, batch));
      return { rows, ended: batch === batchCount - 1 };
    });
    return { batchTimeMs: 1000 + batch * 20, sources: new Map([['in' as SourceId, sources]]) };
  });
}

function rowOf(random: Random, batch: number): RowObject {
  const key = random.integer(0, keyCount - 1);
  const orNull = <Value>(value: Value): Value | null => (random.chance(0.1) ? null : value);
  const spread = batch === 0 ? 150 : 60;
  return {
    key: orNull(`key-${key}`),
    id: orNull(key % 3),
    name: random.pick(['a', 'b', 'ä', '', '\u{1F600}']),
    long: orNull(BigInt(key) - 9_000_000_000n),
    real: orNull(random.pick([-1.5, 0.1, 0.2, 7, -0, NaN, Infinity])),
    flag: orNull(random.chance(0.5)),
    doc: orNull(random.pick<RowObject['doc']>([{ b: 1, a: -0 }, [1, 'x'], 'a', 3, true]))!,
    time: 500 + batch * 15 - random.integer(0, spread) + (batch === 0 ? 100 : 0),
  };
}
