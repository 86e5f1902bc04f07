// The keys of blobs: which texts are keys, and how names that users choose become parts of them.
// The same characters are safe in an object store's addresses and as names of files.

import { storeKeyBytesMax } from '../limits.ts';
import { storageError } from './storage-errors.ts';

const part = /^[\w=+@,~-][\w.=+@,~-]*$/;

export function isBlobKey(key: string): boolean {
  return key.length <= storeKeyBytesMax && key.split('/').every((text) => part.test(text));
}

export function checkBlobKey(key: string): void {
  if (!isBlobKey(key)) throw invalidKey(key);
}

/** A prefix may end anywhere in a key, also behind a `/`, and may be empty. */
export function checkKeyPrefix(prefix: string): void {
  if (prefix !== '' && !isBlobKey(`${prefix}0`)) throw invalidKey(prefix);
}

/** Any text as one part of a key: bytes other than letters, digits, `_`, `-` and `.` as `=2F`. */
export function keyPart(name: string): string {
  const bytes = new TextEncoder().encode(name);
  return Array.from(bytes, (byte, index) => {
    const character = String.fromCharCode(byte);
    const plain = /[\w-]/.test(character) || (character === '.' && index > 0);
    return plain ? character : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}

/** The name that `keyPart` made the part of, or null. */
export function nameOfKeyPart(text: string): string | null {
  const bytes: number[] = [];
  for (let index = 0; index < text.length; index++) {
    const hex = text[index] === '=' ? text.slice(index + 1, index + 3) : null;
    bytes.push(hex === null ? text.charCodeAt(index) : Number.parseInt(hex, 16));
    if (hex !== null) index += 2;
  }
  const name = new TextDecoder().decode(Uint8Array.from(bytes));
  return keyPart(name) === text ? name : null;
}

/** Numbers in keys have leading zeros, so that keys in order are numbers in order. */
export function numberPart(value: number): string {
  return String(value).padStart(12, '0');
}

function invalidKey(key: string): Error {
  return storageError({
    code: 'store-key-invalid',
    message: `could not use the key ${JSON.stringify(key)}`,
    hint: 'parts of letters, digits and ._=+@,~- joined by "/", none of which starts with a dot',
    fields: { key },
  });
}
