// Windowed aggregates against DuckDB, which gets all events in one table and works out in SQL what
// was late, from the watermarks that the events themselves imply.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { SourceId } from '../../plan/logical-plan.ts';
import type { WindowSpec } from '../../plan/logical-plan.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import type { RowObject } from '../../schema/data-type.ts';
import { aggregateCall, column, PlanBuilder, schemaOf } from '../../testing/plan-builder.ts';
import type { ReferenceBatch } from '../../testing/reference.ts';
import { rowsDifference } from '../../testing/rows-difference.ts';
import { runPlan } from './run-plan.fixture.ts';

const schema = schemaOf({ key: 'string?', price: 'float64?', amount: 'int64?', time: 'timestamp' });
const delayMs = 20;
const partitions = 3;
const batchCount = 40;

type Event = {
  readonly batch: number;
  readonly partition: number;
  readonly key: string | null;
  readonly price: number | null;
  readonly amount: bigint | null;
  readonly time: number;
};

function randomEvents(seed: number): Event[] {
  let state = seed;
  const pick = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return ((state ^ (state >>> 15)) >>> 0) % below;
  };
  const events: Event[] = [];
  for (let batch = 0; batch < batchCount; batch++) {
    for (let partition = 0; partition < partitions; partition++) {
      for (let count = pick(30); count > 0; count--) {
        events.push({
          batch,
          partition,
          key: pick(9) === 0 ? null : `k${pick(6)}`,
          price: pick(7) === 0 ? null : (pick(4000) - 2000) / 8,
          amount: pick(7) === 0 ? null : BigInt(pick(1000)) - 500n,
          // Most are in order, some out of it, a few far too late.
          time: 10_000 + batch * 10 + pick(10) - (pick(12) === 0 ? pick(120) : pick(25)),
        });
      }
    }
  }
  return events;
}

function ours(events: readonly Event[], window: WindowSpec): { rows: RowObject[]; late: number } {
  const builder = new PlanBuilder('differential');
  const source = builder.source('in', schema, { time: 'time', watermark: { delayMs } });
  const price = [column('price', 'float64?')];
  const amount = [column('amount', 'int64?')];
  const result = builder.aggregate(source, {
    keys: { key: column('key', 'string?') },
    window,
    time: column('time', 'timestamp'),
    aggregates: [
      aggregateCall('rows', 'count'),
      aggregateCall('prices', 'count', { args: price }),
      aggregateCall('total', 'sum', { args: price, type: 'float64?' }),
      aggregateCall('amounts', 'sum', { args: amount, type: 'int64?' }),
      aggregateCall('mean', 'avg', { args: price, type: 'float64?' }),
      aggregateCall('least', 'min', { args: price, type: 'float64?' }),
      aggregateCall('most', 'max', { args: amount, type: 'int64?' }),
      aggregateCall('distinct', 'count-distinct', { args: amount }),
    ],
  });
  builder.sink(result, 'out');
  const batches = Array.from({ length: batchCount }, (_, batch): ReferenceBatch => {
    const given = Array.from({ length: partitions }, (__, partition) => ({
      ended: batch === batchCount - 1,
      rows: events
        .filter((event) => event.batch === batch && event.partition === partition)
        .map(({ key, price: of, amount: many, time }) => ({ key, price: of, amount: many, time })),
    }));
    return { batchTimeMs: 20_000 + batch, sources: new Map([['in' as SourceId, given]]) };
  });
  const bindings = { functions: new Map(), tables: new Map() };
  const plan = planPhysical(builder.plan(), { partitions: 2 });
  const output = runPlan({ plan, bindings, batches });
  return { rows: [...output.sinks.values()].flat(2), late: output.late };
}

function literal(value: string | number | bigint | null): string {
  return value === null ? 'NULL' : typeof value === 'string' ? `'${value}'` : String(value);
}

/** The watermark before each micro-batch, then the windows that each event still finds open. */
function windowsSql(sizeMs: number, hopMs: number): string {
  return `
    WITH seen AS (
      SELECT b.batch, p.partition,
        (SELECT max(e.time) - ${delayMs} FROM events e
         WHERE e.partition = p.partition AND e.batch < b.batch) AS watermark
      FROM range(${batchCount}) b(batch), range(${partitions}) p(partition)
    ), marks AS (
      SELECT batch, CASE WHEN count(watermark) = ${partitions} THEN min(watermark) END AS before
      FROM seen GROUP BY batch
    ), spans AS (
      SELECT e.*, m.before, w.n * ${hopMs} AS start, w.n * ${hopMs} + ${sizeMs} AS "end"
      FROM events e JOIN marks m USING (batch),
        range(0, 20000 // ${hopMs}) w(n)
      WHERE w.n * ${hopMs} <= e.time AND e.time < w.n * ${hopMs} + ${sizeMs}
    )`;
}

async function theirs(
  connection: DuckDBConnection,
  events: readonly Event[],
  { sizeMs, hopMs }: { readonly sizeMs: number; readonly hopMs: number },
): Promise<{ rows: RowObject[]; late: number }> {
  await connection.run(
    'CREATE OR REPLACE TABLE events (id INT, batch INT, partition INT, key TEXT, ' +
      'price DOUBLE, amount BIGINT, time BIGINT)',
  );
  const values = events.map(({ batch, partition, key, price, amount, time }, id) => {
    const all = [id, batch, partition, key, price, amount, time];
    return `(${all.map(literal).join(', ')})`;
  });
  await connection.run(`INSERT INTO events VALUES ${values.join(', ')}`);
  const result = await connection.runAndReadAll(`${windowsSql(sizeMs, hopMs)}
    SELECT key, start::DOUBLE AS "windowStart", "end"::DOUBLE AS "windowEnd",
      count(*)::DOUBLE AS "rows", count(price)::DOUBLE AS prices, sum(price) AS total,
      sum(amount)::BIGINT AS amounts, avg(price) AS mean, min(price) AS least,
      max(amount) AS most, count(DISTINCT amount)::DOUBLE AS "distinct"
    FROM spans WHERE before IS NULL OR "end" > before GROUP BY ALL`);
  const late = await connection.runAndReadAll(`${windowsSql(sizeMs, hopMs)}
    SELECT count(*)::DOUBLE AS late FROM (
      SELECT id FROM spans GROUP BY id, before HAVING max("end") <= before)`);
  return {
    rows: result.getRowObjects() as RowObject[],
    late: Number(late.getRowObjects()[0]!['late']),
  };
}

for (const [name, window] of [
  ['tumbling', { kind: 'tumbling', sizeMs: 50, offsetMs: 0 }],
  ['hopping', { kind: 'hopping', sizeMs: 60, hopMs: 20, offsetMs: 0 }],
  ['uneven hopping', { kind: 'hopping', sizeMs: 50, hopMs: 20, offsetMs: 0 }],
] as const) {
  test(`${name} windows give what DuckDB gives, with disorder and late events`, async () => {
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    let late = 0;
    for (let seed = 1; seed <= 5; seed++) {
      const events = randomEvents(seed);
      const hopMs = window.kind === 'hopping' ? window.hopMs : window.sizeMs;
      const expected = await theirs(connection, events, { sizeMs: window.sizeMs, hopMs });
      const actual = ours(events, window);
      assert.equal(rowsDifference(expected.rows, actual.rows), null, `seed ${seed}`);
      assert.equal(actual.late, expected.late, `late events of seed ${seed}`);
      late += actual.late;
    }
    assert.ok(late > 20, 'the streams have late events');
    connection.closeSync();
    instance.closeSync();
  });
}
