// Calendar arithmetic on epoch milliseconds in UTC: reading and writing ISO 8601, truncating to a
// unit. The proleptic Gregorian calendar, as in JavaScript's Date; no leap seconds.

import { assert } from '../base/assert.ts';

const dayMs = 86_400_000;
const datePart = String.raw`(\d{4})-(\d\d)-(\d\d)`;
const clockPart = String.raw`(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?`;
const zonePart = String.raw`(Z|z|[+-]\d\d(?::?\d\d)?)`;
const pattern = new RegExp(`^${datePart}(?:[Tt ]${clockPart}${zonePart}?)?$`);

/**
 * `YYYY-MM-DD`, optionally followed by `T` or a space, `HH:MM[:SS[.fraction]]` and `Z` or an offset
 * (`+HH`, `+HHMM`, `+HH:MM`). Without an offset it is UTC; digits beyond milliseconds are cut.
 * Null for anything else, days and hours that do not exist included.
 */
export function parseIso(text: string): number | null {
  const match = pattern.exec(text);
  if (match === null) return null;
  const part = (index: number): number => Number(match[index] ?? 0);
  const [year, month, day] = [part(1), part(2), part(3)];
  const [hour, minute, second] = [part(4), part(5), part(6)];
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return null;
  if (hour > 23 || minute > 59 || second > 59) return null;
  const offset = offsetMinutes(match[8] ?? 'Z');
  if (offset === null) return null;
  const ms = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'));
  const minutes = hour * 60 + minute - offset;
  return daysFromCivil(year, month, day) * dayMs + minutes * 60_000 + second * 1000 + ms;
}

function offsetMinutes(text: string): number | null {
  if (text === 'Z' || text === 'z') return 0;
  const digits = text.slice(1).replace(':', '');
  const hours = Number(digits.slice(0, 2));
  const minutes = Number(digits.slice(2));
  if (hours > 23 || minutes > 59) return null;
  return (text.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}

/** `2024-02-29T12:00:00.000Z`; outside the years 0000 to 9999 the digits of the epoch ms. */
export function isoText(timeMs: number): string {
  const days = Math.floor(timeMs / dayMs);
  const { year, month, day } = civilFromDays(days);
  if (year < 0 || year > 9999) return String(timeMs);
  const rest = timeMs - days * dayMs;
  const pad = (value: number, digits: number): string => String(value).padStart(digits, '0');
  const time = [rest / 3_600_000, (rest / 60_000) % 60, (rest / 1000) % 60].map((value) =>
    pad(Math.floor(value), 2),
  );
  const date = `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
  return `${date}T${time.join(':')}.${pad(rest % 1000, 3)}Z`;
}

/** The start of the second, minute, hour, day, week (Monday), month or year that holds the time. */
export function truncateTime(unit: string, timeMs: number): number {
  const days = Math.floor(timeMs / dayMs);
  const fixed = fixedUnitsMs.get(unit);
  if (fixed !== undefined) return Math.floor(timeMs / fixed) * fixed;
  // The epoch was a Thursday, three days after a Monday.
  if (unit === 'week') return (Math.floor((days + 3) / 7) * 7 - 3) * dayMs;
  const { year, month } = civilFromDays(days);
  if (unit === 'month') return daysFromCivil(year, month, 1) * dayMs;
  assert(unit === 'year', `date-trunc does not know the unit ${unit}`);
  return daysFromCivil(year, 1, 1) * dayMs;
}

const fixedUnitsMs: ReadonlyMap<string, number> = new Map([
  ['second', 1000],
  ['minute', 60_000],
  ['hour', 3_600_000],
  ['day', dayMs],
]);

function daysInMonth(year: number, month: number): number {
  const next = month === 12 ? daysFromCivil(year + 1, 1, 1) : daysFromCivil(year, month + 1, 1);
  return next - daysFromCivil(year, month, 1);
}

/** Days since 1970-01-01. Years are counted from March, so that a leap day ends its year. */
function daysFromCivil(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const marchMonth = (month + 9) % 12;
  const dayOfYear = Math.floor((153 * marchMonth + 2) / 5) + day - 1;
  return daysBeforeMarchYear(marchYear) + dayOfYear - 719_468;
}

/** Days from 0000-03-01 to the first of March of the year. */
function daysBeforeMarchYear(year: number): number {
  return 365 * year + Math.floor(year / 4) - Math.floor(year / 100) + Math.floor(year / 400);
}

function civilFromDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  let marchYear = Math.floor(shifted / 365.2425);
  if (daysBeforeMarchYear(marchYear + 1) <= shifted) marchYear++;
  if (daysBeforeMarchYear(marchYear) > shifted) marchYear--;
  const dayOfYear = shifted - daysBeforeMarchYear(marchYear);
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return { year: marchMonth < 10 ? marchYear : marchYear + 1, month, day };
}
