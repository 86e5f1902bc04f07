// The JSON-lines scanner: whole lines in, columns out.

import { pathTree } from './field-paths.ts';
import { JsonReader } from './json-reader.ts';
import { unescapeString } from './json-string.ts';
import { checkSpec, ColumnWriter, columnAt, faultMessages, placeColumns } from './scan-columns.ts';
import type { ScanColumn, ScanError, Scanner, ScanSpec } from './scanner.ts';
import { scanChunkRows } from './scanner.ts';

export function compileJsonScanner(spec: ScanSpec): Scanner {
  checkSpec(spec);
  return new JsonScanner(spec);
}

class JsonScanner implements Scanner {
  readonly columns: readonly ScanColumn[];
  scratch = new Uint8Array(256);
  position = 0;
  records = 0;
  timeMax = Number.NEGATIVE_INFINITY;
  readonly errors: ScanError[] = [];
  private readonly spec: ScanSpec;
  private readonly equals: readonly { readonly field: number; readonly bytes: Uint8Array }[];
  private readonly reader: JsonReader;
  private readonly writer: ColumnWriter;
  private scratchEnd = 0;

  constructor(spec: ScanSpec) {
    const { places, end } = placeColumns(spec.fields, 0);
    const buffer = new ArrayBuffer(end);
    this.spec = spec;
    this.columns = spec.fields.map((field, index) => columnAt(buffer, field, places[index]!));
    this.equals = spec.equals.map(({ field, value }) => ({
      field,
      bytes: new TextEncoder().encode(value),
    }));
    this.reader = new JsonReader(pathTree(spec.fields));
    this.writer = new ColumnWriter(spec.fields, this.columns);
  }

  scan(input: Uint8Array, from: number, to: number, nowMs: number): number {
    this.records = 0;
    this.timeMax = Number.NEGATIVE_INFINITY;
    this.errors.length = 0;
    this.scratchEnd = 0;
    this.writer.timeEnd = nowMs + this.spec.timeAheadMsMax;
    let row = 0;
    let p = from;
    while (p < to && row < scanChunkRows && this.errors.length < scanChunkRows) {
      let lineEnd = p;
      while (lineEnd < to && input[lineEnd] !== 0x0a) lineEnd += 1;
      if (!isBlank(input, p, lineEnd)) row += this.record(input, p, lineEnd, row);
      p = lineEnd < to ? lineEnd + 1 : to;
    }
    this.position = p;
    return row;
  }

  /** Reads the record of one line into `row` and gives how many rows it made: 0 or 1. */
  private record(input: Uint8Array, from: number, lineEnd: number, row: number): number {
    const { reader, writer, spec } = this;
    const end = lineEnd > from && input[lineEnd - 1] === 0x0d ? lineEnd - 1 : lineEnd;
    if (reader.read(input, from, end) < 0) {
      const { code, message, offset } = reader;
      this.errors.push({ code, message, start: from, end, offset, field: null });
      return 0;
    }
    const scratchStart = this.scratchEnd;
    for (let index = 0; index < spec.fields.length; index += 1) {
      const found = reader.found[index]!;
      const isNull = found.form === 'missing' || found.form === 'null';
      const code = isNull ? writer.writeNull(index, row) : this.writeFound(index, row, input);
      if (code !== '') {
        const { name } = spec.fields[index]!;
        const message = `field "${name}" ${faultMessages[code]}`;
        const offset = found.form === 'missing' ? from : found.start;
        this.errors.push({ code, message, start: from, end, offset, field: name });
        this.scratchEnd = scratchStart;
        return 0;
      }
    }
    this.records += 1;
    this.takeTime(row);
    if (this.passes(input, row)) return 1;
    this.scratchEnd = scratchStart;
    return 0;
  }

  private writeFound(index: number, row: number, input: Uint8Array) {
    const { writer } = this;
    const { form, start, end, escaped } = this.reader.found[index]!;
    if (form === 'missing') return 'json-missing';
    const column = this.columns[index]!;
    const { kind } = this.spec.fields[index]!.type;
    if (kind === 'json' && form === 'string') {
      return writer.write(index, row, form, input, [start - 1, end + 1]);
    }
    if (!escaped) return writer.write(index, row, form, input, [start, end]);
    const scratchStart = this.scratchEnd;
    this.reserveScratch(end - start);
    const scratchEnd = unescapeString(input, start, end, this.scratch, scratchStart);
    const code = writer.write(index, row, form, this.scratch, [scratchStart, scratchEnd]);
    if (column.kind === 'string') {
      column.starts[row] = ~scratchStart;
      column.ends[row] = ~scratchEnd;
      this.scratchEnd = scratchEnd;
    }
    return code;
  }

  private reserveScratch(bytes: number): void {
    let size = this.scratch.length;
    while (size < this.scratchEnd + bytes) size *= 2;
    if (size === this.scratch.length) return;
    const grown = new Uint8Array(size);
    grown.set(this.scratch.subarray(0, this.scratchEnd));
    this.scratch = grown;
  }

  private takeTime(row: number): void {
    const column = this.columns[this.spec.timeField];
    if (column?.kind !== 'number' || column.valid?.[row] === 0) return;
    this.timeMax = Math.max(this.timeMax, column.values[row]!);
  }

  private passes(input: Uint8Array, row: number): boolean {
    for (const { field, bytes } of this.equals) {
      const column = this.columns[field]!;
      if (column.kind !== 'string' || column.valid?.[row] === 0) return false;
      const start = column.starts[row]!;
      const isInScratch = start < 0;
      const from = isInScratch ? ~start : start;
      const to = isInScratch ? ~column.ends[row]! : column.ends[row]!;
      if (!isSame(isInScratch ? this.scratch : input, from, to, bytes)) return false;
    }
    return true;
  }
}

function isSame(input: Uint8Array, from: number, to: number, bytes: Uint8Array): boolean {
  if (to - from !== bytes.length) return false;
  for (let i = 0; i < bytes.length; i += 1) if (input[from + i] !== bytes[i]) return false;
  return true;
}

/** Whether the line is white space only: such lines are no records. */
function isBlank(input: Uint8Array, from: number, to: number): boolean {
  for (let p = from; p < to; p += 1) {
    const c = input[p]!;
    if (c !== 0x20 && c !== 0x09 && c !== 0x0d) return false;
  }
  return true;
}
