// Values of rows as encodings take them; what does not fit throws, with the value in the message.

import type { JsonValue, RowValue } from '../../../schema/data-type.ts';

export function isObject(value: JsonValue): value is { readonly [name: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function base64(value: RowValue): Buffer {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'base64');
    if (bytes.toString('base64').replace(/=+$/, '') === value.replace(/=+$/, '')) return bytes;
  }
  throw new Error(`${shown(value)} is not base64`);
}

/** For messages. */
export function shown(value: unknown): string {
  const text = typeof value === 'bigint' ? `${value}` : (JSON.stringify(value) ?? typeof value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
