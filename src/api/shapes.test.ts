// Shapes beyond one shuffle, through the builder: what plans say, and what is a mistake.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamError } from '../base/stream-error.ts';
import { float64, string } from '../schema/column-type.ts';
import { schema } from '../schema/schema.ts';
import type { StringType } from '../schema/value-type.ts';
import { explainPhysical } from '../plan/explain.ts';
import { planPhysical } from '../plan/plan-physical.ts';
import type { SourceId } from '../plan/logical-plan.ts';
import { literal } from '../expr/expression.ts';
import { count, sum } from './aggregates.ts';
import type { Pipeline } from './pipeline.ts';
import { pipeline } from './pipeline.ts';
import { AdEvent, stubSink, stubSource } from './stubs.fixture.ts';
import type { Table } from './table.ts';
import { session, tumbling } from './windows.ts';

const events = pipeline('shapes').from(stubSource(AdEvent), { time: 'event_time' });
const perSecond = events.window(tumbling('1s'));
const total = () => ({ spent: sum(literal(1.5)) });

/** What `explain` says of a job whose sources have so many partitions. */
function explained(job: Pipeline, partitions: number): string {
  const plan = job.plan();
  const sourcePartitions = new Map<SourceId, number>(
    plan.sources.map(({ id }) => [id, partitions]),
  );
  return explainPhysical(planPhysical(plan, { partitions: 8, sourcePartitions }));
}

function mistakesOf(job: Pipeline): string {
  try {
    job.plan();
  } catch (error) {
    assert(error instanceof StreamError);
    return error.message;
  }
  return '';
}

test('an aggregate without keys is merged in a tree from 33 partitions on, or as told', () => {
  const merges = (job: Pipeline, partitions: number): number =>
    explained(job, partitions).split('merge partials').length - 1;
  const byDefault = perSecond.aggregate(total).to(stubSink());
  assert.deepEqual(
    [1, 32, 33, 1024, 1025].map((partitions) => merges(byDefault, partitions)),
    [0, 0, 1, 1, 2],
  );
  const byTwo = perSecond.aggregate(total, { fanIn: 2 }).to(stubSink());
  assert.deepEqual(
    [2, 3, 4, 5, 8, 9].map((partitions) => merges(byTwo, partitions)),
    [0, 1, 1, 2, 2, 3],
  );
});

test('an aggregate with keys, of sessions or with late rows of its own never is', () => {
  const flat = [
    events.groupBy('ad_id').window(tumbling('1s')).aggregate(total),
    events.window(session('1s')).aggregate(total, { fanIn: 2 }),
    perSecond.aggregate(total, { fanIn: 2 }).lateTo(stubSink('late')),
  ].map((rows) => explained(rows.to(stubSink()), 100));
  for (const text of flat) assert.match(text, /^physical plan of "shapes": 2 stages, 1 exchange/);
  assert.match(flat[1] ?? '', /; all in one place, since only whole sessions tell which/);
  assert.match(flat[2] ?? '', /; all in one place, since late rows must be whole/);
});

test('plan reports a fan-in that is none, and one where there are keys', () => {
  const wrong = perSecond.aggregate(() => ({ n: count() }), { fanIn: 1 }).to(stubSink());
  assert.match(mistakesOf(wrong), /cannot merge 1 at a time\n +hint: give a whole number from 2/);
  const tree = { fanIn: 8 } as object;
  const keyed = events.groupBy('ad_id').aggregate(() => ({ n: count() }), tree);
  assert.match(mistakesOf(keyed.to(stubSink())), /a fan-in is for aggregates without keys/);
});

const Rate = schema({ code: string(), rate: float64(), note: string() });
type AdColumns = { readonly ad_id: StringType };
const rates = pipeline('shapes').from(stubSource(Rate), { name: 'rates' });

test('a broadcast join keeps the joined rows in their partition', () => {
  const joined = events.join(rates.broadcast(), { on: { ad_id: 'code' }, columns: ['rate'] });
  const text = explained(joined.to(stubSink()), 5);
  assert.match(text, /stage 2, as many partitions as the source: from exchange 0, 1/);
  assert.match(text, /inner join the latest broadcast row on ad_id = code, adds rate/);
  assert.match(text, /exchange 0, stage 0 → 2: rows from partition to partition: /);
  assert.match(text, /exchange 1, stage 1 → 2: rows to all partitions: code, rate\n/);
  assert.match(text, /continuous mode the order of arrival may decide broadcast-join#0: which row/);
});

test('a broadcast join behind a union has the partitions of its largest input', () => {
  const other = pipeline('shapes').from(stubSource(AdEvent), { time: 'event_time', name: 'other' });
  const both = events.union(other).join(rates.broadcast(), { on: { ad_id: 'code' } });
  const text = explained(both.to(stubSink()), 5);
  assert.match(text, /as many partitions as the largest of its inputs: from exchange 0, 1, 2/);
  const twice = events.union(events.filter((e) => e.seen));
  const same = twice.join(rates.broadcast(), { on: { ad_id: 'code' } });
  assert.match(
    explained(same.to(stubSink()), 5),
    /as many partitions as the source: from exchange/,
  );
});

test('a stream may be joined with what it broadcasts itself', () => {
  const own = events.join(events.broadcast(), {
    on: { ad_id: 'ad_id' },
    columns: { last: 'seen' },
  });
  const text = explained(own.select('ad_id', 'last').to(stubSink()), 5);
  assert.match(text, /exchange 0, stage 0 → 1: rows from partition to partition: ad_id/);
  assert.match(text, /exchange 1, stage 0 → 1: rows to all partitions: ad_id, seen/);
});

test('a join brings along the outputs of the stream that it is joined with', () => {
  const stored = rates.to(stubSink('archive'));
  const latest = stored.from(stubSource(Rate), { name: 'more' }).broadcast();
  const joined = events.join(latest, { on: { ad_id: 'code' } }).to(stubSink());
  assert.deepEqual(
    joined.plan().sinks.map(({ description }) => description),
    ['stub archive', 'stub out'],
  );
});

test('plan reports what a broadcast join lacks, and a stream that is not broadcast', () => {
  const on = { ad_id: 'key' } as object;
  const wrong = events.join(rates.broadcast(), { on });
  assert.match(mistakesOf(wrong.to(stubSink())), /the broadcast stream has no column "key"/);
  const taken = events.join(events.broadcast(), { on: { ad_id: 'ad_id' } });
  assert.match(
    mistakesOf(taken.to(stubSink())),
    /already has a column "price"\n +hint: rename it: columns: \{ latest_price: 'price' \}/,
  );
  const plain = events.join(rates as unknown as Table<AdColumns>, { on: { ad_id: 'ad_id' } });
  assert.match(
    mistakesOf(plain.to(stubSink())),
    /this is no table\n +hint: .*stream\.broadcast\(\)/,
  );
  const upstream = rates.filter((e) => (e as unknown as { none: typeof e.code }).none.eq('x'));
  const after = events.join(upstream.broadcast(), { on: { ad_id: 'code' } });
  assert.match(mistakesOf(after.to(stubSink())), /1 mistake\n.*there is no column "none"/);
});
