import assert from 'node:assert/strict';
import { test } from 'node:test';
import { int32, timestamp } from '../../schema/column-type.ts';
import { schema } from '../../schema/schema.ts';
import { sourceContext } from '../source-reading.fixture.ts';
import { generator } from './row-generator.ts';

test('generator: gives every partition its rows when they are due', async () => {
  const ticks = generator({
    schema: schema({ n: int32(), at: timestamp('ms') }),
    eventsPerSecond: 100,
    partitions: 2,
    events: 5,
    rows: (index, dueMs) => ({ n: index, at: dueMs }),
  });
  const context = sourceContext({ startMs: 1000, nowMs: () => 1035 });
  assert.equal(await ticks.source.partitions(context), 2);
  const reader = await ticks.source.open(1, context);
  const rows = [
    { n: 1, at: 1010 },
    { n: 3, at: 1030 },
  ];
  const data = { kind: 'rows', rows };
  assert.deepEqual(reader.take(1), { from: 0, to: 2, ended: true, data });
  const other = await ticks.source.open(0, context);
  assert.deepEqual([other.take(1).to, other.lag().records], [2, 0]);
  await other.close();
  await reader.close();
});
