// Shapes beyond one shuffle, through the builder: what plans say, and what is a mistake.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamError } from '../base/stream-error.ts';
import { explainPhysical } from '../plan/explain.ts';
import { planPhysical } from '../plan/plan-physical.ts';
import type { SourceId } from '../plan/logical-plan.ts';
import { literal } from '../expr/expression.ts';
import { count, sum } from './aggregates.ts';
import type { Pipeline } from './pipeline.ts';
import { pipeline } from './pipeline.ts';
import { AdEvent, stubSink, stubSource } from './stubs.fixture.ts';
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
