// Real runs of changed pipelines over the store of a version that was stopped: it has left a
// checkpoint and nothing behind it. What it had read is read no more, and counted once.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { BatchNumber } from '../../control/protocol/ids.ts';
import type { PartitionSnapshot } from '../../control/protocol/messages.ts';
import { allocateBytes, inputOf } from '../../data/task/run-plan.fixture.ts';
import { TaskExecutor } from '../../data/task/task-executor.ts';
import type { ExchangeOutput } from '../../data/task/task.ts';
import {
  collect,
  count,
  float64,
  memory,
  pipeline,
  schema,
  session,
  string,
  sum,
  timestamp,
  tumbling,
} from '../../index.ts';
import type { Pipeline, RunOptions } from '../../index.ts';
import type { SourceId } from '../../plan/logical-plan.ts';
import { partitionCountsOf } from '../../plan/partition-counts.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import type { RowObject } from '../../schema/data-type.ts';
import { CheckpointStore } from '../storage/checkpoint-store.ts';
import { acquireLease } from '../storage/lease.ts';
import { openStore } from '../storage/open-store.ts';
import { checkpointContent } from './driver-storage.ts';
import type { JobConfig } from './job-config.ts';

const folder = mkdtempSync(join(tmpdir(), 'mizzle-changed-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let stores = 0;

const Click = schema({ user: string(), price: float64(), at: timestamp('ms') });
type Row = { readonly user: string; readonly price: number; readonly at: number };

const startMs = 1_700_000_000_000;
const sourcePartitions = 3;
const perBatch = 20;
const perPartition = 100;

/** Prices are powers of two times the row's number, so that a sum shows what is missing. */
const rows: readonly (readonly Row[])[] = Array.from({ length: sourcePartitions }, (_, partition) =>
  Array.from({ length: perPartition }, (_, index) => ({
    user: `u${(index * 7 + partition) % 23}`,
    price: index * sourcePartitions + partition,
    at: startMs + index * 10,
  })),
);

function clicks(name?: string) {
  const source = memory({ partitions: rows }, { schema: Click, recordsPerBatch: perBatch });
  return pipeline('shop').from(source, { time: 'at', ...(name === undefined ? {} : { name }) });
}

type Clicks = ReturnType<typeof clicks>;

const hour = tumbling('1h');

function totals(from: Clicks, window = hour) {
  return from
    .groupBy('user')
    .window(window)
    .aggregate((e) => ({ clicks: count(), spent: sum(e.price) }));
}

/** By user: clicks and what they come to, of the rows of each partition from `first` on. */
function truth(first = 0): readonly string[] {
  const users = new Map<string, { clicks: number; spent: number }>();
  for (const { user, price } of rows.flatMap((part) => part.slice(first))) {
    const { clicks: seen, spent } = users.get(user) ?? { clicks: 0, spent: 0 };
    users.set(user, { clicks: seen + 1, spent: spent + price });
  }
  return [...users].map(([user, all]) => lineOf({ user, ...all })).toSorted();
}

function lineOf({ user, clicks: seen, spent }: RowObject): string {
  return `${String(user)}: ${String(seen)}, ${String(spent)}`;
}

/** Runs micro-batches 0 to 2 of a version by hand, and keeps what a run that stops there keeps. */
async function stopped(version: Pipeline, partitions = 8): Promise<string> {
  const address = join(folder, String(stores++));
  const logical = version.plan();
  const counts = new Map<SourceId, number>(logical.sources.map(({ id }) => [id, sourcePartitions]));
  const plan = planPhysical(logical, { partitions, sourcePartitions: counts });
  const partitionCounts = partitionCountsOf(plan, () => sourcePartitions);
  const bindings = version.bindings();
  const allocate = allocateBytes;
  const executor = new TaskExecutor({ plan, bindings, partitionCounts, allocate });
  const batchCount = 3;
  for (let batch = 0; batch < batchCount; batch++) {
    const sent = new Map<number, ExchangeOutput[]>();
    for (const stage of plan.stages) {
      for (let partition = 0; partition < partitionCounts[stage.id]!; partition++) {
        const from = batch * perBatch;
        const data = { kind: 'rows', rows: rows[partition]?.slice(from, from + perBatch) ?? [] };
        const chunk = { from, to: from + perBatch, ended: false, data } as const;
        const input =
          stage.input.kind === 'scan'
            ? ({ kind: 'scan', chunk, triggerMs: startMs + batch } as const)
            : inputOf(plan, stage, { partition, batch: noRows, sent });
        const task = { stage: stage.id, partition, batch, part: 0 };
        const { outputs, sinks } = executor.run(task, input as never);
        assert.equal(sinks.length, 0, 'nothing is visible yet');
        stage.outputs.forEach((exchange, at) => {
          sent.set(exchange, [...(sent.get(exchange) ?? []), outputs[at]!]);
        });
      }
    }
  }
  const store = await openStore(address);
  const lease = await acquireLease(store, { pipeline: 'shop', holder: 'v1', durationMs: 1000 });
  const nowMs = (): number => startMs;
  const checkpoints = new CheckpointStore(store, { pipeline: 'shop', nowMs, warn: () => {} });
  const manifests = await checkpoints.open({ term: lease.term, holder: 'v1' });
  const snapshots: PartitionSnapshot[] = [];
  const batch = (batchCount - 1) as BatchNumber;
  for (const { id: stage } of plan.stages) {
    for (let partition = 0; partition < partitionCounts[stage]!; partition++) {
      const place = { stage, partition };
      const { bytes } = executor.snapshot(place, 'base');
      const writer = { term: lease.term, worker: 0, incarnation: 1 };
      const name = { ...place, batch, kind: 'base' } as const;
      const object = await checkpoints.writeState(writer, name, bytes);
      const range = executor.rangeOf(place);
      snapshots.push({ ...place, snapshot: { objects: [object] }, range });
    }
  }
  const config = { history: 'h', startMs, partitionCounts, layouts: {}, ledgers: {} };
  const job = { config: config as unknown as JobConfig, plan };
  await manifests.commit(checkpointContent(job, { batch, snapshots }));
  await lease.release();
  return address;
}

const noRows = { batchTimeMs: 0, sources: new Map() };
/** Rows of each partition that the stopped version has read. */
const read = 3 * perBatch;

async function goesOn(store: string, version: Pipeline, options: RunOptions = {}): Promise<void> {
  const job = await version.run({ workers: 0, interval: 0, ...options, checkpoints: { store } });
  await job.done;
}

function linesOf(sink: { readonly rows: readonly RowObject[] }): readonly string[] {
  return sink.rows.map(lineOf).toSorted();
}

test('a run goes on from a checkpoint with nothing behind it', async () => {
  const store = await stopped(totals(clicks()).to(collect()));
  const out = collect();
  await goesOn(store, totals(clicks()).to(out));
  assert.deepEqual(linesOf(out), truth());
});

test('keyed state goes to another number of partitions, windows and sessions', async () => {
  for (const [what, window] of Object.entries({ hour, session: session('1h') })) {
    for (const partitions of [1, 3, 13]) {
      const store = await stopped(totals(clicks(), window).to(collect()));
      const out = collect();
      await goesOn(store, totals(clicks(), window).to(out), { partitions });
      assert.deepEqual(linesOf(out), truth(), `${what}, ${partitions}`);
    }
  }
});

test('everything gets a name, other partitions, and more in front of it', async () => {
  const store = await stopped(totals(clicks()).to(collect()));
  const from = clicks('clicks');
  const raw = collect();
  const [out, users] = [collect(), collect()];
  const version = from
    .to(raw, { name: 'raw' })
    .with(
      from
        .groupBy('user')
        .window(tumbling('2h'))
        .aggregate((e) => ({ clicks: count(), spent: sum(e.price) }))
        .named('users')
        .to(users, { name: 'users-out' }),
    )
    .with(
      totals(from.filter((e) => e.price.ge(0)))
        .named('totals')
        .to(out, { name: 'totals-out' }),
    );
  await goesOn(store, version, { partitions: 5 });
  assert.deepEqual(linesOf(out), truth());
  // What is new begins behind the checkpoint.
  assert.deepEqual(linesOf(users), truth(read));
  assert.equal(raw.rows.length, sourcePartitions * (perPartition - read));
});

test('a version that is refused changes nothing for the next one', async () => {
  const store = await stopped(totals(clicks()).to(collect()));
  const refused = clicks()
    .groupBy('user')
    .window(hour)
    .aggregate(() => ({ clicks: count() }));
  await assert.rejects(goesOn(store, refused.to(collect())), {
    code: 'checkpoint-incompatible',
    message:
      'could not go on from checkpoint 2 of "shop": operator "aggregate#0" had the aggregate ' +
      'spent = sum(price: float64): float64, and has it no more',
  });
  const out = collect();
  await goesOn(store, totals(clicks()).to(out), { partitions: 2 });
  assert.deepEqual(linesOf(out), truth());
});

test('what has no place any more is dropped on request, and begins empty', async () => {
  const store = await stopped(totals(clicks()).to(collect()));
  const out = collect();
  const version = totals(clicks(), tumbling('2h')).to(out);
  const checkpoints = { store, allowDroppedState: true };
  const job = await version.run({ workers: 0, interval: 0, checkpoints });
  await job.done;
  assert.deepEqual(linesOf(out), truth(read));
});

test('a name that reads something else begins at its start, on request', async () => {
  const store = await stopped(totals(clicks('clicks')).to(collect()));
  const other = memory(rows[0]!, { schema: Click });
  const out = collect();
  const version = totals(pipeline('shop').from(other, { time: 'at', name: 'clicks' })).to(out);
  await assert.rejects(goesOn(store, version), {
    code: 'checkpoint-incompatible',
    message:
      'could not go on from checkpoint 2 of "shop": source "clicks" read memory 300 rows, ' +
      'and reads memory 100 rows now',
  });
  const checkpoints = { store, allowDroppedState: true };
  const job = await version.run({ workers: 0, interval: 0, checkpoints });
  await job.done;
  const users = out.rows.reduce((all, row) => all + Number(row['clicks']), 0);
  assert.equal(users, perPartition);
});

test('a source that is new begins at its start, beside those that go on', async () => {
  const store = await stopped(totals(clicks('clicks')).to(collect()));
  const more = Array.from({ length: 50 }, (_, index) => {
    return { user: 'new', price: index, at: startMs + index };
  });
  const source = memory(more, { schema: Click, recordsPerBatch: 7 });
  const added = pipeline('shop').from(source, { time: 'at', name: 'added' });
  const out = collect();
  await goesOn(store, totals(added.union(clicks('clicks'))).to(out));
  assert.deepEqual(linesOf(out), [...truth(), 'new: 50, 1225'].toSorted());
});
