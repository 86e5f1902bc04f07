// A column as the bytes that Kafka gets: keys, values, headers.

import { StreamError } from '../../base/stream-error.ts';
import type { Batch } from '../../data/columnar/batch.ts';
import type { Field, RowSchema } from '../../schema/data-type.ts';
import { ByteWriter } from '../byte-writer.ts';
import { RowEncoder } from '../row-encoder.ts';
import type { TextFormat } from '../row-encoder.ts';
import { putVarint } from './record-buffer.ts';

/** Value i is `bytes[offsets[i], offsets[i + 1] - gap)`. */
export type TextColumn = {
  readonly bytes: Uint8Array;
  readonly offsets: Int32Array;
  readonly gap: number;
  /** As in a vector: 0 where the value is null. */
  readonly valid: Uint8Array | null;
};

/** Gives a batch's column; what it gave before may be overwritten. */
export type TextColumnOf = (batch: Batch) => TextColumn;

export type Timestamps = TextFormat['timestamps'];

/** The row as a JSON object, without the columns that are left out. */
export function jsonOf(
  schema: RowSchema,
  { timestamps, omit }: { readonly timestamps: Timestamps; readonly omit: readonly string[] },
): TextColumnOf {
  const columns = schema.fields.flatMap(({ name }, index) => (omit.includes(name) ? [] : [index]));
  return lines(schema, columns, { kind: 'jsonl', timestamps, delimiter: ',' });
}

/** One column: its text as it is, null where it is null. Several: a JSON object of them. */
export function textOf(
  schema: RowSchema,
  names: readonly string[],
  timestamps: Timestamps,
): TextColumnOf {
  const columns = names.map((name) => schema.fields.findIndex((field) => field.name === name));
  const [first] = columns;
  if (first === undefined || columns.length > 1) {
    return lines(schema, columns, { kind: 'jsonl', timestamps, delimiter: ',' });
  }
  const format: TextFormat = { kind: 'csv', timestamps, delimiter: ',' };
  const plain = lines(schema, [first], format);
  return (batch) => {
    const vector = batch.vectors[first]!;
    if (vector.kind !== 'string') return { ...plain(batch), valid: vector.valid };
    return { bytes: vector.bytes, offsets: vector.offsets, gap: 0, valid: vector.valid };
  };
}

/** Each row's headers, their number in front, as they stand in a record. */
export function headersOf(
  schema: RowSchema,
  headers: Readonly<Record<string, string>>,
  timestamps: Timestamps,
): TextColumnOf {
  const encoder = new TextEncoder();
  const parts = Object.entries(headers).map(([name, column]) => {
    return { name: encoder.encode(name), texts: textOf(schema, [column], timestamps) };
  });
  const writer = new ByteWriter();
  return (batch) => {
    const columns = parts.map(({ name, texts }) => ({ name, text: texts(batch) }));
    const offsets = new Int32Array(batch.rowCount + 1);
    writer.reset();
    for (let row = 0; row < batch.rowCount; row++) {
      putVarint(writer, columns.length);
      for (const { name, text } of columns) {
        putVarint(writer, name.length);
        writer.putBytes(name, 0, name.length);
        putText(writer, text, row);
      }
      offsets[row + 1] = writer.length;
    }
    return { bytes: writer.bytes, offsets, gap: 0, valid: null };
  };
}

export function onlyText(bytes: Uint8Array): TextColumn {
  return { bytes, offsets: Int32Array.of(0, bytes.length), gap: 0, valid: null };
}

function putText(
  writer: ByteWriter,
  { bytes, offsets, gap, valid }: TextColumn,
  row: number,
): void {
  if (valid !== null && valid[row] === 0) return putVarint(writer, -1);
  const start = offsets[row]!;
  const end = offsets[row + 1]! - gap;
  putVarint(writer, end - start);
  writer.putBytes(bytes, start, end);
}

function lines(schema: RowSchema, columns: readonly number[], format: TextFormat): TextColumnOf {
  const fields = columns.map((index) => schema.fields[index]!);
  const encoder = new RowEncoder({ fields }, format);
  return ({ rowCount, vectors }) => {
    const chosen = { schema: { fields }, rowCount, vectors: columns.map((at) => vectors[at]!) };
    const offsets = new Int32Array(rowCount + 1);
    const bytes = encoder.encode(chosen, offsets.subarray(1));
    return { bytes, offsets, gap: 1, valid: null };
  };
}

/** Throws `option-invalid` where the rows have no such column. */
export function columnNamed(schema: RowSchema, name: string, what: string): Field {
  const field = schema.fields.find((other) => other.name === name);
  if (field !== undefined) return field;
  throw new StreamError({
    code: 'option-invalid',
    message: `could not set up "kafka": the rows have no column "${name}" for the ${what}`,
    hint: `the columns are ${schema.fields.map((other) => other.name).join(', ')}`,
    fields: { sink: 'kafka', column: name },
  });
}
