// Makes lines of records that carry more than their value: members for key, offset, time or headers
// are put in front of the closing brace of the value's JSON object, or, for plain text, the value
// becomes a member itself. A copy of the batch, several times slower than lines laid in place.
//
// Members behind all others win over those of the same name in the value, as with `JSON.parse`. A
// value that is no object stays as it is, for the scanner to refuse.

import type { NewlineSearch } from '../../data/codegen/newline-search.ts';
import type { RecordsSpan } from './lay-lines.ts';
import type { LineTable } from './line-table.ts';
import { RecordWalk } from './record-walk.ts';
import type { Span } from './record-walk.ts';

export type KafkaColumn =
  | 'key'
  | 'offset'
  | 'partition'
  | 'timestamp'
  | { readonly header: string };

/** What to put in: the member's name in the record, and what it holds. */
export type SplicedMember = { readonly name: string; readonly column: KafkaColumn };

export type SpliceOptions = {
  readonly members: readonly SplicedMember[];
  /** The member that holds the value as text; null: the value is a JSON object. */
  readonly textMember: string | null;
  readonly partition: number;
};

export type BatchTimes = {
  readonly baseMs: number;
  /** The time of all records; null: each has its own. */
  readonly appendMs: number | null;
};

type Member = {
  readonly text: Uint8Array;
  readonly column: KafkaColumn;
  readonly header: Uint8Array;
};

const encoder = new TextEncoder();
const nullText = encoder.encode('null');
/** For digits, quotes and the like; the variable parts are counted by themselves. */
const memberBytesMax = 32;

export class LineSplicer {
  readonly #members: readonly Member[];
  readonly #fixedBytes: number;
  readonly #textMember: Uint8Array | null;
  readonly #partition: number;
  #out = new Uint8Array(0);
  #at = 0;

  constructor({ members, textMember, partition }: SpliceOptions) {
    this.#members = members.map(({ name, column }) => ({
      text: encoder.encode(`${JSON.stringify(name)}:`),
      column,
      header: encoder.encode(typeof column === 'object' ? column.header : ''),
    }));
    this.#textMember =
      textMember === null ? null : encoder.encode(`${JSON.stringify(textMember)}:`);
    this.#partition = partition;
    const sizes = this.#members.map(({ text }) => text.length + memberBytesMax);
    this.#fixedBytes = sizes.reduce((sum, size) => sum + size, (textMember ?? '').length * 6 + 64);
  }

  /** The lines, in a buffer of their own. Throws a RangeError where the records are not whole. */
  lines(
    bytes: Uint8Array,
    batch: { readonly span: RecordsSpan; readonly times: BatchTimes },
    { table, search }: { readonly table: LineTable; readonly search: NewlineSearch },
  ): Uint8Array {
    const { span, times } = batch;
    this.#out = new Uint8Array(Math.ceil((span.to - span.from) * 1.5) + span.count * 64 + 1024);
    this.#at = 0;
    table.reserve(span.count);
    const walk = new RecordWalk(bytes, span);
    while (walk.next()) {
      const { value, offset } = walk;
      if (value.end < 0) continue;
      table.starts[table.count] = this.#at;
      table.offsets[table.count++] = offset;
      const timeMs = times.appendMs ?? times.baseMs + walk.timestampDelta;
      if (this.#textMember === null) this.#jsonLine(bytes, { walk, timeMs, search });
      else this.#textLine(bytes, walk, timeMs);
      this.#out[this.#at++] = 10;
    }
    return this.#out.subarray(0, this.#at);
  }

  #textLine(bytes: Uint8Array, walk: RecordWalk, timeMs: number): void {
    this.#reserve(this.#fixedBytes);
    this.#out[this.#at++] = 0x7b;
    this.#text(this.#textMember!);
    this.#string(bytes, walk.value);
    this.#splice(bytes, { walk, timeMs, comma: true });
    this.#out[this.#at++] = 0x7d;
  }

  #jsonLine(
    bytes: Uint8Array,
    line: { readonly walk: RecordWalk; readonly timeMs: number; readonly search: NewlineSearch },
  ): void {
    const { walk, timeMs, search } = line;
    const { start, end } = walk.value;
    let last = end - 1;
    while (last >= start && isSpace(bytes[last]!)) last--;
    const isObject = last > start && bytes[last] === 0x7d;
    this.#copy(bytes, { start, end: isObject ? last : end }, search);
    if (!isObject) return;
    let before = last - 1;
    while (before > start && isSpace(bytes[before]!)) before--;
    this.#splice(bytes, { walk, timeMs, comma: bytes[before] !== 0x7b });
    this.#out[this.#at++] = 0x7d;
  }

  #splice(
    bytes: Uint8Array,
    { walk, timeMs, comma }: { walk: RecordWalk; readonly timeMs: number; comma: boolean },
  ): void {
    this.#reserve(this.#fixedBytes);
    for (const [index, { text, column, header }] of this.#members.entries()) {
      if (comma || index > 0) this.#out[this.#at++] = 0x2c;
      this.#text(text);
      if (column === 'key') this.#string(bytes, walk.key);
      else if (column === 'offset') this.#text(encoder.encode(String(walk.offset)));
      else if (column === 'partition') this.#text(encoder.encode(String(this.#partition)));
      else if (column === 'timestamp') this.#text(encoder.encode(String(timeMs)));
      else this.#string(bytes, walk.header(header) ?? { start: 0, end: -1 });
    }
    this.#reserve(memberBytesMax);
  }

  #copy(bytes: Uint8Array, { start, end }: Span, search: NewlineSearch): void {
    this.#reserve(end - start);
    this.#out.set(bytes.subarray(start, end), this.#at);
    for (let at = search.next(start, end); at < end; at = search.next(at + 1, end)) {
      this.#out[this.#at + at - start] = 13;
    }
    this.#at += end - start;
  }

  /** As a JSON string, or null. What is no UTF-8 stays so: the scanner refuses it. */
  #string(bytes: Uint8Array, { start, end }: Span): void {
    if (end < 0) return this.#text(nullText);
    this.#reserve((end - start) * 6 + 2 + this.#fixedBytes);
    const out = this.#out;
    out[this.#at++] = 0x22;
    for (let p = start; p < end; p++) {
      const byte = bytes[p]!;
      if (byte < 0x20) this.#text(encoder.encode(`\\u00${byte.toString(16).padStart(2, '0')}`));
      else {
        if (byte === 0x22 || byte === 0x5c) out[this.#at++] = 0x5c;
        out[this.#at++] = byte;
      }
    }
    out[this.#at++] = 0x22;
  }

  /** Room must be there. */
  #text(text: Uint8Array): void {
    this.#out.set(text, this.#at);
    this.#at += text.length;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes + this.#fixedBytes;
    if (needed <= this.#out.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#out.length * 2));
    grown.set(this.#out.subarray(0, this.#at));
    this.#out = grown;
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
