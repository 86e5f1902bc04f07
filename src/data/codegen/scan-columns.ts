// The columns that a scanner fills, and the writing of one value's text into them by the rules of
// its type. JSON and CSV share it; the generated scan writes the same arrays.

import { assert, unreachable } from '../../base/assert.ts';
import type { Field, TimeEncoding } from '../../schema/data-type.ts';
import { asciiText, isInteger, readFloat64, readInt64, numberEnd } from './number-text.ts';
import { type ScanColumn, type ScanSpec, scanChunkRows } from './scanner.ts';
import { readTimeCell, readTimeNumber, readTimeText } from './time-text.ts';

/** How a value is written. A `cell` is CSV text, which may be anything. */
export type ValueForm = 'number' | 'string' | 'true' | 'false' | 'null' | 'nested' | 'cell';

/** Byte offsets of one column's arrays in the buffer of all; -1 where there is none. */
export type ColumnPlace = {
  readonly values: number;
  readonly ends: number;
  readonly valid: number;
};

/** Where the columns of `fields` go in one buffer, each array 16-byte aligned. */
export function placeColumns(
  fields: readonly Field[],
  offset: number,
): { readonly places: readonly ColumnPlace[]; readonly end: number } {
  let end = offset;
  const take = (bytes: number): number => {
    const place = end;
    end = (end + bytes + 15) & ~15;
    return place;
  };
  const places = fields.map((field) => ({
    values: take(scanChunkRows * bytesPerRow(field)),
    ends: isText(field) ? take(scanChunkRows * 4) : -1,
    valid: field.nullable ? take(scanChunkRows) : -1,
  }));
  return { places, end };
}

function isText(field: Field): boolean {
  return field.type.kind === 'string' || field.type.kind === 'json';
}

function bytesPerRow(field: Field): number {
  const { kind } = field.type;
  if (kind === 'boolean') return 1;
  return kind === 'int32' || isText(field) ? 4 : 8;
}

export function columnAt(buffer: ArrayBuffer, field: Field, place: ColumnPlace): ScanColumn {
  const rows = scanChunkRows;
  const valid = place.valid < 0 ? null : new Uint8Array(buffer, place.valid, rows);
  const { kind } = field.type;
  switch (kind) {
    case 'boolean':
      return { kind, values: new Uint8Array(buffer, place.values, rows), valid };
    case 'int32':
      return { kind, values: new Int32Array(buffer, place.values, rows), valid };
    case 'int64':
      return { kind, values: new BigInt64Array(buffer, place.values, rows), valid };
    case 'float64':
    case 'timestamp':
      return { kind: 'number', values: new Float64Array(buffer, place.values, rows), valid };
    case 'string':
    case 'json': {
      const starts = new Int32Array(buffer, place.values, rows);
      return { kind: 'string', starts, ends: new Int32Array(buffer, place.ends, rows), valid };
    }
    default:
      return unreachable(kind);
  }
}

/** Mistakes of the planner, found when a scanner is made and not in the middle of a record. */
export function checkSpec(spec: ScanSpec): void {
  const { fields, timeField, equals } = spec;
  assert(fields.length <= 4096, 'a scanner has at most 4096 fields');
  assert(
    timeField === -1 || fields[timeField]?.type.kind === 'timestamp',
    'the event time is a timestamp',
  );
  for (const { name, path } of fields) {
    assert(path.length > 0, `field "${name}" has a path`);
    assert(
      path.every((key) => key.isWellFormed()),
      `the path of field "${name}" is well-formed Unicode`,
    );
  }
  for (const { field } of equals) {
    assert(fields[field]?.type.kind === 'string', 'equals is pushed down on strings only');
  }
}

/** What a `ValueFault` says of a field, for the message of an error. */
export const faultMessages: Readonly<Record<ValueFault, string>> = {
  '': '',
  'json-missing': 'has no value',
  'json-type': 'has a value of another type',
  'number-range': 'has a number that its type cannot hold exactly',
  'time-syntax': 'has no readable time',
  'time-range': 'has a time that is negative or too far ahead',
};

/** Why a value was refused; '' when it was written. */
export type ValueFault =
  | ''
  | 'json-missing'
  | 'json-type'
  | 'number-range'
  | 'time-syntax'
  | 'time-range';

/** The last time that a `Date` can be; every whole millisecond up to it is exact. */
export const timeMsMax = 8.64e15;

export class ColumnWriter {
  readonly columns: readonly ScanColumn[];
  /** The greatest time that is accepted. */
  timeEnd = 0;
  private readonly fields: readonly Field[];

  constructor(fields: readonly Field[], columns: readonly ScanColumn[]) {
    this.fields = fields;
    this.columns = columns;
  }

  /** Writes null, or says that the field must not be. */
  writeNull(index: number, row: number): ValueFault {
    const column = this.columns[index]!;
    if (column.valid === null) return 'json-missing';
    column.valid[row] = 0;
    if (column.kind === 'int64') {
      column.values[row] = 0n;
    } else if (column.kind === 'string') {
      column.starts[row] = 0;
      column.ends[row] = 0;
    } else {
      column.values[row] = 0;
    }
    return '';
  }

  /** Writes the text [span[0], span[1]) of `bytes`; a string's span is without its quotes. */
  write(
    index: number,
    row: number,
    form: ValueForm,
    bytes: Uint8Array,
    span: readonly [number, number],
  ): ValueFault {
    const column = this.columns[index]!;
    const { type } = this.fields[index]!;
    if (column.valid !== null) column.valid[row] = 1;
    switch (column.kind) {
      case 'boolean': {
        const word = form === 'cell' ? booleanForm(bytes, span) : form;
        if (word !== 'true' && word !== 'false') return 'json-type';
        column.values[row] = word === 'true' ? 1 : 0;
        return '';
      }
      case 'int32': {
        if (!isNumber(form, bytes, span)) return 'json-type';
        const value = readFloat64(bytes, span[0], span[1]);
        if (value !== (value | 0)) return 'number-range';
        column.values[row] = value;
        return '';
      }
      case 'int64': {
        if (form !== 'number' && form !== 'string' && form !== 'cell') return 'json-type';
        if (!isInteger(bytes, span[0], span[1])) {
          return isNumber(form, bytes, span) ? 'number-range' : 'json-type';
        }
        const value = readInt64(bytes, span[0], span[1]);
        if (value === null) return 'number-range';
        column.values[row] = value;
        return '';
      }
      case 'number': {
        if (type.kind === 'timestamp') {
          const time = readTime(type.encoding, form, bytes, span);
          const isText = form === 'string' || form === 'cell';
          if (Number.isNaN(time)) return isText ? 'time-syntax' : 'json-type';
          if (!(time >= 0 && time <= this.timeEnd)) return 'time-range';
          // The sum turns -0 into 0.
          column.values[row] = time + 0;
        } else {
          if (!isNumber(form, bytes, span)) return 'json-type';
          column.values[row] = readFloat64(bytes, span[0], span[1]);
        }
        return '';
      }
      case 'string': {
        if (type.kind === 'string' && form !== 'string' && form !== 'cell') return 'json-type';
        column.starts[row] = span[0];
        column.ends[row] = span[1];
        return '';
      }
      default:
        return unreachable(column);
    }
  }
}

function readTime(
  encoding: TimeEncoding,
  form: ValueForm,
  bytes: Uint8Array,
  span: readonly [number, number],
): number {
  switch (form) {
    case 'number':
      return readTimeNumber(bytes, span, encoding);
    case 'string':
      return readTimeText(bytes, span, encoding);
    case 'cell':
      return readTimeCell(bytes, span, encoding);
    default:
      return Number.NaN;
  }
}

function isNumber(form: ValueForm, bytes: Uint8Array, span: readonly [number, number]): boolean {
  if (form === 'number') return true;
  return form === 'cell' && span[0] < span[1] && numberEnd(bytes, span[0], span[1]) === span[1];
}

/** The form of a CSV cell that is a truth value in whatever case. */
function booleanForm(bytes: Uint8Array, span: readonly [number, number]): ValueForm {
  if (span[1] - span[0] > 5) return 'cell';
  const word = asciiText(bytes, span[0], span[1]).toLowerCase();
  return word === 'true' || word === 'false' ? word : 'cell';
}

/** Whether [from, to) of `input` is exactly `bytes`. */
export function isSameSpan(
  input: Uint8Array,
  from: number,
  to: number,
  bytes: Uint8Array,
): boolean {
  if (to - from !== bytes.length) return false;
  for (let i = 0; i < bytes.length; i += 1) if (input[from + i] !== bytes[i]) return false;
  return true;
}
