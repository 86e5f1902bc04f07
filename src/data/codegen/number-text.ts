// Numbers as bytes of text, in JSON's grammar, read exactly: integers without rounding, floats
// correctly rounded. JSON and CSV share it.

/** The end of the JSON number at `from`, or ~offset of the byte that cannot be. */
export function numberEnd(input: Uint8Array, from: number, to: number): number {
  let p = from;
  if (p < to && input[p] === 0x2d) p += 1;
  const first = p;
  p = digitsEnd(input, p, to);
  if (p === first) return ~p;
  if (input[first] === 0x30 && p > first + 1) return ~(first + 1);
  if (p < to && input[p] === 0x2e) {
    const fraction = p + 1;
    p = digitsEnd(input, fraction, to);
    if (p === fraction) return ~p;
  }
  if (p < to && (input[p]! | 0x20) === 0x65) {
    p += 1;
    if (p < to && (input[p] === 0x2b || input[p] === 0x2d)) p += 1;
    const exponent = p;
    p = digitsEnd(input, exponent, to);
    if (p === exponent) return ~p;
  }
  return p;
}

export function digitsEnd(input: Uint8Array, from: number, to: number): number {
  let p = from;
  while (p < to && input[p]! >= 0x30 && input[p]! <= 0x39) p += 1;
  return p;
}

/** The text of ASCII bytes. */
export function asciiText(input: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let p = from; p < to; p += 1) text += String.fromCharCode(input[p]!);
  return text;
}

/** Whether [from, to) is digits with at most a minus sign before them. */
export function isInteger(input: Uint8Array, from: number, to: number): boolean {
  const first = from < to && input[from] === 0x2d ? from + 1 : from;
  return first < to && digitsEnd(input, first, to) === to;
}

const powersOfTen = Float64Array.from({ length: 23 }, (_, index) => Number(`1e${index}`));

/** What `JSON.parse` gives for the JSON number [from, to). */
export function readFloat64(input: Uint8Array, from: number, to: number): number {
  // Up to 15 digits are exact in a float, as powers of ten up to 22 are: one rounding (Clinger).
  let p = from;
  const negative = input[p] === 0x2d;
  if (negative) p += 1;
  if (to - p > 16) return Number(asciiText(input, from, to));
  let mantissa = 0;
  let digits = 0;
  let point = -1;
  for (; p < to; p += 1) {
    const c = input[p]!;
    if (c === 0x2e) {
      point = p;
    } else if (c >= 0x30 && c <= 0x39) {
      mantissa = mantissa * 10 + (c - 0x30);
      digits += 1;
    } else {
      return Number(asciiText(input, from, to));
    }
  }
  if (digits > 15) return Number(asciiText(input, from, to));
  const value = point < 0 ? mantissa : mantissa / powersOfTen[to - point - 1]!;
  return negative ? -value : value;
}

/** The integer [from, to), which `isInteger`, or null when it leaves 64 bits. */
export function readInt64(input: Uint8Array, from: number, to: number): bigint | null {
  const negative = input[from] === 0x2d;
  let first = negative ? from + 1 : from;
  while (first < to - 1 && input[first] === 0x30) first += 1;
  if (to - first > 19) return null;
  const magnitude = BigInt(asciiText(input, first, to));
  const value = negative ? -magnitude : magnitude;
  return BigInt.asIntN(64, value) === value ? value : null;
}

/**
 * The JSON number [from, to) times 10^shift, floored and exact; Infinity from 10^17 on, NaN for
 * other text. Digits are moved, not multiplied: 1700000000.123 s is exactly 1700000000123 ms.
 */
export function readShifted(
  input: Uint8Array,
  span: readonly [number, number],
  shift: number,
): number {
  const [from, to] = span;
  if (to - from <= 15 && digitsEnd(input, from, to) === to) {
    let value = 0;
    for (let p = from; p < to; p += 1) value = value * 10 + (input[p]! - 0x30);
    if (shift === 0) return value;
    if (shift < 0) return Math.floor(value / powersOfTen[-shift]!);
    if (value < 1e12) return value * powersOfTen[shift]!;
  }
  const text = asciiText(input, from, to);
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) return Number.NaN;
  const fraction = match[3] ?? '';
  const digits = (match[2]! + fraction).replace(/^0+/, '');
  if (digits === '') return 0;
  const count = digits.length - fraction.length + Number(match[4] ?? 0) + shift;
  if (count > 17) return match[1] === '' ? Number.POSITIVE_INFINITY : -1;
  const whole = count <= 0 ? 0 : Number(digits.slice(0, count).padEnd(count, '0'));
  const rest = count <= 0 ? digits : digits.slice(count);
  return match[1] === '' ? whole : -whole - (/[1-9]/.test(rest) ? 1 : 0);
}
