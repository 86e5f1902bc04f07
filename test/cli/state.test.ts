// `mizzle state` as a process, over two checkpoints of a pipeline that sums up int64 by key.

import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { checkpointContent } from '../../src/control/storage/checkpoints.fixture.ts';
import type { PartitionState } from '../../src/control/protocol/checkpoint-manifest.ts';
import { allocateBytes } from '../../src/data/task/run-plan.fixture.ts';
import { TaskExecutor } from '../../src/data/task/task-executor.ts';
import type { InputBlock } from '../../src/data/task/task.ts';
import type { StageId } from '../../src/plan/physical-plan.ts';
import { planPhysical } from '../../src/plan/plan-physical.ts';
import { planStructure } from '../../src/plan/plan-structure.ts';
import { CheckpointStore } from '../../src/runtime/storage/checkpoint-store.ts';
import { DirectoryStore } from '../../src/runtime/storage/directory-store.ts';
import { aggregateCall, column, PlanBuilder, schemaOf } from '../../src/testing/plan-builder.ts';
import { jsonRows, mizzle, temporaryFolder } from './process.fixture.ts';
import type { Ended, Folder } from './process.fixture.ts';

type Row = readonly [user: string | null, amount: bigint, time: number];

let folder: Folder;
/** Of the second checkpoint's keyed state. */
let stateFile = '';

before(async () => {
  folder = temporaryFolder();
  const builder = new PlanBuilder('totals');
  const format = { kind: 'rows' } as const;
  const columns = schemaOf({ user: 'string?', amount: 'int64', time: 'timestamp' });
  // Nothing closes.
  const watermark = { delayMs: 10_000 };
  const rows = builder.source('in', columns, { time: 'time', format, watermark });
  const window = { kind: 'tumbling', sizeMs: 100, offsetMs: 0 } as const;
  const args = [column('amount', 'int64')];
  const aggregates = [aggregateCall('total', 'sum', { args, type: 'int64?' })];
  const keys = { user: column('user', 'string?') };
  const time = column('time', 'timestamp');
  builder.sink(builder.aggregate(rows, { keys, window, aggregates, time }), 'out');
  const plan = planPhysical(builder.plan(), { partitions: 1 });
  const partitionCounts = [1, 1];
  const bindings = { tables: new Map(), functions: new Map() };
  const executor = new TaskExecutor({ plan, bindings, partitionCounts, allocate: allocateBytes });
  const store = new DirectoryStore(join(folder.path, 'store'));
  const checkpoints = new CheckpointStore(store, {
    pipeline: 'totals',
    nowMs: () => 1_767_225_600_000,
    warn: (text) => assert.fail(text),
  });
  const chain = await checkpoints.open({ term: 1, holder: 'a' });
  const given: readonly (readonly Row[])[] = [
    [
      ['ann', 9_007_199_254_740_993n, 110],
      ['bob', 2n, 120],
      [null, 4n, 130],
    ],
    [
      ['ann', 1n, 140],
      ['ann', 5n, 250],
    ],
  ];
  const chains: PartitionState[] = [0, 1].map((stage) => ({ stage, partition: 0, objects: [] }));
  for (const [batch, some] of given.entries()) {
    const data = { kind: 'rows', rows: some.map(rowOf) } as const;
    const chunk = { from: 10 * batch, to: 10 * batch + some.length, ended: false, data };
    const source = { stage: 0 as StageId, partition: 0 };
    const scan = { kind: 'scan', chunk, triggerMs: 5000 + batch } as const;
    const [output] = executor.run({ ...source, batch, part: 0 }, scan).outputs;
    const block: InputBlock = { producer: 0, header: output!.header, block: output!.blocks[0]! };
    const keyed = { stage: 1 as StageId, partition: 0 };
    executor.run({ ...keyed, batch, part: 0 }, { kind: 'blocks', blocks: [[block]] });
    for (const place of [source, keyed]) {
      const { kind, bytes } = executor.snapshot(place, 'delta');
      const writer = { term: 1, worker: 0, incarnation: 0 };
      const object = await checkpoints.writeState(writer, { ...place, batch, kind }, bytes);
      const former = kind === 'base' ? [] : chains[place.stage]!.objects;
      chains[place.stage] = { ...place, objects: [...former, object] };
      stateFile = join(folder.path, 'store', 'totals', object.key);
    }
    const structure = planStructure(plan, partitionCounts);
    await chain.commit({ ...checkpointContent(batch, [], null), structure, state: [...chains] });
  }
});

after(() => folder.remove());

function rowOf([user, amount, time]: Row): { user: string | null; amount: bigint; time: number } {
  return { user, amount, time };
}

async function run(...args: readonly string[]): Promise<Ended> {
  return mizzle(['state', ...args, '--store', 'store'], { cwd: folder.path });
}

test('mizzle state lists operators, and gives rows by key or all, with all digits', async () => {
  const [list, listJson, get, several, none, all, earlier] = await Promise.all([
    run('list'),
    run('list', '--json', '--operator', 'aggregate-1'),
    run('get', '--key', 'user=ann'),
    run('get', '--key', 'user=null', '--json'),
    run('get', '--key', 'user=eve'),
    run('export'),
    run('export', '--checkpoint', '2'),
  ]);
  assert.match(list.stdout, /^checkpoint 3 of "totals", micro-batch 1$/m, list.stderr);
  assert.match(list.stdout, /^in +0 +1 +0 +\d+ B/m);
  assert.match(list.stdout, /^aggregate-1 +1 +1 +4 +/m);
  const [aggregate] = jsonRows<Record<string, unknown>>(listJson.stdout);
  assert.deepEqual([aggregate!['rows'], aggregate!['watermarkMs']], [4, 250 - 10_000]);
  assert.match(get.stdout, /^1970\S+\.100Z … 1970\S+\.200Z +ann +9007199254740994$/m);
  assert.match(get.stdout, /^1970\S+\.200Z … 1970\S+\.300Z +ann +5$/m);
  assert.doesNotMatch(get.stdout, /bob/);
  assert.equal(
    several.stdout,
    '{"operator":"aggregate-1","partition":0,"startMs":100,"endMs":200,' +
      '"keys":{"user":null},"values":{"total":4}}\n',
  );
  assert.deepEqual([none.code, none.stdout.includes('no such rows')], [0, true]);
  assert.equal(all.stdout.split('\n').length, 5);
  assert.match(all.stdout, /"keys":\{"user":"ann"\},"values":\{"total":9007199254740994\}\}$/m);
  assert.match(earlier.stdout, /"keys":\{"user":"ann"\},"values":\{"total":9007199254740993\}\}$/m);
});

test('mizzle state tells what has changed between two checkpoints, either way', async () => {
  const [forth, back, newest] = await Promise.all([
    run('diff', '2', '3'),
    run('diff', '3', '2', '--json'),
    run('diff', '--operator', 'aggregate-1'),
  ]);
  const grown = 'user=ann  total=9007199254740993 → 9007199254740994';
  const [head, ...lines] = forth.stdout.trimEnd().split('\n');
  assert.equal(head, 'from checkpoint 2 to 3 of "totals"', forth.stderr);
  assert.equal(lines.pop(), '1 added, 0 removed, 1 changed');
  assert.match(lines[0]!, /^~ aggregate-1 {2}1970\S+\.100Z … /);
  assert.ok(lines[0]!.endsWith(grown), lines[0]);
  assert.match(lines[1]!, /^\+ aggregate-1 {2}1970\S+\.200Z … \S+ {2}user=ann {2}total=5$/);
  assert.equal(newest.stdout, forth.stdout);
  const changes = jsonRows<Record<string, unknown>>(back.stdout);
  assert.deepEqual(
    changes.map(({ change, startMs, after: now }) => [change, startMs, now === null]),
    [
      ['changed', 100, false],
      ['removed', 200, true],
    ],
  );
});

test('mizzle state explains wrong command lines and damaged state', async () => {
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [[], 2, /say what to do[^]*list, get, diff, export/],
    [['lsit'], 2, /could not find "state lsit"/],
    [['get'], 2, /--key is missing/],
    [['get', '--key', 'ann'], 2, /"ann" as --key[^]*NAME=VALUE/],
    [['get', '--key', 'usr=ann'], 2, /"usr" in the keys[^]*did you mean "user"/],
    [['list', '--key', 'user=ann'], 2, /--key for "list"/],
    [['list', '--operator', 'aggregate-2'], 2, /"aggregate-2"[^]*did you mean "aggregate-1"/],
    [['diff', '2'], 2, /two numbers/],
    [['diff', '2', '9'], 1, /checkpoint-not-found[^]*checkpoint 9 of "totals"/],
    [['diff', '--checkpoint', '2'], 2, /--checkpoint for two/],
    [['list', '--pipeline', 'other'], 1, /checkpoint-not-found[^]*"other"/],
  ];
  const ends = await Promise.all(cases.map(([args]) => run(...args)));
  for (const [index, { code, stderr }] of ends.entries()) {
    assert.equal(code, cases[index]![1], stderr);
    assert.match(stderr, cases[index]![2]);
  }
  truncateSync(stateFile, 100);
  const damaged = await run('export', '--checkpoint', '3');
  assert.equal(damaged.code, 1);
  assert.match(damaged.stderr, /checkpoint-damaged[^]*has 100 bytes/);
});
