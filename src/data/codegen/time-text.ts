// Timestamps as bytes of text: ISO 8601 and numbers of seconds, milliseconds or microseconds, read
// as whole epoch milliseconds, floored. JSON and CSV share it.

import type { TimeEncoding } from '../../schema/data-type.ts';
import { digitsEnd, isInteger, numberEnd, readShifted } from './number-text.ts';

/** Decimal places from the unit to milliseconds. */
const shifts = { iso: 0, auto: 0, s: 3, ms: 0, us: -3 } as const;

/** The time written as the JSON number [from, to); NaN when the encoding has no numbers. */
export function readTimeNumber(
  input: Uint8Array,
  span: readonly [number, number],
  encoding: TimeEncoding,
): number {
  return encoding === 'iso' ? Number.NaN : readShifted(input, span, shifts[encoding]);
}

/** The time written as text: digits, or ISO 8601 where the encoding has it; NaN for neither. */
export function readTimeText(
  input: Uint8Array,
  span: readonly [number, number],
  encoding: TimeEncoding,
): number {
  const [from, to] = span;
  if (encoding !== 'iso' && isInteger(input, from, to)) {
    return readShifted(input, span, shifts[encoding]);
  }
  return encoding === 'iso' || encoding === 'auto' ? readIsoTime(input, from, to) : Number.NaN;
}

/** The number of a CSV cell, which may have a fraction where a JSON string may not. */
export function readTimeCell(
  input: Uint8Array,
  span: readonly [number, number],
  encoding: TimeEncoding,
): number {
  const isNumber = numberEnd(input, span[0], span[1]) === span[1];
  return isNumber && encoding !== 'iso'
    ? readTimeNumber(input, span, encoding)
    : readTimeText(input, span, encoding);
}

/**
 * `2024-02-29`, `2024-02-29T12:34Z`, `2024-02-29 12:34:56.789+02:00`. Without a zone it is UTC, a
 * date alone its midnight. Leap seconds, weeks and ordinal days are not read.
 */
export function readIsoTime(input: Uint8Array, from: number, to: number): number {
  const year = digits(input, from, to, 4);
  const month = digits(input, from + 5, to, 2);
  const day = digits(input, from + 8, to, 2);
  const isDate = at(input, from + 4, to) === 0x2d && at(input, from + 7, to) === 0x2d;
  // Written so that NaN, which a missing digit gives, fails every comparison.
  if (!(isDate && year >= 0 && month >= 1 && month <= 12 && day >= 1)) return Number.NaN;
  if (!(day <= daysOfMonth(year, month))) return Number.NaN;
  const midnight = daysFromCivil(year, month, day) * 86_400_000;
  let p = from + 10;
  if (p === to) return midnight;
  const separator = at(input, p, to);
  if (separator !== 0x20 && (separator | 0x20) !== 0x74) return Number.NaN;
  const hour = digits(input, p + 1, to, 2);
  const minute = digits(input, p + 4, to, 2);
  if (!(at(input, p + 3, to) === 0x3a && hour <= 23 && minute <= 59)) return Number.NaN;
  p += 6;
  let ms = (hour * 60 + minute) * 60_000;
  let floor = 0;
  if (at(input, p, to) === 0x3a) {
    const second = digits(input, p + 1, to, 2);
    if (!(second <= 59)) return Number.NaN;
    ms += second * 1000;
    p += 3;
    const mark = at(input, p, to);
    if (mark === 0x2e || mark === 0x2c) {
      const end = digitsEnd(input, p + 1, to);
      if (end === p + 1) return Number.NaN;
      for (let i = 0, unit = 100; i < 3 && p + 1 + i < end; i += 1, unit /= 10) {
        floor += (input[p + 1 + i]! - 0x30) * unit;
      }
      p = end;
    }
  }
  const offsetMinutes = zoneOffset(input, p, to);
  return midnight + ms + floor - offsetMinutes * 60_000;
}

/** Minutes east of UTC that [from, to) states; NaN when it is no zone. */
function zoneOffset(input: Uint8Array, from: number, to: number): number {
  if (from === to) return 0;
  const sign = input[from]!;
  if ((sign | 0x20) === 0x7a) return from + 1 === to ? 0 : Number.NaN;
  if (sign !== 0x2b && sign !== 0x2d) return Number.NaN;
  const hour = digits(input, from + 1, to, 2);
  let p = from + 3;
  let minute = 0;
  if (p < to) {
    if (input[p] === 0x3a) p += 1;
    minute = digits(input, p, to, 2);
    p += 2;
  }
  if (!(p === to && hour <= 23 && minute <= 59)) return Number.NaN;
  return (sign === 0x2d ? -1 : 1) * (hour * 60 + minute);
}

function at(input: Uint8Array, p: number, to: number): number {
  return p < to ? input[p]! : -1;
}

/** The number of exactly `count` digits at `from`, or NaN. */
function digits(input: Uint8Array, from: number, to: number, count: number): number {
  if (from + count > to) return Number.NaN;
  let value = 0;
  for (let p = from; p < from + count; p += 1) {
    const digit = input[p]! - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

function daysOfMonth(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar, years counted from March. */
function daysFromCivil(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const leapDays =
    Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  return marchYear * 365 + leapDays + dayOfYear - 719_468;
}
