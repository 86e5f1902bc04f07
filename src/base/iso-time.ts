// ISO 8601 date-times to epoch milliseconds and back, without `Date`: the proleptic Gregorian
// calendar in UTC, years 0000 to 9999. A text without an offset is taken as UTC, so that no machine's
// time zone can matter; digits beyond the millisecond are cut off.

const pattern =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?\s?(Z|z|[+-]\d\d(?::?\d\d)?)?)?$/;

const dayMs = 86_400_000;

/** Epoch milliseconds, or NaN when `text` is no ISO 8601 date or date-time. */
export function parseIsoTime(text: string): number {
  const match = pattern.exec(text);
  if (match === null) return NaN;
  const year = Number(match[1]);
  const month = Number(match[2]);
  const day = Number(match[3]);
  const hour = Number(match[4] ?? 0);
  const minute = Number(match[5] ?? 0);
  const second = Number(match[6] ?? 0);
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return NaN;
  if (hour > 23 || minute > 59 || second > 59) return NaN;
  const ms = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3));
  const timeMs = ((hour * 60 + minute) * 60 + second) * 1000 + ms;
  return daysFromCivil(year, month, day) * dayMs + timeMs - offsetMs(match[8] ?? 'Z');
}

function offsetMs(text: string): number {
  if (text === 'Z' || text === 'z') return 0;
  const hours = Number(text.slice(1, 3));
  const minutes = text.length > 3 ? Number(text.slice(-2)) : 0;
  if (hours > 23 || minutes > 59) return NaN;
  return (text[0] === '-' ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

/** `2026-11-23T19:50:22.125Z`, always with milliseconds. */
export function formatIsoTime(epochMs: number): string {
  const days = Math.floor(epochMs / dayMs);
  const { year, month, day } = civilFromDays(days);
  const ms = Math.floor(epochMs) - days * dayMs;
  const time = [ms / 3_600_000, (ms / 60_000) % 60, (ms / 1000) % 60].map((part) =>
    digits(part, 2),
  );
  const date = `${formatYear(year)}-${digits(month, 2)}-${digits(day, 2)}`;
  return `${date}T${time.join(':')}.${digits(ms % 1000, 3)}Z`;
}

function formatYear(year: number): string {
  if (year >= 0 && year <= 9999) return digits(year, 4);
  return (year < 0 ? '-' : '+') + digits(Math.abs(year), 6);
}

function digits(value: number, count: number): string {
  return String(Math.floor(value)).padStart(count, '0');
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Days since 1970-01-01. Years begin in March here, so that a leap day is a year's last. */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const leaps = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100);
  return era * 146_097 + yearOfEra * 365 + leaps + dayOfYear - 719_468;
}

export type CivilDate = { readonly year: number; readonly month: number; readonly day: number };

/** The inverse of `daysFromCivil`. */
export function civilFromDays(days: number): CivilDate {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const leaps = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100);
  const dayOfYear = dayOfEra - (yearOfEra * 365 + leaps);
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}
