// String functions on UTF-8 spans, for generated code to call: no string is decoded where bytes
// will do. The bytes are well-formed UTF-8; scanners and encoders see to that.

import { decodeUtf8 } from '../columnar/utf8.ts';
import type { ScratchArena } from './scratch-arena.ts';

export function spanEquals(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): boolean {
  const length = aEnd - aStart;
  if (length !== bEnd - bStart) return false;
  // Ids that share a beginning differ at the end.
  for (let index = length - 1; index >= 0; index--) {
    if (a[aStart + index] !== b[bStart + index]) return false;
  }
  return true;
}

/** As `spanEquals`, four bytes at a time; for spans of buffers that have a view. */
export function viewEquals(
  a: DataView,
  aStart: number,
  aEnd: number,
  b: DataView,
  bStart: number,
  bEnd: number,
): boolean {
  const length = aEnd - aStart;
  if (length !== bEnd - bStart) return false;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    if (a.getInt32(aStart + at, true) !== b.getInt32(bStart + at, true)) return false;
  }
  for (; at < length; at++) {
    if (a.getUint8(aStart + at) !== b.getUint8(bStart + at)) return false;
  }
  return true;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Negative, zero or positive: by bytes, which is also the order of code points. */
export function spanCompare(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const length = Math.min(aEnd - aStart, bEnd - bStart);
  for (let index = 0; index < length; index++) {
    const difference = a[aStart + index]! - b[bStart + index]!;
    if (difference !== 0) return difference;
  }
  return aEnd - aStart - (bEnd - bStart);
}

export function spanStartsWith(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): boolean {
  const length = bEnd - bStart;
  return aEnd - aStart >= length && spanEquals(a, aStart, aStart + length, b, bStart, bEnd);
}

export function spanEndsWith(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): boolean {
  const length = bEnd - bStart;
  return aEnd - aStart >= length && spanEquals(a, aEnd - length, aEnd, b, bStart, bEnd);
}

export function spanContains(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): boolean {
  const length = bEnd - bStart;
  const last = aEnd - length;
  if (length === 0) return true;
  const first = b[bStart];
  for (let at = aStart; at <= last; at++) {
    if (a[at] === first && spanEquals(a, at, at + length, b, bStart, bEnd)) return true;
  }
  return false;
}

export function spanLength(bytes: Uint8Array, start: number, end: number): number {
  let points = 0;
  for (let at = start; at < end; at++) if ((bytes[at]! & 0xc0) !== 0x80) points++;
  return points;
}

/** The offset behind the first `points` code points; fractions are cut, negative is none. */
export function spanSkip(bytes: Uint8Array, start: number, end: number, points: number): number {
  let at = start;
  for (let left = points; left >= 1 && at < end; left--) {
    at++;
    while (at < end && (bytes[at]! & 0xc0) === 0x80) at++;
  }
  return at;
}

/** Where the text starts when `trim` has taken the space before it. */
export function spanTrimStart(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const length = spaceBytes(bytes, at, end);
    if (length === 0) break;
    at += length;
  }
  return at;
}

/** Where the text ends when `trim` has taken the space behind it. */
export function spanTrimEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start) {
    let last = at - 1;
    while (last > start && (bytes[last]! & 0xc0) === 0x80) last--;
    if (spaceBytes(bytes, last, at) === 0) break;
    at = last;
  }
  return at;
}

/** Bytes of the white space at `at`, by JavaScript's definition; 0 when there is none. */
function spaceBytes(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return first === 0x20 || (first >= 0x09 && first <= 0x0d) ? 1 : 0;
  if (first === 0xc2) return at + 2 <= end && bytes[at + 1] === 0xa0 ? 2 : 0;
  if (at + 3 > end) return 0;
  return isWideSpace((first << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!) ? 3 : 0;
}

/** Whether three bytes of UTF-8 are U+1680, 2000–200A, 2028, 2029, 202F, 205F, 3000 or FEFF. */
function isWideSpace(three: number): boolean {
  if (three >= 0xe28080 && three <= 0xe2808a) return true;
  switch (three) {
    case 0xe19a80:
    case 0xe280a8:
    case 0xe280a9:
    case 0xe280af:
    case 0xe2819f:
    case 0xe38080:
    case 0xefbbbf:
      return true;
    default:
      return false;
  }
}

/** Appends the lower-case form to the arena. */
export function appendLower(
  arena: ScratchArena,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  if (!appendAscii(arena, bytes, start, end, 0x41)) {
    arena.appendText(decodeUtf8(bytes, start, end).toLowerCase());
  }
}

/** Appends the upper-case form to the arena. */
export function appendUpper(
  arena: ScratchArena,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  if (!appendAscii(arena, bytes, start, end, 0x61)) {
    arena.appendText(decodeUtf8(bytes, start, end).toUpperCase());
  }
}

/** Appends ASCII with the 26 letters from `first` in their other case; false: not ASCII. */
function appendAscii(
  arena: ScratchArena,
  source: Uint8Array,
  start: number,
  end: number,
  first: number,
): boolean {
  const from = arena.length;
  const to = from + end - start;
  if (to > arena.bytes.length) arena.grow(to);
  const bytes = arena.bytes;
  let all = 0;
  for (let read = start, write = from; read < end; read++, write++) {
    const byte = source[read]!;
    all |= byte;
    bytes[write] = byte >= first && byte < first + 26 ? byte ^ 0x20 : byte;
  }
  if (all > 0x7f) return false;
  arena.length = to;
  return true;
}

/** Appends a number as JavaScript writes it. */
export function appendNumberText(arena: ScratchArena, value: number): void {
  if ((value | 0) !== value || value < 0) {
    arena.appendText(String(value));
    return;
  }
  let count = 1;
  for (let rest = value; rest >= 10; rest = (rest / 10) | 0) count++;
  const to = arena.length + count;
  if (to > arena.bytes.length) arena.grow(to);
  const bytes = arena.bytes;
  let rest = value | 0;
  for (let at = to - 1; at >= arena.length; at--) {
    const tens = (rest / 10) | 0;
    bytes[at] = 0x30 + rest - tens * 10;
    rest = tens;
  }
  arena.length = to;
}
