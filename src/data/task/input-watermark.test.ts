import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ColumnReader } from '../snapshot/column-reader.ts';
import { ColumnWriter } from '../snapshot/column-writer.ts';
import { InputWatermark } from './input-watermark.ts';
import type { InputBlock } from './task.ts';

const header = fc.record({
  watermarkMs: fc.constantFrom(-Infinity, 10, 20, 30, Infinity),
  idle: fc.boolean(),
  batchTimeMs: fc.constant(0),
  ranges: fc.constant([]),
});

const producerCounts = [2, 1];

/** The headers of a micro-batch, by input; some producers are silent. */
const blocks: fc.Arbitrary<readonly (readonly InputBlock[])[]> = fc
  .tuple(...producerCounts.map((count) => fc.array(fc.option(header), { maxLength: count })))
  .map((inputs) =>
    inputs.map((headers) =>
      headers.flatMap((each, producer) =>
        each === null ? [] : [{ producer, header: each, block: null }],
      ),
    ),
  );

/** By input exchange: all of so many producers feed the partition. */
function fed(counts: readonly number[]): readonly { first: number; count: number }[] {
  return counts.map((count) => ({ first: 0, count }));
}

function copyOf(
  watermark: InputWatermark,
  counts: readonly number[],
  sameInputs = true,
): InputWatermark {
  const columns = new ColumnWriter();
  watermark.save(columns);
  const bytes = new Uint8Array(columns.byteLength);
  columns.copyTo(bytes, 0);
  const copy = new InputWatermark(fed(counts));
  copy.load(new ColumnReader(bytes, 0, bytes.length));
  copy.settle(sameInputs);
  return copy;
}

function shown({ watermarkMs, idle, boundMs }: InputWatermark): readonly unknown[] {
  return [watermarkMs, idle, boundMs];
}

test('InputWatermark goes on from its columns as if it had not been away', () => {
  fc.assert(
    fc.property(fc.array(blocks), fc.array(blocks), (before, after) => {
      const watermark = new InputWatermark(fed(producerCounts));
      for (const each of before) watermark.advance(each);
      const copy = copyOf(watermark, producerCounts);
      assert.deepEqual(shown(copy), shown(watermark));
      for (const each of after) {
        watermark.advance(each);
        copy.advance(each);
        assert.deepEqual(shown(copy), shown(watermark));
      }
    }),
  );
});

test('InputWatermark waits for producers that have come, and for all where some have gone', () => {
  const watermark = new InputWatermark(fed([1]));
  const said = (producer: number, watermarkMs: number): InputBlock => {
    return {
      producer,
      header: { watermarkMs, idle: false, batchTimeMs: 0 },
      block: null,
    };
  };
  watermark.advance([[said(0, 50)]]);
  const copy = copyOf(watermark, [2]);
  copy.advance([[said(0, 90)]]);
  assert.equal(copy.watermarkMs, 50);
  copy.advance([[said(1, 70)]]);
  assert.equal(copy.watermarkMs, 70);
  const fewer = copyOf(copy, [1]);
  assert.equal(fewer.watermarkMs, 70);
  fewer.advance([[said(0, 95)]]);
  assert.equal(fewer.watermarkMs, 95);
  const others = copyOf(copy, [2], false);
  others.advance([[said(0, 95)]]);
  assert.equal(others.watermarkMs, 70);
  others.advance([[said(1, 80)]]);
  assert.equal(others.watermarkMs, 80);
});
