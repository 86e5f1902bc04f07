// How the command line shows an error: what happened, where, what to do. The stack only for
// mistakes of programs, without the frames of Node, or on request.

import process from 'node:process';
import { StreamError } from '../base/stream-error.ts';

export function errorText(error: unknown): string {
  if (!(error instanceof StreamError)) {
    return `error: ${error instanceof Error ? stackOf(error) : String(error)}`;
  }
  const lines = [`error [${error.code}]: ${error.message}`];
  const fields = Object.entries(error.fields);
  if (fields.length > 0) {
    lines.push(`  ${fields.map(([name, value]) => `${name}: ${String(value)}`).join(', ')}`);
  }
  if (error.hint !== undefined) lines.push(`  hint: ${error.hint}`);
  const internal = error.code === 'internal';
  if (internal || process.env['MIZZLE_STACK'] === '1') lines.push(stackOf(error));
  return lines.join('\n');
}

function stackOf(error: Error): string {
  const lines = (error.stack ?? error.message).split('\n');
  return lines.filter((line) => !/^\s+at .*\bnode:internal\//.test(line)).join('\n');
}
