// What a cluster's processes tell their operators: a level, a lower-case fragment, and fields.

import process from 'node:process';
import type { ErrorFields } from '../../base/stream-error.ts';

export type LogLevel = 'error' | 'warn' | 'info';

export type Log = (level: LogLevel, text: string, fields?: ErrorFields) => void;

/** One line of text an entry, or one JSON object, on standard error. */
export function logTo(format: 'text' | 'json'): Log {
  return (level, text, fields = {}) => {
    if (format === 'json') {
      const entry = { time: new Date().toISOString(), level, text, ...fields };
      process.stderr.write(`${JSON.stringify(entry)}\n`);
      return;
    }
    const details = Object.entries(fields).map(([name, value]) => `${name}=${String(value)}`);
    const place = details.length === 0 ? '' : ` (${details.join(', ')})`;
    process.stderr.write(`mizzle: ${level === 'info' ? '' : `${level}: `}${text}${place}\n`);
  };
}

export const silent: Log = () => {};
