// Texts that users give by reference: each host looks them up for itself.

import { StreamError } from '../../base/stream-error.ts';
import type { TextOrReference } from '../../ports/kafka-address.ts';
import type { KafkaPlatform } from '../../ports/kafka-wire.ts';

export type Surroundings = Pick<KafkaPlatform, 'environment' | 'readFile'>;

/** Throws `environment-missing` and `file-unreadable`; `what` goes behind "could not". */
export function lookUp(value: TextOrReference, what: string, from: Surroundings): string {
  if (typeof value === 'string') return value;
  if ('file' in value) return readText(value.file, what, from);
  const found = from.environment(value.env);
  if (found !== undefined && found !== '') return found;
  throw new StreamError({
    code: 'environment-missing',
    message: `could not ${what}: the environment variable ${value.env} is not set`,
    hint: `set ${value.env} on every host that runs the pipeline`,
    fields: { variable: value.env },
  });
}

/** For messages and plans: never a secret. */
export function describeReference(value: TextOrReference): string {
  if (typeof value === 'string') return value;
  return 'file' in value ? value.file : `$${value.env}`;
}

/** Editors and secret stores end a file with a line feed that belongs to no password. */
function readText(file: string, what: string, { readFile }: Surroundings): string {
  let text: string;
  try {
    text = readFile(file).replace(/\r?\n$/, '');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw unreadable(file, `could not ${what}: the file "${file}" cannot be read: ${why}`, cause);
  }
  if (text !== '') return text;
  throw unreadable(file, `could not ${what}: the file "${file}" is empty`);
}

function unreadable(file: string, message: string, cause?: unknown): StreamError {
  const hint = 'have the file, readable, on every host that runs the pipeline';
  return new StreamError({ code: 'file-unreadable', message, hint, fields: { file }, cause });
}
