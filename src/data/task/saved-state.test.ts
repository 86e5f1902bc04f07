import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FunctionId } from '../../expr/expr.ts';
import type { CustomAggregate, UserFunction } from '../../plan/bindings.ts';
import type { WindowSpec } from '../../plan/logical-plan.ts';
import type { StageId } from '../../plan/physical-plan.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import type { RowObject } from '../../schema/data-type.ts';
import { aggregateCall, column, PlanBuilder, schemaOf } from '../../testing/plan-builder.ts';
import { stateDifference } from '../snapshot/state-description.ts';
import { FirstRun } from './first-run.fixture.ts';
import { allocateBytes } from './run-plan.fixture.ts';
import { compactState, readState } from './saved-state.ts';
import type { StateRow } from './saved-state.ts';
import { TaskExecutor } from './task-executor.ts';
import type { InputBlock, TaskResult } from './task.ts';
import { wideRun } from './wide-run.fixture.ts';

const columns = { user: 'string?', amount: 'int64?', price: 'float64', time: 'timestamp' } as const;
const user = column('user', 'string?');
const amount = column('amount', 'int64?');
const price = column('price', 'float64');

const prices: CustomAggregate<RowObject, { all: number[] }, number> = {
  init: () => ({ all: [] }),
  add: ({ all }, row) => ({ all: [...all, Number(row['price'])] }),
  merge: (left, right) => ({ all: [...left.all, ...right.all] }),
  result: () => assert.fail('reading state calls no function of the user'),
};

/** A source and one keyed stage over it, fed micro-batch by micro-batch. */
class Job {
  readonly source = { stage: 0 as StageId, partition: 0 };
  readonly keyed = { stage: 1 as StageId, partition: 0 };
  readonly executor: TaskExecutor;
  #batch = 0;

  constructor(window: WindowSpec) {
    const builder = new PlanBuilder('prices');
    const format = { kind: 'rows' } as const;
    // Nothing closes: results would call the user's function.
    const watermark = { delayMs: 10_000 };
    const rows = builder.source('in', schemaOf(columns), { time: 'time', format, watermark });
    const args = [price];
    const fn = builder.fn('prices', 'prices');
    const aggregates = [
      aggregateCall('rows', 'count'),
      aggregateCall('total', 'sum', { args: [amount], type: 'int64?' }),
      aggregateCall('users', 'count-distinct', { args: [user] }),
      aggregateCall('dearest', 'top-k', { args: [amount, price], type: 'json?', k: 2 }),
      aggregateCall('last', 'last', { args: [user], type: 'string?' }),
      aggregateCall('prices', 'custom', { args, custom: fn, type: 'float64' }),
    ];
    const time = window.kind === 'global' ? null : column('time', 'timestamp');
    const result = builder.aggregate(rows, { keys: { user }, window, aggregates, time });
    builder.sink(result, 'out');
    const bound: UserFunction = { kind: 'aggregate', aggregate: prices as CustomAggregate };
    this.executor = new TaskExecutor({
      plan: planPhysical(builder.plan(), { partitions: 1 }),
      bindings: { tables: new Map(), functions: new Map([['prices' as FunctionId, bound]]) },
      partitionCounts: [1, 1],
      allocate: allocateBytes,
    });
  }

  feed(...rows: readonly (readonly [string | null, bigint | null, number, number])[]): TaskResult {
    const batch = this.#batch++;
    const objects = rows.map(([name, sum, cost, time]): RowObject => {
      return { user: name, amount: sum, price: cost, time };
    });
    const data = { kind: 'rows', rows: objects } as const;
    const chunk = { from: 10 * batch, to: 10 * batch + rows.length, ended: false, data };
    const scanned = this.executor.run(
      { ...this.source, batch, part: 0 },
      { kind: 'scan', chunk, triggerMs: 5000 + batch },
    );
    const [output] = scanned.outputs;
    const block: InputBlock = { producer: 0, header: output!.header, block: output!.blocks[0]! };
    return this.executor.run(
      { ...this.keyed, batch, part: 0 },
      { kind: 'blocks', blocks: [[block]] },
    );
  }
}

function read(job: Job, ...snapshots: readonly Uint8Array[]): StateRow[] {
  const all = snapshots.length > 0 ? snapshots : [job.executor.snapshot(job.keyed, 'base').bytes];
  return [...readState(all).rows];
}

test('readState gives windows, keys and accumulators as plain values', () => {
  const job = new Job({ kind: 'tumbling', sizeMs: 100, offsetMs: 0 });
  job.feed(['ann', 3n, 1.5, 110], ['bob', null, 2, 120], [null, 4n, 0, 130]);
  const base = job.executor.snapshot(job.keyed, 'base');
  job.feed(['ann', 5n, 0.5, 250]);
  const delta = job.executor.snapshot(job.keyed, 'delta');
  assert.deepEqual([base.kind, delta.kind], ['base', 'delta']);
  const operator = 'aggregate-1';
  const first: StateRow = {
    operator,
    startMs: 100,
    endMs: 200,
    keys: { user: 'ann' },
    values: {
      rows: 1,
      total: 3n,
      users: 1,
      dearest: [3],
      last: 'ann',
      prices: { all: [1.5] },
    },
  };
  const bob = { rows: 1, total: null, users: 1, dearest: null, last: 'bob', prices: { all: [2] } };
  const none = { rows: 1, total: 4n, users: 0, dearest: [4], last: null, prices: { all: [0] } };
  const rows = [
    first,
    { ...first, keys: { user: 'bob' }, values: bob },
    { ...first, keys: { user: null }, values: none },
  ];
  assert.deepEqual(read(job, base.bytes), rows);
  const later = { rows: 1, total: 5n, users: 1, dearest: [5], last: 'ann', prices: { all: [0.5] } };
  assert.deepEqual(read(job, base.bytes, delta.bytes), [
    ...rows,
    { ...first, startMs: 200, endMs: 300, values: later },
  ]);
});

test('readState gives sessions with their bounds, and a global window without', () => {
  const sessions = new Job({ kind: 'session', gapMs: 50 });
  sessions.feed(['ann', 1n, 1, 100], ['ann', 2n, 2, 130], ['ann', 4n, 3, 500]);
  const rows = read(sessions).map(({ startMs, endMs, values }) => {
    return [startMs, endMs, values['total'], values['dearest']];
  });
  assert.deepEqual(rows, [
    [100, 180, 3n, [2, 1]],
    [500, 550, 4n, [4]],
  ]);
  const global = new Job({ kind: 'global' });
  global.feed(['ann', 1n, 1, 100]);
  assert.deepEqual(
    read(global).map(({ startMs, endMs }) => [startMs, endMs]),
    [[null, null]],
  );
});

test('readState gives the range of a source partition and the watermark of an input', () => {
  const job = new Job({ kind: 'global' });
  job.feed(['ann', 1n, 1, 100]);
  job.feed(['ann', 1n, 1, 140], ['bob', 1n, 1, 130]);
  const source = readState([job.executor.snapshot(job.source, 'delta').bytes]);
  assert.deepEqual(source.source, {
    source: 'in',
    partition: 0,
    batch: 1,
    from: 10,
    to: 12,
    batchTimeMs: 5001,
    watermarkMs: 140 - 10_000,
    idle: false,
    wasIdle: false,
    activeMs: 5001,
    ended: false,
  });
  assert.deepEqual([...source.rows], []);
  const keyed = readState([job.executor.snapshot(job.keyed, 'base').bytes]);
  assert.equal(keyed.watermarkMs, 140 - 10_000);
  assert.equal(keyed.batch, 1);
  assert.equal(keyed.description.pipeline, 'prices');
});

test('compactState gives the base that snapshots come to; the next delta fits behind it', () => {
  let deltas = 0;
  fc.assert(
    fc.property(wideRun, fc.integer({ min: 1, max: 4 }), (run, length) => {
      const first = new FirstRun(run);
      const writer = first.executor();
      const reader = first.executor();
      for (const { stage, partition } of first.places()) {
        const place = { stage: stage.id, partition };
        let chain: Uint8Array[] = [];
        for (let batch = 0; batch < first.batchCount; batch++) {
          const task = { ...place, batch, part: 0 };
          writer.run(task, first.input(task));
          const { bytes, kind } = writer.snapshot(place, 'delta');
          chain = kind === 'base' ? [bytes] : [...chain, bytes];
          if (chain.length > 1) deltas++;
          if (chain.length > length) chain = [compactState(chain)];
          reader.forget(place);
          reader.restore(place, chain);
        }
        const left = writer.snapshot(place, 'base').bytes;
        assert.deepEqual(reader.snapshot(place, 'base').bytes, left);
      }
    }),
    { numRuns: 15 },
  );
  assert.ok(deltas > 15);
});

test('readState gives the latest rows of a broadcast stream', () => {
  const builder = new PlanBuilder('rates');
  const format = { kind: 'rows' } as const;
  const sales = builder.source('sales', schemaOf({ code: 'string?' }), { format });
  const table = schemaOf({ key: 'string?', rate: 'float64', by: 'string?' });
  const rates = builder.source('rates', table, { format });
  const on = { key: column('code', 'string?') };
  const add = { rate: 'rate', by: 'by' };
  builder.sink(builder.broadcastJoin(sales, rates, { how: 'left', on, add }), 'out');
  const plan = planPhysical(builder.plan(), { partitions: 1 });
  const partitionCounts = plan.stages.map(() => 1);
  const options = { bindings: { tables: new Map(), functions: new Map() }, partitionCounts };
  const executor = new TaskExecutor({ plan, ...options, allocate: allocateBytes });
  const given: { readonly [source: string]: readonly RowObject[] } = {
    sales: [],
    rates: [
      { key: 'CHF', rate: 10.5, by: null },
      { key: 'SEK', rate: 0.09, by: 'ann' },
      { key: null, rate: 7, by: 'ann' },
      { key: 'CHF', rate: 1.05, by: 'bob' },
    ],
  };
  const blocks = new Map<number, InputBlock[]>();
  for (const stage of plan.stages) {
    const task = { stage: stage.id, partition: 0, batch: 0, part: 0 };
    if (stage.input.kind === 'scan') {
      const rows = given[stage.input.scan.source]!;
      const data = { kind: 'rows', rows } as const;
      const chunk = { from: 0, to: rows.length, ended: false, data };
      const { outputs } = executor.run(task, { kind: 'scan', chunk, triggerMs: 1 });
      stage.outputs.forEach((exchange, at) => {
        const { header, blocks: made } = outputs[at]!;
        blocks.set(exchange, [{ producer: 0, header, block: made[0]! }]);
      });
      continue;
    }
    const inputs = stage.input.exchanges.map((exchange) => blocks.get(exchange)!);
    executor.run(task, { kind: 'blocks', blocks: inputs });
    const { bytes } = executor.snapshot({ stage: stage.id, partition: 0 }, 'delta');
    const { description, rows } = readState([bytes]);
    const row = { operator: description.operator, startMs: null, endMs: null };
    assert.deepEqual(
      [...rows],
      [
        { ...row, keys: { key: 'CHF' }, values: { rate: 1.05, by: 'bob' } },
        { ...row, keys: { key: 'SEK' }, values: { rate: 0.09, by: 'ann' } },
      ],
    );
    assert.deepEqual(compactState([bytes]), bytes);
    const swapped = { ...description.broadcast!, keys: ['by'] };
    assert.equal(
      stateDifference(description, { ...description, broadcast: swapped }),
      'the broadcast key was key, now is by',
    );
  }
  assert.equal(plan.stages.length, 3);
});
