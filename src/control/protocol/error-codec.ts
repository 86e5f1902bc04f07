// An error on the wire. What is too long for its bound is cut: the beginning says the most.

import type { ErrorFields, StreamErrorData } from '../../base/stream-error.ts';
import { errorFieldsMax, textBytesMax } from '../limits.ts';
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';

/** A character takes at most three bytes of UTF-8 for each of its code units. */
const textUnitsMax = Math.floor(textBytesMax / 3);

export function writeError(to: ByteWriter, error: StreamErrorData): void {
  writeText(to, error.code);
  writeText(to, error.message);
  writeOptional(to, error.hint);
  writeOptional(to, error.stack);
  const fields = Object.entries(error.fields).slice(0, errorFieldsMax);
  to.varint(fields.length);
  for (const [name, value] of fields) {
    writeText(to, name);
    writeText(to, JSON.stringify(typeof value === 'string' ? value.slice(0, 1000) : value));
  }
}

export function readError(from: ByteReader): StreamErrorData {
  const code = from.text('error code', textBytesMax);
  const message = from.text('error message', textBytesMax);
  const hint = readOptional(from, 'error hint');
  const stack = readOptional(from, 'error stack');
  const fields: { [name: string]: ErrorFields[string] } = {};
  const count = from.count('error fields', errorFieldsMax);
  for (let index = 0; index < count && from.ok; index++) {
    const name = from.text('error field', textBytesMax);
    const text = from.text('error field', textBytesMax);
    fields[name] = fieldOf(text);
  }
  return { code, message, hint, fields, stack };
}

function writeText(to: ByteWriter, text: string): void {
  to.text(text.slice(0, textUnitsMax), textBytesMax);
}

function writeOptional(to: ByteWriter, text: string | null): void {
  to.flag(text !== null);
  if (text !== null) writeText(to, text);
}

function readOptional(from: ByteReader, what: string): string | null {
  return from.flag(what) ? from.text(what, textBytesMax) : null;
}

/** What is no JSON scalar is shown as it came. */
function fieldOf(text: string): ErrorFields[string] {
  try {
    const value: unknown = JSON.parse(text);
    const scalar = ['string', 'number', 'boolean'].includes(typeof value) || value === null;
    return scalar ? (value as ErrorFields[string]) : text;
  } catch {
    return text;
  }
}
