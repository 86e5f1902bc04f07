import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { batchToRows, rowsToBatch } from '../data/columnar/rows.ts';
import type { Batch } from '../data/columnar/batch.ts';
import type { DataType, Field, RowSchema } from '../schema/data-type.ts';
import { ByteWriter } from './byte-writer.ts';
import { RowEncoder } from './row-encoder.ts';
import type { TextFormat } from './row-encoder.ts';

const types: readonly DataType[] = [
  { kind: 'boolean' },
  { kind: 'int32' },
  { kind: 'int64' },
  { kind: 'float64' },
  { kind: 'timestamp', encoding: 'ms' },
  { kind: 'string' },
  { kind: 'json' },
];
const schema: RowSchema = {
  fields: types.map((type): Field => {
    const name = `"${type.kind}" é`;
    return { name, path: [name], type, nullable: true };
  }),
};

const nullable = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.option(value, { nil: null });
const row = fc
  .tuple(
    nullable(fc.boolean()),
    nullable(fc.integer()),
    nullable(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    nullable(fc.double()),
    nullable(fc.integer({ min: 0, max: 8.64e15 })),
    nullable(fc.string({ unit: 'binary' })),
    nullable(fc.jsonValue()),
  )
  .map((values) => Object.fromEntries(schema.fields.map(({ name }, i) => [name, values[i]])));

function batchOf(rows: readonly object[]): Batch {
  const check = { nowMs: 0, timeAheadMsMax: Infinity, timeField: -1, onBad: () => assert.fail() };
  return rowsToBatch(schema, rows, check);
}

function encode(batch: Batch, format: Partial<TextFormat> = {}): string {
  const whole = { kind: 'jsonl', timestamps: 'ms', delimiter: ',', ...format } as const;
  const encoder = new RowEncoder(schema, whole);
  return new TextDecoder().decode(encoder.encode(batch));
}

test('RowEncoder: JSON lines say what JSON.stringify says of each value', () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 8 }), (rows) => {
      const batch = batchOf(rows);
      const expected = batchToRows(batch).map((one) => {
        const values = Object.entries(one).map(([name, value]) => {
          const text = typeof value === 'bigint' ? String(value) : JSON.stringify(value);
          return `${JSON.stringify(name)}:${text}`;
        });
        return `{${values.join(',')}}\n`;
      });
      assert.equal(encode(batch), expected.join(''));
    }),
    { numRuns: 300 },
  );
});

test('RowEncoder: times can be ISO 8601', () => {
  const [name] = schema.fields.filter(({ type }) => type.kind === 'timestamp').map((f) => f.name);
  const empty = Object.fromEntries(schema.fields.map((field) => [field.name, null]));
  const batch = batchOf([{ ...empty, [name]: 1_790_000_000_123 }]);
  const text = encode(batch, { timestamps: 'iso' });
  assert.equal((JSON.parse(text) as typeof empty)[name], '2026-09-21T14:13:20.123Z');
  assert.equal(
    encode(batch, { kind: 'csv', timestamps: 'iso' }),
    ',,,,2026-09-21T14:13:20.123Z,,\n',
  );
});

test('ByteWriter: integers read as String writes them', () => {
  const whole = fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.constantFrom(0, -0, 9, 10, -10));
  fc.assert(
    fc.property(whole, (value) => {
      const writer = new ByteWriter();
      writer.putInteger(value);
      const text = new TextDecoder().decode(writer.bytes.subarray(0, writer.length));
      assert.equal(text, String(value));
    }),
    { numRuns: 1000 },
  );
});
