import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamError } from '../../base/stream-error.ts';
import type { FunctionId } from '../../expr/expr.ts';
import type { UserFunction } from '../../plan/bindings.ts';
import type { LogicalPlan, SinkId, SourceSpec } from '../../plan/logical-plan.ts';
import type { StageId } from '../../plan/physical-plan.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import type { SourceData } from '../../ports/source-chunk.ts';
import { deadLetterSchema } from '../../schema/dead-letter.ts';
import { PlanBuilder, schemaOf } from '../../testing/plan-builder.ts';
import { batchToRows } from '../columnar/rows.ts';
import { encodeUtf8 } from '../columnar/utf8.ts';
import { allocateBytes } from './run-plan.fixture.ts';
import { TaskExecutor } from './task-executor.ts';
import type { TaskResult } from './task.ts';

const events = schemaOf({ id: 'int32', name: 'string?', time: 'timestamp' });

type Setup = {
  readonly source?: Partial<SourceSpec>;
  readonly map?: Extract<UserFunction, { kind: 'map' }>['fn'];
};

class Runner {
  readonly #executor: TaskExecutor;
  #batch = 0;

  constructor({ source = {}, map }: Setup) {
    const builder = new PlanBuilder('scan');
    const rows = builder.source('in', events, { time: 'time' });
    const last =
      map === undefined ? rows : builder.map(rows, builder.fn('map', String(map)), events);
    builder.sink(last, 'out');
    builder.sideSink('dead', deadLetterSchema);
    const plan: LogicalPlan = builder.plan();
    const sources = plan.sources.map((spec) => ({ ...spec, ...source }));
    const physical = planPhysical({ ...plan, sources }, { partitions: 2 });
    const functions = new Map<FunctionId, UserFunction>();
    if (map !== undefined) functions.set('map' as FunctionId, { kind: 'map', fn: map });
    this.#executor = new TaskExecutor({
      plan: physical,
      bindings: { functions, tables: new Map() },
      partitionCounts: [1],
      allocate: allocateBytes,
    });
  }

  run(data: SourceData, triggerMs = 1000, ended = false): TaskResult {
    const chunk = { from: 0, to: 1, ended, data };
    const task = { stage: 0 as StageId, partition: 0, batch: this.#batch++, part: 0 };
    return this.#executor.run(task, { kind: 'scan', chunk, triggerMs });
  }
}

function lines(...texts: readonly string[]): SourceData {
  const bytes = encodeUtf8(`xx${texts.map((text) => `${text}\n`).join('')}`);
  const place = { origin: 'day.jsonl', originOffset: 5000, columns: null };
  return { kind: 'bytes', pieces: [{ bytes, start: 2, end: bytes.length, ...place }] };
}

function rowsOf(result: TaskResult, sink: string): unknown[] {
  return result.sinks
    .filter((rows) => rows.sink === sink)
    .flatMap(({ batch }) => batchToRows(batch));
}

const good = '{"id":1,"name":"a","time":10}';
const bad = '{"id":"one","name":"a","time":11}';

function errorOf(run: () => unknown): StreamError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof StreamError, String(error));
    return error;
  }
  throw new Error('nothing was thrown');
}

test('SourceStage fails at a bad record and names file, offset, column and bytes', () => {
  const error = errorOf(() => new Runner({}).run(lines(good, bad)));
  assert.equal(error.code, 'json-type');
  assert.equal(error.fields['origin'], 'day.jsonl');
  assert.equal(error.fields['recordOffset'], 5000 + good.length + 1);
  const fault = Number(error.fields['offset']) - Number(error.fields['recordOffset']);
  assert.ok(fault > 0 && fault < bad.length);
  assert.equal(error.fields['column'], 'id');
  assert.match(error.message, /day\.jsonl.*\{\\"id\\":\\"one\\"/);
});

test('SourceStage skips and counts bad records when told to', () => {
  const result = new Runner({ source: { onError: 'skip' } }).run(lines(good, bad, 'nonsense'));
  assert.equal(result.counts.recordsIn, 1);
  assert.equal(result.counts.recordsBad, 2);
  assert.equal(rowsOf(result, 'out').length, 1);
});

test('SourceStage sends bad records to the dead letters, with all that is known', () => {
  const source = { onError: 'dead-letter', deadLetter: 'dead' as SinkId } as const;
  const result = new Runner({ source }).run(lines(bad, good, '{"id":1'));
  const [first, second] = rowsOf(result, 'dead') as { [name: string]: unknown }[];
  const { reason, ...known } = first!;
  assert.deepEqual(known, {
    source: 'in',
    origin: 'day.jsonl',
    offset: 5000,
    column: 'id',
    record: bad,
  });
  assert.equal(typeof reason, 'string');
  assert.equal(second!['column'], null);
  assert.equal(second!['record'], '{"id":1');
  assert.equal(result.counts.rowsOut, 3);
});

test('SourceStage treats bad rows of a connector like bad records', () => {
  const source = {
    format: { kind: 'rows' },
    onError: 'dead-letter',
    deadLetter: 'dead' as SinkId,
  } as const;
  const rows = [
    { id: 1, name: null, time: 5 },
    { id: 1.5, name: 'b', time: 6 },
  ];
  const result = new Runner({ source }).run({ kind: 'rows', rows });
  assert.deepEqual(rowsOf(result, 'out'), [rows[0]]);
  const [letter] = rowsOf(result, 'dead') as { [name: string]: unknown }[];
  assert.equal(letter!['offset'], 1);
  assert.equal(letter!['column'], 'id');
});

test('SourceStage names records by offsets that are no byte offsets', () => {
  const dead = { onError: 'dead-letter', deadLetter: 'dead' as SinkId } as const;
  const located = (data: SourceData): SourceData => {
    assert.equal(data.kind, 'bytes');
    const { pieces } = data as Extract<SourceData, { readonly kind: 'bytes' }>;
    const second = 2 + good.length + 1;
    const locate = (position: number): number => (position < second ? 70 : 90);
    return { kind: 'bytes', pieces: pieces.map((piece) => ({ ...piece, locate })) };
  };
  const result = new Runner({ source: dead }).run(located(lines(good, bad)));
  assert.deepEqual(
    rowsOf(result, 'dead').map((row) => (row as { readonly offset: number }).offset),
    [90],
  );
  const error = errorOf(() => new Runner({}).run(located(lines(good, bad))));
  assert.deepEqual([error.fields['offset'], error.fields['recordOffset']], [90, 90]);
});

test('SourceStage takes from a connector where rows come from, and what gave none', () => {
  const source = {
    format: { kind: 'rows' },
    onError: 'dead-letter',
    deadLetter: 'dead' as SinkId,
  } as const;
  const rows = [
    { id: 1, name: null, time: 5 },
    { id: 1.5, name: 'b', time: 6 },
  ];
  const broken = { code: 'decode', message: 'no schema 7', offset: 41, record: '?' };
  const places = { origin: 'topic', offsets: [40, 44], bad: [broken] };
  const result = new Runner({ source }).run({ kind: 'rows', rows, places });
  assert.deepEqual(rowsOf(result, 'out'), [rows[0]]);
  assert.deepEqual(
    (rowsOf(result, 'dead') as { [name: string]: unknown }[]).map(({ origin, offset, column }) => [
      origin,
      offset,
      column,
    ]),
    [
      ['topic', 41, null],
      ['topic', 44, 'id'],
    ],
  );
  assert.deepEqual([result.counts.recordsIn, result.counts.recordsBad], [1, 2]);
});

test('SourceStage says at which record a user function failed, and in which operator', () => {
  const map: Setup['map'] = (row) => {
    if (row['id'] === 3) throw new TypeError('no such thing');
    return row;
  };
  const records = [1, 2, 3, 4].map((id) => `{"id":${id},"name":"é","time":10}`);
  const error = errorOf(() => new Runner({ map }).run(lines(...records)));
  assert.equal(error.code, 'user-function');
  assert.equal(error.fields['operator'], 'map-1');
  const before = encodeUtf8(`${records[0]}\n${records[1]}\n`).length;
  assert.equal(error.fields['offset'], 5000 + before);
  assert.match(error.message, /no such thing/);
  assert.ok(error.cause instanceof TypeError);
});

test('SourceStage refuses rows of a user function that are not as declared', () => {
  const map: Setup['map'] = (row) => ({ ...row, id: 'x' });
  const error = errorOf(() => new Runner({ map }).run(lines(good)));
  assert.equal(error.code, 'user-function');
  const none = errorOf(() => new Runner({ map: () => ({ id: null }) }).run(lines(good)));
  assert.equal(none.code, 'user-function');
});

test('SourceStage keeps the watermark, and idleness goes by planned times', () => {
  const watermark = { delayMs: 4, idleMs: 50, aheadMsMax: 1e6 };
  const runner = new Runner({ source: { watermark } });
  const none: SourceData = { kind: 'none' };
  const seen = [
    runner.run(none, 1000),
    runner.run(none, 1060),
    runner.run(lines(good, '{"id":1,"time":3}'), 1070),
    runner.run(lines('{"id":1,"time":7}'), 1100),
    runner.run(none, 1149),
    runner.run(none, 1150),
    runner.run(none, 1151, true),
  ].map(({ range }) => [range!.watermarkMs, range!.idle, range!.ended]);
  assert.deepEqual(seen, [
    [-Infinity, false, false],
    [-Infinity, true, false],
    [6, false, false],
    [6, false, false],
    [6, false, false],
    [6, true, false],
    [Infinity, true, true],
  ]);
});

test('SourceStage reads CSV pieces by the header of each', () => {
  const runner = new Runner({ source: { format: { kind: 'csv', delimiter: ',', header: null } } });
  const piece = (text: string, columns: readonly string[]) => {
    const bytes = encodeUtf8(text);
    return { bytes, start: 0, end: bytes.length, origin: 'a.csv', originOffset: 0, columns };
  };
  const result = runner.run({
    kind: 'bytes',
    pieces: [
      piece('7,b,1\n', ['time', 'name', 'id']),
      piece('2,x,"c ""d""",8\n', ['id', 'other', 'name', 'time']),
      piece('3,,9\n', ['id', 'name', 'time']),
    ],
  });
  assert.deepEqual(rowsOf(result, 'out'), [
    { id: 1, name: 'b', time: 7 },
    { id: 2, name: 'c "d"', time: 8 },
    { id: 3, name: null, time: 9 },
  ]);
});

test('SourceStage refuses a CSV header that names a column twice or not at all', () => {
  for (const columns of [
    ['id', 'name', 'time', 'name'],
    ['id', 'time'],
  ]) {
    const runner = new Runner({
      source: { format: { kind: 'csv', delimiter: ',', header: null } },
    });
    const bytes = encodeUtf8('1,a,7,b\n');
    const place = { start: 0, end: bytes.length, origin: 'a.csv', originOffset: 0 };
    assert.throws(() => runner.run({ kind: 'bytes', pieces: [{ bytes, ...place, columns }] }), {
      code: 'csv-header',
    });
  }
});

test('TaskExecutor refuses tasks of a partition that are out of order', () => {
  const plan = new PlanBuilder('order');
  plan.sink(plan.source('in', events), 'out');
  const other = new TaskExecutor({
    plan: planPhysical(plan.plan(), { partitions: 1 }),
    bindings: { functions: new Map(), tables: new Map() },
    partitionCounts: [1],
    allocate: allocateBytes,
  });
  const chunk = { from: 0, to: 0, ended: false, data: { kind: 'none' } } as const;
  const run = (batch: number): TaskResult =>
    other.run(
      { stage: 0 as StageId, partition: 0, batch, part: 0 },
      { kind: 'scan', chunk, triggerMs: 0 },
    );
  run(5);
  run(6);
  assert.throws(() => run(8), /follows/);
});
