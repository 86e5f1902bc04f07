import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AggregateSpec, WindowSpec } from '../../plan/logical-plan.ts';
import { partialSchema } from '../../plan/partials.ts';
import type { RowObject } from '../../schema/data-type.ts';
import { aggregateCall, column, fieldOf } from '../../testing/plan-builder.ts';
import { batchToRows, rowsToBatch } from '../columnar/rows.ts';
import type { Batch } from '../columnar/batch.ts';
import { createKeyedState } from './keyed-state.ts';
import type { KeyedState } from './keyed-state.ts';

type Options = {
  readonly allowedLatenessMs?: number;
  readonly emit?: 'close' | 'update';
};

/** A sum by key over a window, fed with partials of [key, time, value]. */
class Harness {
  readonly state: KeyedState;
  readonly #spec: AggregateSpec;
  readonly #window: WindowSpec;

  constructor(window: WindowSpec, { allowedLatenessMs = 0, emit = 'close' }: Options = {}) {
    this.#window = window;
    this.#spec = {
      keys: [{ name: 'key', expr: column('key', 'string?') }],
      window,
      aggregates: [
        aggregateCall('sum', 'sum', { args: [column('value', 'float64')], type: 'float64?' }),
      ],
      time: column('time', 'timestamp'),
      allowedLatenessMs,
      late: null,
      emit,
    };
    const bounds = window.kind === 'global' ? [] : ['windowStart', 'windowEnd'];
    const schema = {
      fields: [
        fieldOf('key', 'string?'),
        ...bounds.map((name) => fieldOf(name, 'timestamp')),
        fieldOf('sum', 'float64?'),
      ],
    };
    this.state = createKeyedState({ aggregate: this.#spec, schema, functions: new Map() });
  }

  fold(
    watermarkMs: number,
    ...rows: readonly (readonly [string | null, number, number])[]
  ): number {
    return this.state.fold(this.#partials(rows), watermarkMs);
  }

  finish(watermarkMs: number): string[] {
    const batch = this.state.finish(watermarkMs);
    return batch === null ? [] : batchToRows(batch).map(shown);
  }

  #partials(rows: readonly (readonly [string | null, number, number])[]): Batch {
    const window = this.#window;
    const objects = rows.map(([key, time, value]): RowObject => {
      const span =
        window.kind === 'session'
          ? { $start: time, $end: time + window.gapMs }
          : window.kind === 'global'
            ? {}
            : { $pane: Math.floor(time / 10) * 10 };
      return { key, ...span, $rows: 1, $a0_0: value };
    });
    const check = { nowMs: 0, timeAheadMsMax: Infinity, timeField: -1, onBad: fail };
    return rowsToBatch(partialSchema(this.#spec), objects, check);
  }
}

function fail(error: { readonly message: string }): never {
  throw new Error(error.message);
}

function shown(row: RowObject): string {
  const span = 'windowStart' in row ? ` [${row['windowStart']}, ${row['windowEnd']})` : '';
  return `${row['key']}${span} ${row['sum']}`;
}

const tumbling: WindowSpec = { kind: 'tumbling', sizeMs: 10, offsetMs: 0 };
const hopping: WindowSpec = { kind: 'hopping', sizeMs: 20, hopMs: 10, offsetMs: 0 };
const session: WindowSpec = { kind: 'session', gapMs: 10 };

test('PaneState closes windows in order of end, then of insertion, and once', () => {
  const harness = new Harness(tumbling);
  harness.fold(-Infinity, ['b', 15, 1], ['a', 3, 2], ['c', 12, 4], ['a', 9, 8], [null, 4, 16]);
  assert.equal(harness.state.nextCloseMs, 10);
  assert.deepEqual(harness.finish(9), []);
  assert.deepEqual(harness.finish(25), [
    'a [0, 10) 10',
    'null [0, 10) 16',
    'b [10, 20) 1',
    'c [10, 20) 4',
  ]);
  assert.deepEqual(harness.finish(Infinity), []);
  assert.equal(harness.state.nextCloseMs, Infinity);
});

test('PaneState counts rows of closed windows as late and takes them until then', () => {
  const harness = new Harness(tumbling, { allowedLatenessMs: 5 });
  harness.fold(-Infinity, ['a', 3, 1]);
  assert.deepEqual(harness.finish(14), []);
  assert.equal(harness.fold(14, ['a', 4, 2]), 0);
  assert.deepEqual(harness.finish(15), ['a [0, 10) 3']);
  assert.equal(harness.fold(15, ['a', 4, 2], ['a', 12, 1]), 1);
  assert.deepEqual(harness.finish(Infinity), ['a [10, 20) 1']);
});

test('PaneState merges the panes of hopping windows', () => {
  const harness = new Harness(hopping);
  harness.fold(-Infinity, ['a', 5, 1], ['a', 15, 2], ['b', 25, 4]);
  assert.deepEqual(harness.finish(10), ['a [-10, 10) 1']);
  assert.deepEqual(harness.finish(20), ['a [0, 20) 3']);
  // The window [0, 20) is closed; [10, 30) is not.
  assert.equal(harness.fold(20, ['a', 11, 8]), 0);
  assert.equal(harness.fold(20, ['a', 9, 8]), 1);
  assert.deepEqual(harness.finish(Infinity), ['a [10, 30) 10', 'b [10, 30) 4', 'b [20, 40) 4']);
});

test('PaneState does not open a window again that closed without rows', () => {
  const harness = new Harness(hopping);
  harness.fold(-Infinity, ['a', 25, 1]);
  assert.deepEqual(harness.finish(22), []);
  assert.equal(harness.fold(22, ['a', 15, 2]), 0);
  assert.deepEqual(harness.finish(Infinity), ['a [10, 30) 3', 'a [20, 40) 1']);
});

test('PaneState emits what changed in the micro-batch', () => {
  const harness = new Harness(hopping, { emit: 'update' });
  harness.fold(-Infinity, ['a', 5, 1], ['b', 5, 2]);
  assert.deepEqual(harness.finish(0), [
    'a [-10, 10) 1',
    'b [-10, 10) 2',
    'a [0, 20) 1',
    'b [0, 20) 2',
  ]);
  harness.fold(0, ['b', 15, 4]);
  assert.deepEqual(harness.finish(0), ['b [0, 20) 6', 'b [10, 30) 4']);
  assert.deepEqual(harness.finish(Infinity), []);
});

test('PaneState keeps a global window until the end of input', () => {
  const harness = new Harness({ kind: 'global' });
  harness.fold(-Infinity, ['a', 1, 1], ['a', 2, 2]);
  assert.deepEqual(harness.finish(1e15), []);
  assert.deepEqual(harness.finish(Infinity), ['a 3']);
});

test('SessionState extends sessions, merges those that meet, keeps those a gap apart', () => {
  const harness = new Harness(session);
  harness.fold(-Infinity, ['a', 0, 1], ['a', 15, 2], ['b', 0, 4]);
  // 10 from its neighbours is not less than the gap on the one side, 5 is on the other.
  harness.fold(-Infinity, ['b', 10, 8], ['a', 8, 16]);
  assert.deepEqual(harness.finish(10), ['b [0, 10) 4']);
  assert.deepEqual(harness.finish(Infinity), ['b [10, 20) 8', 'a [0, 25) 19']);
});

test('SessionState judges a partial by itself: what would be closed alone is late', () => {
  const harness = new Harness(session, { allowedLatenessMs: 2 });
  harness.fold(-Infinity, ['a', 0, 1]);
  assert.equal(harness.fold(12, ['a', 0, 2], ['a', 1, 4]), 1);
  assert.deepEqual(harness.finish(13), ['a [0, 11) 5']);
});

test('SessionState forgets keys whose sessions are closed', () => {
  const harness = new Harness(session);
  for (let round = 0; round < 40; round++) {
    const rows = Array.from(
      { length: 500 },
      (_, key) => [`k${round * 500 + key}`, round * 100, 1] as const,
    );
    harness.fold(-Infinity, ...rows);
    assert.equal(harness.finish(round * 100 + 50).length, 500);
  }
  assert.ok(harness.state.byteSize() < 1_000_000, `${harness.state.byteSize()} bytes`);
});
