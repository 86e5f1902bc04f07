// The JSON-lines scanner: whole lines in, columns out. Windows of the input are copied to the
// memory of a generated scan; a record that it does not take is read in place by `JsonReader`,
// which also teaches it the record's layout.

import { pathTree } from './field-paths.ts';
import { JsonLayout } from './json-layout.ts';
import { JsonReader } from './json-reader.ts';
import { scanSupport } from './json-scan-support.ts';
import { scanMemory, writeTables } from './json-scan-memory.ts';
import { hasEdges, type ScanExports, scanText } from './json-scan-text.ts';
import { unescapeString } from './json-string.ts';
import { readFloat64 } from './number-text.ts';
import {
  checkSpec,
  ColumnWriter,
  columnAt,
  faultMessages,
  isSameSpan,
  placeColumns,
  timeMsMax,
} from './scan-columns.ts';
import type { ScanColumn, ScanError, Scanner, ScanSpec } from './scanner.ts';
import { scanChunkRows } from './scanner.ts';
import { fixedMemory, startModule } from './wasm-text.ts';

/** Input that is copied at once: it stays in the processor's cache until it has been scanned. */
const windowBytes = 65_536;
/** Zero bytes behind a window, at which every loop of the scan stops before it leaves memory. */
const paddingBytes = 512;

export function compileJsonScanner(spec: ScanSpec): Scanner {
  checkSpec(spec);
  return new JsonScanner(spec);
}

/** The generated scan as WebAssembly text, without the functions that all scans share. */
export function jsonScannerSource(spec: ScanSpec): string {
  checkSpec(spec);
  const tree = pathTree(spec.fields);
  if (!hasEdges(tree)) return ';; read record by record';
  return scanText(spec, tree, placeColumns(spec.fields, scanMemory.columns).places).source;
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
  private readonly memory: Uint8Array;
  private readonly results: DataView;
  private readonly windowStart: number;
  private readonly generated: ScanExports | null;
  private readonly layout: JsonLayout | null;
  private scratchEnd = 0;

  constructor(spec: ScanSpec) {
    const { places, end } = placeColumns(spec.fields, scanMemory.columns);
    const memory = fixedMemory(end + windowBytes + paddingBytes);
    const { buffer } = memory;
    const tree = pathTree(spec.fields);
    this.spec = spec;
    this.columns = spec.fields.map((field, index) => columnAt(buffer, field, places[index]!));
    this.equals = spec.equals.map(({ field, value }) => ({
      field,
      bytes: new TextEncoder().encode(value),
    }));
    this.reader = new JsonReader(tree);
    this.writer = new ColumnWriter(spec.fields, this.columns);
    this.memory = new Uint8Array(buffer);
    this.results = new DataView(buffer);
    this.windowStart = end;
    if (!hasEdges(tree)) {
      this.generated = null;
      this.layout = null;
      return;
    }
    const { source, actions } = scanText(spec, tree, places);
    const fieldOfNode = tree.nodes.map(({ fields }) => fields[0] ?? -1);
    writeTables(buffer);
    this.generated = startModule<ScanExports>(scanSupport + source, memory);
    this.layout = new JsonLayout(buffer, actions, fieldOfNode);
  }

  scan(input: Uint8Array, from: number, to: number, nowMs: number): number {
    this.records = 0;
    this.timeMax = Number.NEGATIVE_INFINITY;
    this.errors.length = 0;
    this.scratchEnd = 0;
    this.writer.timeEnd = Math.min(nowMs + this.spec.timeAheadMsMax, timeMsMax);
    this.position = from;
    let row = 0;
    while (this.hasRoom(row) && this.position < to) {
      row =
        this.generated === null
          ? this.line(input, to, row)
          : this.window(input, to, row, this.generated);
    }
    return row;
  }

  /** Errors take places as rows do: a chunk of bad records is bounded too. */
  private hasRoom(row: number): boolean {
    return row < scanChunkRows && this.errors.length < scanChunkRows;
  }

  /** Scans the whole lines of the next window and gives the next free row. */
  private window(input: Uint8Array, to: number, firstRow: number, generated: ScanExports): number {
    const { memory, windowStart, results } = this;
    const from = this.position;
    const bytes = input.subarray(from, Math.min(from + windowBytes - 1, to));
    let length = bytes.length;
    if (from + length < to) length = bytes.lastIndexOf(0x0a) + 1;
    // A line longer than a window.
    if (length === 0) return this.line(input, to, firstRow);
    memory.set(bytes, windowStart);
    let limit = windowStart + length;
    if (memory[limit - 1] !== 0x0a) memory[limit++] = 0x0a;
    memory.fill(0, limit, limit + paddingBytes);
    const shift = from - windowStart;
    let row = firstRow;
    while (this.hasRoom(row)) {
      const p = Math.max(this.position - shift, windowStart);
      const stop = generated.scan(p, limit, row, shift, this.writer.timeEnd);
      this.readFloats(results.getInt32(scanMemory.floatCount, true));
      row = results.getInt32(scanMemory.row, true);
      this.records += results.getInt32(scanMemory.records, true);
      this.timeMax = Math.max(this.timeMax, results.getFloat64(scanMemory.timeMax, true));
      this.position = Math.min(stop + shift, from + length);
      if (stop >= limit) break;
      if (this.hasRoom(row)) row = this.line(input, to, row);
      if (this.position >= from + length) break;
    }
    return row;
  }

  /** Floats whose text the generated scan checked but did not convert. */
  private readFloats(count: number): void {
    const { results, memory } = this;
    for (let index = 0; index < count; index += 1) {
      const place = scanMemory.floats + index * 16;
      const column = this.columns[results.getInt32(place + 4, true)]!;
      const start = results.getInt32(place + 8, true);
      const end = results.getInt32(place + 12, true);
      if (column.kind === 'number') {
        column.values[results.getInt32(place, true)] = readFloat64(memory, start, end);
      }
    }
  }

  /** Reads the line at the position, whatever it holds, and gives the next free row. */
  private line(input: Uint8Array, to: number, row: number): number {
    const from = this.position;
    const start = blankEnd(input, from, to);
    if (start < to && input[start] !== 0x0a) return row + this.record(input, from, to, row);
    this.position = Math.min(start + 1, to);
    return row;
  }

  /** Reads the record at `from` into `row` and gives how many rows it made: 0 or 1. */
  private record(input: Uint8Array, from: number, to: number, row: number): number {
    const { reader, writer, spec } = this;
    reader.tracing = this.layout !== null && this.layout.wantsRecord();
    const lineEnd = reader.read(input, from, to);
    if (lineEnd < 0) {
      this.refuse(input, from, to, reader);
      return 0;
    }
    this.position = Math.min(lineEnd + 1, to);
    // Without its newline the last line would teach an end that comes nowhere else.
    if (reader.tracing && lineEnd < to) {
      this.layout?.learn(input, { from, lineEnd, steps: reader.steps });
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
        this.refuse(input, from, to, { code, message, offset, field: name });
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

  /** Reports the record at `from` and goes on at the next line. */
  private refuse(
    input: Uint8Array,
    from: number,
    to: number,
    fault: { code: string; message: string; offset: number; field?: string },
  ): void {
    let end = from;
    while (end < to && input[end] !== 0x0a) end += 1;
    this.position = Math.min(end + 1, to);
    if (end > from && input[end - 1] === 0x0d) end -= 1;
    const { code, message, offset, field = null } = fault;
    this.errors.push({ code, message, start: from, end, offset, field });
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
      if (!isSameSpan(isInScratch ? this.scratch : input, from, to, bytes)) return false;
    }
    return true;
  }
}

/** The first byte of the line that is no white space: lines of nothing else are no records. */
function blankEnd(input: Uint8Array, from: number, to: number): number {
  let p = from;
  while (p < to && (input[p] === 0x20 || input[p] === 0x09 || input[p] === 0x0d)) p += 1;
  return p;
}
