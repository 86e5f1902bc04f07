// Values of wide types as what rows hold, without rounding: where a value does not fit, it throws.

import type { DataType, RowValue } from '../../../schema/data-type.ts';

/** Gives a float64 only where it is the very integer. */
export function exactNumber(value: number | bigint): number {
  const number = Number(value);
  if (typeof value === 'number' || BigInt(number) === value) return number;
  throw new Error(`${value} does not fit a float64 without rounding`);
}

/** In JSON an integer is a number where that is exact, else its digits as a string. */
export function jsonInteger(value: number | bigint): number | string {
  if (typeof value === 'number') return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

/** JSON has no word for these; `NaN` and `Infinity` as strings, like Protobuf's JSON. */
export function jsonFloat(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

/** Whole milliseconds, rounded down, of an instant in smaller units. */
export function floorMs(value: number | bigint, unitsPerMs: bigint): number {
  const wide = BigInt(value);
  const floor = wide / unitsPerMs - (wide % unitsPerMs < 0n ? 1n : 0n);
  return Number(floor);
}

/** Epoch ms as the engine reads it in this column: it takes numbers in the column's encoding. */
export function instantValue(ms: number, type: DataType): RowValue {
  const isCounted = type.kind === 'timestamp' && (type.encoding === 's' || type.encoding === 'us');
  // Only a Date has its own unit.
  return isCounted ? (new Date(ms) as unknown as RowValue) : ms;
}

/** `12.30` for 1230 with scale 2. */
export function decimalText(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  const sign = unscaled < 0n ? '-' : '';
  if (scale === 0) return sign + digits;
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** The float64 that is written with the same digits. */
export function decimalNumber(unscaled: bigint, scale: number): number {
  const text = decimalText(unscaled, scale);
  const number = Number(text);
  if (unscaledOf(String(number), scale) === unscaled) return number;
  throw new Error(`the decimal ${text} does not fit a float64 without rounding`);
}

export function decimalInteger(unscaled: bigint, scale: number): bigint {
  const unit = 10n ** BigInt(scale);
  if (unscaled % unit === 0n) return unscaled / unit;
  throw new Error(`the decimal ${decimalText(unscaled, scale)} is no whole number`);
}

/** Null: no decimal number, or one with more digits than the scale has room for. */
export function unscaledOf(text: string, scale: number): bigint | null {
  const match = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/.exec(text.trim());
  if (match === null) return null;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const shift = scale + Number(exponent) - fraction.length;
  const digits = BigInt(whole + fraction);
  const divisor = shift < 0 ? 10n ** BigInt(-shift) : 1n;
  if (digits % divisor !== 0n) return null;
  const unscaled = shift < 0 ? digits / divisor : digits * 10n ** BigInt(shift);
  return sign === '-' ? -unscaled : unscaled;
}

/** Two's complement, most significant byte first. */
export function bigintOfBytes(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  const hex = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  return BigInt.asIntN(bytes.length * 8, hex);
}

/** As few bytes as hold it, or `size` of them; null: it does not fit. */
export function bytesOfBigint(value: bigint, size: number | null): Buffer | null {
  let bytes = size ?? 1;
  while (size === null && BigInt.asIntN(bytes * 8, value) !== value) bytes++;
  if (BigInt.asIntN(bytes * 8, value) !== value) return null;
  const hex = BigInt.asUintN(bytes * 8, value).toString(16);
  return Buffer.from(hex.padStart(bytes * 2, '0'), 'hex');
}

/** Members of a JSON object: an own one also where it is called `__proto__`. */
export function setMember(object: { [name: string]: unknown }, name: string, value: unknown): void {
  if (name !== '__proto__') {
    object[name] = value;
    return;
  }
  const every = { value, enumerable: true, configurable: true, writable: true };
  Object.defineProperty(object, name, every);
}
