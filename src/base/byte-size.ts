// Amounts of memory as people write them: `'256mb'`, `'16gb'`, or a number of bytes.

/** A number is bytes. Units are powers of 1024. */
export type ByteSize = number | `${number}b` | `${number}kb` | `${number}mb` | `${number}gb`;

const unitsBytes: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1024,
  mb: 1024 ** 2,
  gb: 1024 ** 3,
  tb: 1024 ** 4,
};

/** Whole bytes, zero or more; null when it is no such thing. */
export function parseByteSize(size: ByteSize | string): number | null {
  const bytes = typeof size === 'number' ? size : parseText(size);
  const fits = Number.isFinite(bytes) && bytes >= 0 && Number.isSafeInteger(Math.round(bytes));
  if (!fits) return null;
  return typeof size === 'number' && !Number.isInteger(size) ? null : Math.round(bytes);
}

function parseText(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?b)$/i.exec(String(text).trim());
  if (match === null) return Number.NaN;
  return Number(match[1]) * unitsBytes[match[2]!.toLowerCase()]!;
}
