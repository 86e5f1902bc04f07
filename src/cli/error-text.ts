// How the command line shows an error: what happened, where, what to do. The stack only for
// mistakes of the program itself, or on request.

import process from 'node:process';
import { StreamError } from '../base/stream-error.ts';

export function errorText(error: unknown): string {
  if (!(error instanceof StreamError)) {
    return `error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
  const lines = [`error [${error.code}]: ${error.message}`];
  const fields = Object.entries(error.fields);
  if (fields.length > 0) {
    lines.push(`  ${fields.map(([name, value]) => `${name}: ${String(value)}`).join(', ')}`);
  }
  if (error.hint !== undefined) lines.push(`  hint: ${error.hint}`);
  const internal = error.code === 'internal';
  if ((internal || process.env['MIZZLE_STACK'] === '1') && error.stack !== undefined) {
    lines.push(error.stack);
  }
  return lines.join('\n');
}
