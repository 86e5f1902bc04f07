// Makes lines of the records of a batch without copying: what stands between two values (lengths,
// keys, headers) is overwritten by line feeds. The JSON scanner passes empty lines faster than
// anything else, so that a batch is read where it arrived.
//
// A line feed inside a value becomes a carriage return: white space between JSON's tokens as well,
// and as forbidden inside its strings, so that no record is read otherwise than `JSON.parse` would.

import type { NewlineSearch } from '../../data/codegen/newline-search.ts';
import type { LineTable } from './line-table.ts';

const lineFeed = 10;
const carriageReturn = 13;

export type RecordsSpan = {
  /** The first record begins here, and the last ends at `to`. */
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly baseOffset: number;
};

/**
 * A null value, a tombstone, becomes an empty line, which is no record; so is a value of nothing
 * but white space. `search` has begun with `bytes`. Gives false where the records are not whole.
 */
export function layLines(
  bytes: Uint8Array,
  { from, to, count, baseOffset }: RecordsSpan,
  { table, search }: { readonly table: LineTable; readonly search: NewlineSearch },
): boolean {
  table.reserve(count);
  const { starts, offsets } = table;
  let row = table.count;
  let newline = search.next(from, to);
  let p = from;
  let byte = 0;
  for (let left = count; left > 0; left--) {
    starts[row] = p;
    let value = 0;
    let shift = 0;
    do {
      byte = bytes[p]!;
      bytes[p++] = lineFeed;
      value |= (byte & 127) << shift;
      shift += 7;
    } while (byte > 127);
    // Lengths are zigzag codes, so that -1 can be said; a record's own is never negative.
    const end = p + (value >>> 1);
    if (end > to || (value & 1) === 1) return false;
    bytes[p++] = lineFeed;
    do {
      byte = bytes[p]!;
      bytes[p++] = lineFeed;
    } while (byte > 127);
    value = 0;
    shift = 0;
    do {
      byte = bytes[p]!;
      bytes[p++] = lineFeed;
      value |= (byte & 127) << shift;
      shift += 7;
    } while (byte > 127);
    offsets[row] = baseOffset + (value >>> 1);
    value = 0;
    shift = 0;
    do {
      byte = bytes[p]!;
      bytes[p++] = lineFeed;
      value |= (byte & 127) << shift;
      shift += 7;
    } while (byte > 127);
    if ((value & 1) === 0) {
      const keyEnd = p + (value >>> 1);
      if (keyEnd >= end) return false;
      if (keyEnd - p > 24) {
        bytes.fill(lineFeed, p, keyEnd);
        p = keyEnd;
      } else while (p < keyEnd) bytes[p++] = lineFeed;
    }
    value = 0;
    shift = 0;
    do {
      byte = bytes[p]!;
      bytes[p++] = lineFeed;
      value |= (byte & 127) << shift;
      shift += 7;
    } while (byte > 127);
    if ((value & 1) === 0) {
      const valueEnd = p + (value >>> 1);
      // The count of headers comes behind it at least.
      if (valueEnd >= end) return false;
      if (newline < valueEnd)
        newline = hideNewlines(bytes, { from: p, to: valueEnd, end: to }, search);
      p = valueEnd;
    }
    if (p >= end) return false;
    if (end - p > 24) {
      bytes.fill(lineFeed, p, end);
      p = end;
    } else while (p < end) bytes[p++] = lineFeed;
    row++;
  }
  table.count = row;
  return p === to;
}

/** Those of the value [from, to); gives the next one up to `end`. */
function hideNewlines(
  bytes: Uint8Array,
  { from, to, end }: { readonly from: number; readonly to: number; readonly end: number },
  search: NewlineSearch,
): number {
  let newline = search.next(from, end);
  for (; newline < to; newline = search.next(newline + 1, end)) bytes[newline] = carriageReturn;
  return newline;
}
