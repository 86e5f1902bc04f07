// What is wrong with state is found out before anything is computed from it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StreamError } from '../../base/stream-error.ts';
import type { StageId } from '../../plan/physical-plan.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import { aggregateCall, column, PlanBuilder, schemaOf } from '../../testing/plan-builder.ts';
import { checksum } from '../snapshot/checksum.ts';
import { FirstRun } from './first-run.fixture.ts';
import { allocateBytes } from './run-plan.fixture.ts';
import { compactState, readState } from './saved-state.ts';
import { TaskExecutor } from './task-executor.ts';
import type { StagePlace } from './task.ts';
import { wideRun } from './wide-run.fixture.ts';

type Saved = { readonly first: FirstRun; readonly place: StagePlace; readonly chain: Uint8Array[] };

/** Every partition of a run with its snapshots, a base and deltas. */
function savedOf(first: FirstRun): Saved[] {
  const executor = first.executor();
  return first.places().map(({ stage, partition }) => {
    const place = { stage: stage.id, partition };
    let chain: Uint8Array[] = [];
    for (let batch = 0; batch < first.batchCount - 1; batch++) {
      const task = { ...place, batch, part: 0 };
      executor.run(task, first.input(task));
      const { kind, bytes } = executor.snapshot(place, 'delta');
      chain = kind === 'base' ? [bytes] : [...chain, bytes];
    }
    return { first, place, chain };
  });
}

/** The code of the error that `run` throws, which must be a StreamError; null: it threw none. */
function codeOf(run: () => void): string | null {
  try {
    run();
    return null;
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    return error.code;
  }
}

test('restore refuses a snapshot with a byte changed or missing, and stays fresh', () => {
  fc.assert(
    fc.property(wideRun, fc.infiniteStream(fc.nat()), (run, numbers) => {
      const first = new FirstRun(run);
      const other = first.executor();
      const random = (below: number): number => numbers.next().value % below;
      for (const { place, chain } of savedOf(first)) {
        for (let round = 0; round < 40; round++) {
          const which = random(chain.length);
          const damaged = chain.map((bytes) => bytes.slice());
          const { length } = damaged[which]!;
          if (round % 2 === 0) damaged[which] = damaged[which]!.slice(0, random(length));
          else damaged[which]![random(length)]! ^= 1 << random(8);
          const code = codeOf(() => other.restore(place, damaged));
          assert.match(code ?? 'none', /^state-(damaged|version)$/);
        }
        other.restore(place, chain);
        const task = { ...place, batch: first.batchCount - 1, part: 0 };
        assert.deepEqual(other.run(task, first.input(task)), first.result(task));
      }
    }),
    { numRuns: 4 },
  );
});

test('restore of nonsense under right checksums ends with a StreamError or with some state', () => {
  const codes = new Map<string | null, number>();
  fc.assert(
    fc.property(wideRun, fc.infiniteStream(fc.nat()), (run, numbers) => {
      const first = new FirstRun(run);
      const other = first.executor();
      const random = (below: number): number => numbers.next().value % below;
      for (const { place, chain } of savedOf(first)) {
        for (let round = 0; round < 40; round++) {
          const forged = chain.map((bytes) => bytes.slice());
          const bytes = forged[random(chain.length)]!;
          forge(bytes, random);
          const code = codeOf(() => other.restore(place, forged));
          codes.set(code, (codes.get(code) ?? 0) + 1);
          codeOf(() => [...readState(forged).rows]);
          codeOf(() => compactState(forged));
          other.forget(place);
        }
      }
    }),
    { numRuns: 4 },
  );
  assert.ok((codes.get('state-damaged') ?? 0) > 40, JSON.stringify([...codes]));
});

/** Changes some words of the sections and puts the checksums right. */
function forge(bytes: Uint8Array, random: (below: number) => number): void {
  const view = new DataView(bytes.buffer);
  const bodyAt = 72 + Math.ceil(view.getUint32(64, true) / 8) * 8;
  const words = (bytes.length - bodyAt) / 4;
  for (let change = 0; change <= random(3); change++) {
    const at = bodyAt + 4 * random(random(2) === 0 ? words : Math.min(words, 40));
    const values = [0, 1, 2, 7, -1, 2 ** 31 - 1, 2 ** 30, random(2 ** 31)];
    view.setInt32(at, values[random(values.length)]!, true);
  }
  view.setUint32(16, checksum(bytes, bodyAt, bytes.length), true);
  view.setUint32(12, checksum(bytes, 16, bodyAt), true);
}

test('restore refuses snapshots that do not follow each other', () => {
  const [run] = fc.sample(wideRun, { numRuns: 1, seed: 5 });
  const first = new FirstRun(run!);
  const saved = savedOf(first).find(({ chain }) => chain.length > 3)!;
  const { place, chain } = saved;
  const [base, one, two] = chain;
  const executor = first.executor();
  for (const wrong of [[base, two], [one], [base, one, one], [base, two, one], [base, base]]) {
    assert.throws(() => executor.restore(place, wrong as Uint8Array[]), { code: 'state-damaged' });
  }
});

const events = schemaOf({ key: 'string', amount: 'float64', time: 'timestamp' });

/** A source and a keyed stage, with the sum or average of `argument`. */
function executorOf(fn: 'sum' | 'avg', factor: 1 | 2, partitions = 2): TaskExecutor {
  const builder = new PlanBuilder('shop');
  const rows = builder.source('in', events, { time: 'time', format: { kind: 'rows' } });
  const amount = column('amount', 'float64');
  const factors = {
    kind: 'literal',
    value: factor,
    type: { kind: 'float64' },
    nullable: false,
  } as const;
  const times = {
    kind: 'call',
    fn: 'mul',
    args: [amount, factors],
    type: { kind: 'float64' },
    nullable: false,
  } as const;
  const counts = builder.aggregate(rows, {
    keys: { key: column('key', 'string') },
    window: { kind: 'global' },
    time: null,
    aggregates: [
      aggregateCall('rows', 'count'),
      aggregateCall('result', fn, { args: [factor === 1 ? amount : times], type: 'float64?' }),
    ],
  });
  builder.sink(counts, 'out');
  return new TaskExecutor({
    plan: planPhysical(builder.plan(), { partitions }),
    bindings: { functions: new Map(), tables: new Map() },
    partitionCounts: [1, partitions],
    allocate: allocateBytes,
  });
}

test('restore names operator and difference when state is that of another pipeline', () => {
  const keyed = { stage: 1 as StageId, partition: 1 };
  const source = { stage: 0 as StageId, partition: 0 };
  const header = { watermarkMs: 0, idle: false, batchTimeMs: 0, ranges: [] };
  const blocks = [[{ producer: 0, header, block: null }]];
  const executor = executorOf('sum', 1);
  executor.run({ ...keyed, batch: 4, part: 0 }, { kind: 'blocks', blocks });
  const chunk = { from: 0, to: 0, ended: false, data: { kind: 'none' } } as const;
  executor.run({ ...source, batch: 4, part: 0 }, { kind: 'scan', chunk, triggerMs: 0 });
  const { bytes } = executor.snapshot(keyed, 'base');
  const errorOf = (other: TaskExecutor, place: StagePlace, given = bytes): string => {
    try {
      other.restore(place, [given]);
    } catch (error) {
      assert.ok(error instanceof StreamError && error.code === 'state-mismatch');
      return error.message;
    }
    return 'none';
  };
  const messages = [
    errorOf(executorOf('sum', 1), keyed),
    errorOf(executorOf('avg', 1), keyed),
    errorOf(executorOf('sum', 2), keyed),
    errorOf(executorOf('sum', 1), { ...keyed, partition: 0 }),
    errorOf(executorOf('sum', 1, 3), keyed),
    errorOf(executorOf('sum', 1), source),
    errorOf(executorOf('sum', 1), keyed, executor.snapshot(source, 'base').bytes),
  ];
  const partition = 'could not restore operator "aggregate-1", partition 1';
  assert.deepEqual(messages, [
    'none',
    `${partition}: aggregate #2 had sum(amount), now has avg(amount)`,
    `${partition}: aggregate #2 had sum(amount), now has sum((amount * 2))`,
    'could not restore operator "aggregate-1", partition 0: ' +
      'it is that of partition 1 of 2, not 0 of 2',
    `${partition}: it is that of partition 1 of 2, not 1 of 3`,
    'could not restore operator "in", partition 0: it is that of operator "aggregate-1"',
    `${partition}: it is that of operator "in"`,
  ]);
});

test('a replay of a range that the source gives otherwise now is refused', () => {
  const source = { stage: 0 as StageId, partition: 0 };
  const task = { ...source, batch: 0, part: 0 };
  const rows = [{ key: 'a', amount: 1, time: 5 }];
  const chunk = { from: 0, to: 1, ended: false, data: { kind: 'rows', rows } } as const;
  const executor = executorOf('sum', 1);
  const known = executor.run(task, { kind: 'scan', chunk, triggerMs: 9 }).range!;
  const moved = { ...chunk, data: { kind: 'rows', rows: [{ ...rows[0]!, time: 6 }] } } as const;
  for (const given of [moved, { ...chunk, to: 2 }, { ...chunk, data: { kind: 'none' } } as const]) {
    assert.throws(() => executor.replay(task, { chunk: given, known, before: null }), {
      code: 'replay-differs',
    });
  }
  assert.equal(executor.replay(task, { chunk, known, before: null }).counts.recordsIn, 1);
});
