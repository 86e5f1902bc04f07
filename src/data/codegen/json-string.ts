// JSON strings as bytes: finding their end with every check that a strict parser makes, and
// unescaping. Lone surrogates, which JSON allows and UTF-8 cannot hold, become U+FFFD.

/** What `stringEnd` gives instead of a position. */
export const stringFault = { syntax: -1, utf8: -2 } as const;

const quote = 0x22;
const backslash = 0x5c;

/** 1 for ASCII that stands for itself in a string. */
const plain = Uint8Array.from({ length: 256 }, (_, c) =>
  c >= 0x20 && c < 0x80 && c !== quote && c !== backslash ? 1 : 0,
);

/**
 * The position of the quote that closes the string whose first byte is at `from`, or a
 * `stringFault`. `at.offset` is where it went wrong, `at.escaped` whether there was an escape.
 */
export function stringEnd(
  input: Uint8Array,
  from: number,
  to: number,
  at: { offset: number; escaped: boolean },
): number {
  at.escaped = false;
  let p = from;
  while (true) {
    while (p < to && plain[input[p]!] === 1) p += 1;
    if (p >= to) break;
    const c = input[p]!;
    if (c === quote) return p;
    if (c === backslash) {
      at.escaped = true;
      const length = escapeLength(input, p, to);
      if (length === 0) break;
      p += length;
    } else if (c < 0x20) {
      break;
    } else {
      const length = sequenceLength(input, p, to);
      if (length === 0) {
        at.offset = p;
        return stringFault.utf8;
      }
      p += length;
    }
  }
  at.offset = p;
  return stringFault.syntax;
}

/** Bytes of the escape at `p`; 0 when it is none that JSON knows. */
function escapeLength(input: Uint8Array, p: number, to: number): number {
  if (p + 1 >= to) return 0;
  const c = input[p + 1]!;
  if (c === 0x75) return p + 6 <= to && hexAt(input, p + 2) >= 0 ? 6 : 0;
  return simpleEscape(c) === 0 ? 0 : 2;
}

/** Bytes of the UTF-8 sequence at `p`, which is not ASCII; 0 when RFC 3629 does not allow it. */
export function sequenceLength(input: Uint8Array, p: number, to: number): number {
  const c = input[p]!;
  const length = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
  if (length === 0 || p + length > to) return 0;
  const second = input[p + 1]!;
  const low = c === 0xe0 ? 0xa0 : c === 0xf0 ? 0x90 : 0x80;
  const high = c === 0xed ? 0x9f : c === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let i = 2; i < length; i += 1) if ((input[p + i]! & 0xc0) !== 0x80) return 0;
  return length;
}

/** The byte that `\c` stands for; 0 when there is no such escape. */
function simpleEscape(c: number): number {
  switch (c) {
    case quote:
    case backslash:
    case 0x2f:
      return c;
    case 0x62:
      return 8;
    case 0x66:
      return 12;
    case 0x6e:
      return 10;
    case 0x72:
      return 13;
    case 0x74:
      return 9;
    default:
      return 0;
  }
}

/** The value of the four hexadecimal digits at `p`, or -1. */
function hexAt(input: Uint8Array, p: number): number {
  let value = 0;
  for (let i = p; i < p + 4; i += 1) {
    const c = input[i]!;
    const letter = c | 0x20;
    const digit =
      c >= 0x30 && c <= 0x39 ? c - 0x30 : letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/**
 * Writes the checked string [from, to) of `input` unescaped to `output` at `offset` and gives the
 * end. It never gets longer than it was.
 */
export function unescapeString(
  input: Uint8Array,
  from: number,
  to: number,
  output: Uint8Array,
  offset: number,
): number {
  let p = from;
  let o = offset;
  while (p < to) {
    const c = input[p]!;
    if (c !== backslash) {
      output[o++] = c;
      p += 1;
    } else if (input[p + 1] !== 0x75) {
      output[o++] = simpleEscape(input[p + 1]!);
      p += 2;
    } else {
      let point = hexAt(input, p + 2);
      p += 6;
      if (point >= 0xd800 && point <= 0xdfff) {
        const low =
          point <= 0xdbff && p + 6 <= to && input[p] === backslash && input[p + 1] === 0x75
            ? hexAt(input, p + 2)
            : -1;
        if (low >= 0xdc00 && low <= 0xdfff) {
          point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
          p += 6;
        } else {
          point = 0xfffd;
        }
      }
      o = writePoint(output, o, point);
    }
  }
  return o;
}

function writePoint(output: Uint8Array, offset: number, point: number): number {
  let o = offset;
  if (point < 0x80) {
    output[o++] = point;
  } else if (point < 0x800) {
    output[o++] = 0xc0 | (point >> 6);
    output[o++] = 0x80 | (point & 0x3f);
  } else {
    if (point < 0x10000) {
      output[o++] = 0xe0 | (point >> 12);
    } else {
      output[o++] = 0xf0 | (point >> 18);
      output[o++] = 0x80 | ((point >> 12) & 0x3f);
    }
    output[o++] = 0x80 | ((point >> 6) & 0x3f);
    output[o++] = 0x80 | (point & 0x3f);
  }
  return o;
}
