// The CSV scanner: RFC 4180 rows in, columns out. A cell is text, read by the rules of its field's
// type; an empty cell without quotes is null where the field may be, and otherwise an empty string.
// Every row is checked to its end: quotes, UTF-8, that it has the columns that are read, and that
// it has no more cells than the header.

import { assert } from '../../base/assert.ts';
import { sequenceLength } from './json-string.ts';
import {
  checkSpec,
  ColumnWriter,
  columnAt,
  faultMessages,
  isSameSpan,
  placeColumns,
  timeMsMax,
  type ValueFault,
} from './scan-columns.ts';
import {
  type ScanColumn,
  scanChunkRows,
  type ScanError,
  type Scanner,
  type ScanSpec,
} from './scanner.ts';

export type CsvOptions = {
  /** One ASCII character between cells. */
  readonly delimiter: string;
  /** One ASCII character around cells that hold the delimiter, a line end or itself, doubled. */
  readonly quote: string;
  /** Position of each column by name, from 0. A field's path is one name. */
  readonly columns: ReadonlyMap<string, number>;
  /** Cells that a row has at most. */
  readonly width: number;
};

export function compileCsvScanner(spec: ScanSpec, options: CsvOptions): Scanner {
  checkSpec(spec);
  return new CsvScanner(spec, options);
}

/** What the scan reads, for `explain`: it is not generated but told which cells to keep. */
export function csvScannerSource(spec: ScanSpec, options: CsvOptions): string {
  checkSpec(spec);
  const positions = cellPositions(spec, options);
  const lines = spec.fields.map((field, index) => {
    const equals = spec.equals
      .filter((equal) => equal.field === index)
      .map(({ value }) => ` = ${JSON.stringify(value)}`);
    const time = spec.timeField === index ? ', event time' : '';
    const nullable = field.nullable ? ' or null' : '';
    const { name, type } = field;
    return `cell ${positions[index]}: ${name} ${type.kind}${nullable}${equals.join('')}${time}`;
  });
  const [delimiter, quote] = [options.delimiter, options.quote].map((mark) => JSON.stringify(mark));
  return [`csv, delimiter ${delimiter}, quote ${quote}`, ...lines].join('\n');
}

function cellPositions(spec: ScanSpec, options: CsvOptions): number[] {
  return spec.fields.map(({ name, path }) => {
    const position = path.length === 1 ? options.columns.get(path[0]!) : undefined;
    assert(position !== undefined, `field "${name}" is a column of the CSV`);
    return position;
  });
}

class CsvScanner implements Scanner {
  readonly columns: readonly ScanColumn[];
  scratch = new Uint8Array(256);
  position = 0;
  records = 0;
  timeMax = Number.NEGATIVE_INFINITY;
  readonly errors: ScanError[] = [];
  private readonly spec: ScanSpec;
  private readonly positions: readonly number[];
  private readonly equals: readonly { readonly field: number; readonly bytes: Uint8Array }[];
  private readonly writer: ColumnWriter;
  private readonly delimiter: number;
  private readonly quote: number;
  /** 1 for ASCII that neither ends a cell nor quotes. */
  private readonly plain: Uint8Array;
  /** Cells to note of each row. */
  private readonly cellCount: number;
  private readonly width: number;
  private readonly starts: Int32Array;
  private readonly ends: Int32Array;
  /** 0 for plain cells, 1 for quoted ones, 2 for quoted ones with doubled quotes. */
  private readonly quoting: Uint8Array;
  private scratchEnd = 0;
  /** Why and where a row is broken. */
  private code = '';
  private message = '';
  private offset = 0;

  constructor(spec: ScanSpec, options: CsvOptions) {
    const { places, end } = placeColumns(spec.fields, 0);
    const buffer = new ArrayBuffer(end);
    this.spec = spec;
    this.columns = spec.fields.map((field, index) => columnAt(buffer, field, places[index]!));
    this.positions = cellPositions(spec, options);
    this.equals = spec.equals.map(({ field, value }) => ({
      field,
      bytes: new TextEncoder().encode(value),
    }));
    this.writer = new ColumnWriter(spec.fields, this.columns);
    this.delimiter = markCode(options.delimiter);
    this.quote = markCode(options.quote);
    assert(this.delimiter !== this.quote, 'delimiter and quote differ');
    this.plain = Uint8Array.from({ length: 256 }, (_, c) =>
      c < 0x80 && ![this.delimiter, this.quote, 0x0a, 0x0d].includes(c) ? 1 : 0,
    );
    this.width = options.width;
    this.cellCount = 1 + Math.max(-1, ...this.positions);
    this.starts = new Int32Array(this.cellCount);
    this.ends = new Int32Array(this.cellCount);
    this.quoting = new Uint8Array(this.cellCount);
  }

  scan(input: Uint8Array, from: number, to: number, nowMs: number): number {
    this.records = 0;
    this.timeMax = Number.NEGATIVE_INFINITY;
    this.errors.length = 0;
    this.scratchEnd = 0;
    this.writer.timeEnd = Math.min(nowMs + this.spec.timeAheadMsMax, timeMsMax);
    this.position = from;
    let row = 0;
    while (row < scanChunkRows && this.errors.length < scanChunkRows && this.position < to) {
      const start = this.position;
      const cells = this.cells(input, start, to);
      if (cells < 0) {
        this.refuse(input, start, to);
      } else if (cells > this.width) {
        this.refuseWide(input, start, cells);
      } else if (cells > 0) {
        row += this.record(input, start, cells, row);
      }
    }
    return row;
  }

  /**
   * Notes the cells of the row at `from` and moves the position behind it. Gives their count, 0 for
   * an empty line, -1 for a broken row.
   */
  private cells(input: Uint8Array, from: number, to: number): number {
    const { delimiter, quote, plain, cellCount, starts, ends, quoting } = this;
    let p = from;
    let count = 0;
    while (true) {
      const start = p;
      let end: number;
      let quotes = 0;
      if (p < to && input[p] === quote) {
        p += 1;
        quotes = 1;
        while (true) {
          if (p >= to) return this.broken('a quoted cell does not end in the input', start);
          const c = input[p]!;
          if (c === quote) {
            if (p + 1 >= to || input[p + 1] !== quote) break;
            quotes = 2;
            p += 2;
          } else if (c < 0x80) {
            p += 1;
          } else {
            const length = sequenceLength(input, p, to);
            if (length === 0) return this.notUtf8(p);
            p += length;
          }
        }
        end = p;
        p += 1;
      } else {
        while (true) {
          while (p < to && plain[input[p]!] === 1) p += 1;
          if (p >= to) break;
          const c = input[p]!;
          if (c === delimiter || c === 0x0a) break;
          if (c === quote) return this.broken('a quote is inside a cell without quotes', p);
          if (c === 0x0d) {
            if (p + 1 < to && input[p + 1] !== 0x0a) {
              return this.broken('a line end is a carriage return alone', p);
            }
            p += 1;
            continue;
          }
          const length = sequenceLength(input, p, to);
          if (length === 0) return this.notUtf8(p);
          p += length;
        }
        end = p;
        const isLineEnd = p >= to || input[p] === 0x0a;
        if (isLineEnd && end > start && input[end - 1] === 0x0d) end -= 1;
      }
      if (count < cellCount) {
        starts[count] = quotes === 0 ? start : start + 1;
        ends[count] = end;
        quoting[count] = quotes;
      }
      count += 1;
      if (p < to && input[p] === delimiter) {
        p += 1;
        continue;
      }
      if (quotes > 0 && p < to && input[p] === 0x0d && (p + 1 >= to || input[p + 1] === 0x0a)) {
        p += 1;
      }
      if (p < to && input[p] !== 0x0a) {
        return this.broken('text follows the end quote of a cell', p);
      }
      this.position = p < to ? p + 1 : to;
      const isEmptyLine = count === 1 && quotes === 0 && end === start;
      return isEmptyLine ? 0 : count;
    }
  }

  private broken(message: string, offset: number): -1 {
    this.code = 'csv-syntax';
    this.message = message;
    this.offset = offset;
    return -1;
  }

  private notUtf8(offset: number): -1 {
    this.code = 'utf8';
    this.message = 'a cell is not UTF-8';
    this.offset = offset;
    return -1;
  }

  /** Reports the broken row and goes on at the next line: where it would end cannot be known. */
  private refuse(input: Uint8Array, from: number, to: number): void {
    let lineEnd = from;
    while (lineEnd < to && input[lineEnd] !== 0x0a) lineEnd += 1;
    this.position = lineEnd < to ? lineEnd + 1 : to;
    const { code, message, offset } = this;
    const end = this.endOf(input, from);
    this.errors.push({ code, message, start: from, end, offset, field: null });
  }

  /** Which cell is too many cannot be known: a delimiter without quotes shifts all behind it. */
  private refuseWide(input: Uint8Array, start: number, cells: number): void {
    const message = `the row has ${cells} cells, but there are ${this.width} columns`;
    const end = this.endOf(input, start);
    this.errors.push({ code: 'csv-syntax', message, start, end, offset: start, field: null });
  }

  /** The end of the row from `from` to the position, without its line end. */
  private endOf(input: Uint8Array, from: number): number {
    let end = this.position;
    if (end > from && input[end - 1] === 0x0a) end -= 1;
    if (end > from && input[end - 1] === 0x0d) end -= 1;
    return end;
  }

  /** Writes the noted cells to `row` and gives how many rows that made: 0 or 1. */
  private record(input: Uint8Array, start: number, cells: number, row: number): number {
    const { fields } = this.spec;
    const scratchStart = this.scratchEnd;
    for (let index = 0; index < fields.length; index += 1) {
      const cell = this.positions[index]!;
      const code = cell < cells ? this.writeCell(index, row, input) : 'json-missing';
      if (code === '') continue;
      const { name } = fields[index]!;
      this.errors.push({
        code: code === 'json-missing' ? 'csv-missing' : code === 'json-type' ? 'csv-type' : code,
        message: `field "${name}" ${faultMessages[code]}`,
        start,
        end: this.endOf(input, start),
        offset: cell < cells ? this.starts[cell]! : start,
        field: name,
      });
      this.scratchEnd = scratchStart;
      return 0;
    }
    this.records += 1;
    const time = this.columns[this.spec.timeField];
    if (time?.kind === 'number' && time.valid?.[row] !== 0) {
      this.timeMax = Math.max(this.timeMax, time.values[row]!);
    }
    if (this.passes(input, row)) return 1;
    this.scratchEnd = scratchStart;
    return 0;
  }

  private writeCell(index: number, row: number, input: Uint8Array): ValueFault {
    const { writer } = this;
    const cell = this.positions[index]!;
    const start = this.starts[cell]!;
    const end = this.ends[cell]!;
    const quotes = this.quoting[cell]!;
    const { type, nullable } = this.spec.fields[index]!;
    if (start === end && quotes === 0 && (nullable || type.kind !== 'string')) {
      return writer.writeNull(index, row);
    }
    if (quotes < 2) return writer.write(index, row, 'cell', input, [start, end]);
    const from = this.scratchEnd;
    this.unquote(input, start, end);
    const column = this.columns[index]!;
    const code = writer.write(index, row, 'cell', this.scratch, [from, this.scratchEnd]);
    if (column.kind === 'string') {
      column.starts[row] = ~from;
      column.ends[row] = ~this.scratchEnd;
    }
    return code;
  }

  /** Appends the cell to the scratch, each doubled quote once. */
  private unquote(input: Uint8Array, start: number, end: number): void {
    let size = this.scratch.length;
    while (size < this.scratchEnd + end - start) size *= 2;
    if (size > this.scratch.length) {
      const grown = new Uint8Array(size);
      grown.set(this.scratch.subarray(0, this.scratchEnd));
      this.scratch = grown;
    }
    for (let p = start; p < end; p += 1) {
      this.scratch[this.scratchEnd++] = input[p]!;
      if (input[p] === this.quote) p += 1;
    }
  }

  private passes(input: Uint8Array, row: number): boolean {
    for (const { field, bytes } of this.equals) {
      const column = this.columns[field]!;
      if (column.kind !== 'string' || column.valid?.[row] === 0) return false;
      const start = column.starts[row]!;
      const source = start < 0 ? this.scratch : input;
      const from = start < 0 ? ~start : start;
      const to = start < 0 ? ~column.ends[row]! : column.ends[row]!;
      if (!isSameSpan(source, from, to, bytes)) return false;
    }
    return true;
  }
}

function markCode(mark: string): number {
  const code = mark.charCodeAt(0);
  const isPlain = mark.length === 1 && code < 0x80 && code !== 0x0a && code !== 0x0d;
  assert(isPlain, 'delimiter and quote are each one ASCII character and no line end');
  return code;
}
