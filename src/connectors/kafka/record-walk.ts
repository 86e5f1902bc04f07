// Reads the records of a batch one by one, where their keys, times or headers are wanted. The
// cursor is one object for all records; it reads nothing that nobody asked for.

import type { RecordsSpan } from './lay-lines.ts';

/** `end` -1: null. */
export type Span = { start: number; end: number };

export class RecordWalk {
  offset = 0;
  /** To be added to the batch's base. */
  timestampDelta = 0;
  readonly key: Span = { start: 0, end: -1 };
  readonly value: Span = { start: 0, end: -1 };
  /** Where the record begins. */
  start = 0;
  readonly #bytes: Uint8Array;
  readonly #span: RecordsSpan;
  #left: number;
  #at: number;
  #headersAt = 0;

  constructor(bytes: Uint8Array, span: RecordsSpan) {
    this.#bytes = bytes;
    this.#span = span;
    this.#left = span.count;
    this.#at = span.from;
  }

  /** False: all have been read. Throws a RangeError where the records are not whole. */
  next(): boolean {
    const { to, baseOffset } = this.#span;
    if (this.#left === 0) {
      if (this.#at !== to) throw new RangeError('bytes follow the last record');
      return false;
    }
    this.#left--;
    this.start = this.#at;
    const length = this.#varint();
    const end = this.#at + length;
    if (length < 0 || end > to) throw new RangeError('a record goes on behind its batch');
    this.#at++;
    this.timestampDelta = this.#varint();
    this.offset = baseOffset + this.#varint();
    this.#sized(this.key, end);
    this.#sized(this.value, end);
    this.#headersAt = this.#at;
    this.#at = end;
    return true;
  }

  /** The last header of a name, as consumers read it; null also where its value is null. */
  header(name: Uint8Array): Span | null {
    let found: Span | null = null;
    this.headers((key, value) => {
      if (isSame(this.#bytes, key, name)) found = value.end < 0 ? null : { ...value };
    });
    return found;
  }

  headers(visit: (key: Span, value: Span) => void): void {
    const end = this.#at;
    this.#at = this.#headersAt;
    const key: Span = { start: 0, end: -1 };
    const value: Span = { start: 0, end: -1 };
    for (let left = this.#varint(); left > 0; left--) {
      this.#sized(key, end);
      this.#sized(value, end);
      visit(key, value);
    }
    this.#at = end;
  }

  #sized(span: Span, end: number): void {
    const length = this.#varint();
    span.start = this.#at;
    span.end = length < 0 ? -1 : this.#at + length;
    if (length > 0) this.#at += length;
    if (this.#at > end) throw new RangeError('a field goes on behind its record');
  }

  /** Zigzag, up to 64 bits: in floating point, since differences of times may need more than 32. */
  #varint(): number {
    let value = 0;
    let scale = 1;
    let byte: number;
    do {
      byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte > 127);
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

function isSame(bytes: Uint8Array, { start, end }: Span, name: Uint8Array): boolean {
  if (end - start !== name.length) return false;
  return name.every((byte, index) => bytes[start + index] === byte);
}
