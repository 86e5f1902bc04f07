// Batches as lines of text, JSON or CSV, straight from the columns: no row objects and no strings,
// except for fractions and large int64.

import { unreachable } from '../base/assert.ts';
import { StreamError } from '../base/stream-error.ts';
import type { Batch, Vector } from '../data/columnar/batch.ts';
import type { Field, RowSchema } from '../schema/data-type.ts';
import { ByteWriter } from './byte-writer.ts';

export type TextFormat = {
  readonly kind: 'jsonl' | 'csv';
  /** `ms`: the number of milliseconds since the epoch. `iso`: `2026-01-31T12:00:00.000Z`. */
  readonly timestamps: 'ms' | 'iso';
  /** For CSV. */
  readonly delimiter: string;
};

const lineFeed = 10;
const carriageReturn = 13;
const quote = 34;
const backslash = 92;
const space = 32;
const hexDigits = '0123456789abcdef';
/** `\b`, `\t`, `\n`, `\f` and `\r` by code; others are written as `\u00xx`. */
const shortEscapes: ReadonlyMap<number, string> = new Map([
  [8, '\\b'],
  [9, '\\t'],
  [10, '\\n'],
  [12, '\\f'],
  [13, '\\r'],
]);

export class RowEncoder {
  readonly #format: TextFormat;
  readonly #schema: RowSchema;
  readonly #writer = new ByteWriter();
  /** What stands before each column's value: in JSON its name. */
  readonly #leads: readonly Uint8Array[];
  readonly #delimiter: number;

  constructor(schema: RowSchema, format: TextFormat) {
    this.#schema = schema;
    this.#format = format;
    this.#delimiter = format.delimiter.charCodeAt(0);
    const encoder = new TextEncoder();
    this.#leads = schema.fields.map(({ name }, index) => {
      if (format.kind === 'csv') return encoder.encode(index === 0 ? '' : format.delimiter);
      return encoder.encode(`${index === 0 ? '{' : ','}${JSON.stringify(name)}:`);
    });
  }

  /** The header line of CSV; nothing for JSON. */
  header(): Uint8Array {
    const writer = this.#writer;
    writer.reset();
    if (this.#format.kind === 'jsonl') return new Uint8Array(0);
    this.#schema.fields.forEach(({ name }, index) => {
      const bytes = new TextEncoder().encode(name);
      writer.putBytes(this.#leads[index], 0, this.#leads[index].length);
      this.#putCsvText(bytes, 0, bytes.length);
    });
    writer.putByte(lineFeed);
    return writer.bytes.slice(0, writer.length);
  }

  /**
   * A line for each row. The bytes hold until the next call. Into `ends`, if given, goes where each
   * line ends, behind its line feed.
   */
  encode(batch: Batch, ends: Int32Array | null = null): Uint8Array {
    const writer = this.#writer;
    const { fields } = this.#schema;
    const isJson = this.#format.kind === 'jsonl';
    writer.reset();
    for (let row = 0; row < batch.rowCount; row++) {
      for (let column = 0; column < fields.length; column++) {
        const lead = this.#leads[column];
        writer.putBytes(lead, 0, lead.length);
        this.#putValue(batch.vectors[column], fields[column], row);
      }
      if (isJson) writer.putText(fields.length === 0 ? '{}' : '}');
      writer.putByte(lineFeed);
      if (ends !== null) ends[row] = writer.length;
    }
    return writer.bytes.subarray(0, writer.length);
  }

  #putValue(vector: Vector, field: Field, row: number): void {
    if (vector.valid !== null && vector.valid[row] === 0) return this.#putNull();
    const writer = this.#writer;
    switch (vector.kind) {
      case 'number':
        return this.#putNumber(vector.values[row], field);
      case 'int32':
        return writer.putInteger(vector.values[row]);
      case 'int64':
        return this.#putInt64(vector.values[row]);
      case 'boolean':
        return writer.putText(vector.values[row] === 1 ? 'true' : 'false');
      case 'string': {
        const { bytes, offsets } = vector;
        return this.#putString(bytes, field, { start: offsets[row], end: offsets[row + 1] });
      }
      default:
        return unreachable(vector);
    }
  }

  #putNull(): void {
    if (this.#format.kind === 'jsonl') this.#writer.putText('null');
  }

  // Neither format has a word for NaN and the infinities.
  #putNumber(value: number, field: Field): void {
    if (!Number.isFinite(value)) return this.#putNull();
    if (field.type.kind !== 'timestamp' || this.#format.timestamps === 'ms') {
      return this.#writer.putNumber(value);
    }
    const mark = this.#format.kind === 'jsonl' ? '"' : '';
    this.#writer.putText(`${mark}${isoTime(value, field.name)}${mark}`);
  }

  #putInt64(value: bigint): void {
    const near = Number(value);
    if (Number.isSafeInteger(near)) this.#writer.putInteger(near);
    else this.#writer.putText(value.toString());
  }

  #putString(bytes: Uint8Array, field: Field, span: { start: number; end: number }): void {
    const { start, end } = span;
    if (this.#format.kind === 'csv') return this.#putCsvText(bytes, start, end);
    if (field.type.kind === 'json') return this.#writer.putBytes(bytes, start, end);
    this.#putJsonText(bytes, start, end);
  }

  #putJsonText(bytes: Uint8Array, start: number, end: number): void {
    const writer = this.#writer;
    writer.putByte(quote);
    let plainFrom = start;
    for (let at = start; at < end; at++) {
      const byte = bytes[at];
      if (byte >= space && byte !== quote && byte !== backslash) continue;
      writer.putBytes(bytes, plainFrom, at);
      plainFrom = at + 1;
      writer.putText(escaped(byte));
    }
    writer.putBytes(bytes, plainFrom, end);
    writer.putByte(quote);
  }

  // An empty text is quoted, which tells it from null.
  #putCsvText(bytes: Uint8Array, start: number, end: number): void {
    const writer = this.#writer;
    if (!this.#needsQuotes(bytes, start, end)) return writer.putBytes(bytes, start, end);
    writer.putByte(quote);
    for (let at = start; at < end; at++) {
      if (bytes[at] === quote) writer.putByte(quote);
      writer.putByte(bytes[at]);
    }
    writer.putByte(quote);
  }

  #needsQuotes(bytes: Uint8Array, start: number, end: number): boolean {
    if (start === end || bytes[start] === space || bytes[end - 1] === space) return true;
    for (let at = start; at < end; at++) {
      const byte = bytes[at];
      if (byte === quote || byte === this.#delimiter) return true;
      if (byte === lineFeed || byte === carriageReturn) return true;
    }
    return false;
  }
}

function escaped(byte: number): string {
  if (byte >= space) return `\\${String.fromCharCode(byte)}`;
  return shortEscapes.get(byte) ?? `\\u00${hexDigits[byte >> 4]}${hexDigits[byte & 15]}`;
}

const timeMsMax = 8.64e15;

function isoTime(timeMs: number, column: string): string {
  if (Math.abs(timeMs) <= timeMsMax) return new Date(timeMs).toISOString();
  throw new StreamError({
    code: 'time-range',
    message: `could not write column "${column}": ${timeMs} ms is no date`,
    hint: "write it as a number: timestamps: 'ms'",
    fields: { column, timeMs },
  });
}
