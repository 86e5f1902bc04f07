// Blocks: what is written is read, equal rows give equal bytes, and no bytes make the decoder
// crash.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StreamError } from '../../base/stream-error.ts';
import type { DataType, RowObject, RowSchema } from '../../schema/data-type.ts';
import { BatchBuilder } from './batch-builder.ts';
import type { NumberColumn } from './batch-builder.ts';
import { decodeBatch, encodeBatch, encodedSize } from './batch-codec.ts';
import { batchToRows, rowsToBatch } from './rows.ts';
import { concat, gather } from './select.ts';

const types: readonly DataType[] = [
  { kind: 'boolean' },
  { kind: 'int32' },
  { kind: 'int64' },
  { kind: 'float64' },
  { kind: 'timestamp', encoding: 'ms' },
  { kind: 'string' },
  { kind: 'json' },
];

function valueOf(type: DataType): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'boolean':
      return fc.boolean();
    case 'int32':
      return fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    case 'int64':
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case 'float64':
      return fc.double();
    case 'timestamp':
      return fc.integer({ min: 0, max: 2 ** 42 });
    case 'string':
      return fc.oneof(fc.string({ unit: 'grapheme', maxLength: 90 }), fc.constant(''));
    case 'json':
      return fc.jsonValue().filter((value) => value !== null);
  }
}

type Sample = { readonly schema: RowSchema; readonly rows: readonly RowObject[] };

const samples: fc.Arbitrary<Sample> = fc
  .array(fc.tuple(fc.constantFrom(...types), fc.boolean()), { maxLength: 6 })
  .chain((columns) => {
    const fields = columns.map(([type, nullable], index) => {
      return { name: `c${index}`, path: [`c${index}`], type, nullable };
    });
    const row = fc.record(
      Object.fromEntries(
        fields.map((field) => {
          const value = valueOf(field.type);
          return [field.name, field.nullable ? fc.option(value) : value];
        }),
      ),
      { noNullPrototype: true },
    );
    const rows = fc.array(row, { maxLength: 40 }) as fc.Arbitrary<RowObject[]>;
    return rows.map((list) => ({ schema: { fields }, rows: list }));
  });

function build(sample: Sample): ReturnType<typeof rowsToBatch> {
  return rowsToBatch(sample.schema, sample.rows, {
    nowMs: 2 ** 42,
    timeAheadMsMax: 1,
    timeField: -1,
    onBad: (bad) => assert.fail(bad.message),
  });
}

const shared = new Uint8Array(new SharedArrayBuffer(1 << 20));

/** Memory with leftovers in it, at an odd place of a larger shared buffer. */
function allocate(bytes: number): Uint8Array {
  return shared.fill(0xa5).subarray(48, 48 + bytes);
}

test('decodeBatch gives the rows that encodeBatch was given', () => {
  fc.assert(
    fc.property(samples, (sample) => {
      const batch = build(sample);
      const block = encodeBatch(batch, allocate);
      assert.equal(block.length, encodedSize(batch));
      const back = decodeBatch(sample.schema, block);
      assert.deepEqual(back, batch);
      assert.deepEqual(normal(batchToRows(back)), normal(sample.rows));
    }),
    { numRuns: 500 },
  );
});

/** JSON has no -0. */
function normal(rows: readonly RowObject[]): unknown {
  const text = (value: unknown): unknown =>
    typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
  return rows.map((row) =>
    Object.entries(row).map(([name, value]) => [name, text(Object.is(value, -0) ? 0 : value)]),
  );
}

test('encodeBatch gives the same bytes for a batch, a used builder and dirty memory', () => {
  fc.assert(
    fc.property(samples, samples, (sample, other) => {
      const batch = build(sample);
      const builder = new BatchBuilder(sample.schema, 1);
      const fill = (): void => {
        const all = gather(
          batch,
          Array.from({ length: batch.rowCount }, (_, index) => index),
        );
        assert.deepEqual(all, batch);
        for (const [index, column] of builder.columns.entries()) {
          const vector = batch.vectors[index]!;
          for (let row = 0; row < batch.rowCount; row++) {
            if (vector.valid?.[row] === 0) column.appendNull();
            else if (vector.kind === 'string' && column.kind === 'string') {
              column.appendSpan(vector.bytes, vector.offsets[row]!, vector.offsets[row + 1]!);
            } else if (vector.kind === 'int64' && column.kind === 'int64') {
              column.appendBigint(vector.values[row]!);
            } else if (vector.kind === 'boolean' && column.kind === 'boolean') {
              column.appendBoolean(vector.values[row] === 1);
            } else if (vector.kind === 'number' && column.kind === 'number') {
              column.appendNumber(vector.values[row]!);
            } else if (vector.kind === 'int32' && column.kind === 'int32') {
              column.appendNumber(vector.values[row]!);
            }
          }
        }
        builder.rowCount += batch.rowCount;
      };
      fill();
      builder.reset();
      fill();
      for (const column of builder.columns) column.appendNull();
      builder.dropOpenRow();
      encodeBatch(build(other), (bytes) => new Uint8Array(bytes).fill(9));
      const first = encodeBatch(batch, allocate).slice();
      const second = encodeBatch(builder, (bytes) => new Uint8Array(bytes).fill(7));
      assert.deepEqual(second, first);
      assert.deepEqual(builder.finish(), batch);
    }),
    { numRuns: 300 },
  );
});

test('encodeBatch writes one NaN whatever its bits were', () => {
  const field = { name: 'x', path: ['x'], type: { kind: 'float64' }, nullable: false } as const;
  const schema = { fields: [field] };
  const odd = new Float64Array(
    new BigUint64Array([0xfff8000000000001n, 0x7ff0000000000001n]).buffer,
  );
  const valid = null;
  const batch = { schema, rowCount: 2, vectors: [{ kind: 'number', values: odd, valid }] } as const;
  const builder = new BatchBuilder(schema);
  for (const value of odd) {
    (builder.columns[0] as NumberColumn).appendNumber(value);
    builder.endRow();
  }
  for (const source of [batch, builder, builder.finish()]) {
    const block = encodeBatch(source, (bytes) => new Uint8Array(bytes));
    const words = new BigUint64Array(block.buffer, 16, 2);
    assert.deepEqual([...words], [0x7ff8000000000000n, 0x7ff8000000000000n]);
  }
});

test('concat and gather give back the rows they were given', () => {
  fc.assert(
    fc.property(samples, (sample) => {
      const batch = build(sample);
      const even = Array.from({ length: batch.rowCount }, (_, index) => index).filter(
        (index) => index % 2 === 0,
      );
      const twice = concat(sample.schema, [batch, gather(batch, even)]);
      const rows = batchToRows(batch);
      assert.deepEqual(batchToRows(twice), [...rows, ...even.map((index) => rows[index])]);
    }),
  );
});

test('decodeBatch refuses or reads any bytes, and never throws anything but a StreamError', () => {
  fc.assert(
    fc.property(
      samples,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
      fc.integer({ min: -16, max: 16 }),
      (sample, edits, stretch) => {
        const batch = build(sample);
        const block = encodeBatch(batch, (bytes) => new Uint8Array(bytes));
        const bytes = new Uint8Array(Math.max(0, block.length + stretch));
        bytes.set(block.subarray(0, bytes.length));
        for (const [at, value] of edits) if (bytes.length > 0) bytes[at % bytes.length] = value;
        readOrRefuse(sample.schema, bytes);
        readOrRefuse(sample.schema, bytes.subarray(1));
      },
    ),
    { numRuns: 3000 },
  );
});

test('decodeBatch refuses or reads bytes that never were a block', () => {
  fc.assert(
    fc.property(samples, fc.uint8Array({ maxLength: 200 }), (sample, noise) => {
      readOrRefuse(sample.schema, new Uint8Array(noise));
    }),
    { numRuns: 2000 },
  );
});

function readOrRefuse(schema: RowSchema, bytes: Uint8Array): void {
  try {
    const batch = decodeBatch(schema, bytes);
    for (const vector of batch.vectors) {
      assert.equal(
        vector.kind === 'string' ? vector.offsets.length - 1 : vector.values.length,
        batch.rowCount,
      );
      if (vector.kind === 'string') {
        assert.equal(vector.offsets[batch.rowCount], vector.bytes.length);
      }
    }
  } catch (error) {
    assert.ok(error instanceof StreamError && error.code === 'malformed-block', String(error));
  }
}
