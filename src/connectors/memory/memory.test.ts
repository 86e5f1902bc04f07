import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Batch } from '../../data/columnar/batch.ts';
import type { RowSchema } from '../../schema/data-type.ts';
import { int32 } from '../../schema/column-type.ts';
import { schema as rowSchema } from '../../schema/schema.ts';
import { readAll, sourceContext, textOf } from '../source-reading.fixture.ts';
import { rowsAsBatch, sinkContext } from '../sink-writing.fixture.ts';
import { CollectSink, ForEachSink } from './collect.ts';
import { MemoryBytesSource } from './memory-bytes.ts';
import { memory, MemoryRowsSource } from './memory-rows.ts';

const schema: RowSchema = {
  fields: [{ name: 'n', path: ['n'], type: { kind: 'float64' }, nullable: false }],
};
const context = { ...sinkContext(schema), nowMs: () => 5 };

function batchOf(...values: number[]): Batch {
  return rowsAsBatch(
    schema,
    values.map((n) => ({ n })),
  );
}

test('memory: gives each partition its rows in portions', async () => {
  const source = new MemoryRowsSource([[{ n: 1 }, { n: 2 }, { n: 3 }], []], 2);
  assert.equal(await source.partitions(), 2);
  const seen: unknown[] = [];
  const reader = await source.open(0, sourceContext());
  await readAll(
    reader,
    () => 1,
    ({ from, to, ended, data }) => {
      seen.push([from, to, ended, data.kind === 'rows' ? data.rows : null]);
    },
  );
  assert.deepEqual(seen, [
    [0, 2, false, [{ n: 1 }, { n: 2 }]],
    [2, 3, true, [{ n: 3 }]],
  ]);
  const empty = (await source.open(1, sourceContext())).take(1);
  assert.deepEqual(empty, { from: 0, to: 0, ended: true, data: { kind: 'none' } });
});

test('memory: no partitions are an empty one', async () => {
  const { source } = memory({ partitions: [] }, { schema: rowSchema({ n: int32() }) });
  assert.equal(await source.partitions(sourceContext()), 1);
});

test('memoryBytes: partitions get their records as often as asked, uncopied', async () => {
  const arbitrary = fc.record({
    records: fc.array(fc.stringMatching(/^[a-z]{0,9}$/), { maxLength: 30 }),
    partitions: fc.integer({ min: 1, max: 5 }),
    times: fc.integer({ min: 1, max: 3 }),
    bytesMax: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
  });
  await fc.assert(
    fc.asyncProperty(arbitrary, async ({ records, partitions, times, bytesMax }) => {
      const ring = new TextEncoder().encode(records.map((record) => `${record}\n`).join(''));
      const source = new MemoryBytesSource({ ring, partitions, times });
      const seen: string[] = [];
      for (let partition = 0; partition < partitions; partition++) {
        const reader = await source.open(partition, sourceContext());
        let takes = 0;
        await readAll(
          reader,
          () => bytesMax[takes++ % bytesMax.length],
          (chunk) => {
            seen.push(...textOf(chunk));
            if (chunk.data.kind !== 'bytes') return;
            for (const piece of chunk.data.pieces) assert.equal(piece.bytes.buffer, ring.buffer);
          },
        );
      }
      const expected = Array.from({ length: times }, () => records).flat();
      assert.deepEqual(seen.sort(), expected.sort());
    }),
  );
});

test('memoryBytes: refuses a ring that ends within a record', async () => {
  const source = new MemoryBytesSource({ ring: () => new Uint8Array([65]) });
  await assert.rejects(source.open(0, sourceContext()), { code: 'ring-truncated' });
});

test('collect: keeps rows and micro-batches and starts empty in a new run', async () => {
  const sink = new CollectSink<{ n: number }>();
  await sink.prepare(context);
  const writer = await sink.open(3, context);
  await writer.commit({ batch: 7, rows: batchOf(1, 2), watermarkMs: 9 });
  assert.deepEqual(sink.rows, [{ n: 1 }, { n: 2 }]);
  const [batch] = sink.batches;
  assert.deepEqual(
    [batch.batch, batch.partition, batch.watermarkMs, batch.visibleAtMs],
    [7, 3, 9, 5],
  );
  await sink.prepare(context);
  assert.equal(sink.rows.length, 0);
});

test('collect: can be iterated while the job runs', async () => {
  const sink = new CollectSink<{ n: number }>();
  await sink.prepare(context);
  const seen: number[] = [];
  const reading = (async () => {
    for await (const row of sink) seen.push(row.n);
  })();
  const writer = await sink.open(0, context);
  await writer.commit({ batch: 1, rows: batchOf(1), watermarkMs: 0 });
  await writer.commit({ batch: 2, rows: batchOf(2, 3), watermarkMs: 0 });
  await sink.finish();
  await reading;
  assert.deepEqual(seen, [1, 2, 3]);
});

test('forEach: calls the function in order and awaits its promises', async () => {
  const seen: string[] = [];
  const sink = new ForEachSink<{ n: number }>(async (row, { batch }) => {
    await Promise.resolve();
    seen.push(`${batch}:${row.n}`);
  });
  const writer = await sink.open(0, context);
  await writer.commit({ batch: 1, rows: batchOf(1, 2), watermarkMs: 0 });
  assert.deepEqual(seen, ['1:1', '1:2']);
});
