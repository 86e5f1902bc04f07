// Options of commands: parsed by Node's own parser, with errors that point to the help.

import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import { closestName } from '../base/closest-name.ts';
import { UsageError } from './usage-error.ts';

export type OptionsConfig = NonNullable<ParseArgsConfig['options']>;

/** Parses strictly: an unknown option is a `UsageError` that names the command's help. */
export function parseOptions(
  command: string,
  argv: readonly string[],
  options: OptionsConfig,
): { readonly values: Record<string, string | boolean | undefined>; readonly files: string[] } {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options,
      allowPositionals: true,
      strict: true,
    });
    return { values: values as Record<string, string | boolean | undefined>, files: positionals };
  } catch (error) {
    const message = error instanceof Error ? error.message.split('. ')[0]! : String(error);
    const unknown = /'--([^' ]+)/.exec(message)?.[1];
    const closest = unknown === undefined ? null : closestName(unknown, Object.keys(options));
    const meant = closest === null || closest === unknown ? '' : `did you mean --${closest}? `;
    throw new UsageError(lowerFirst(message), `${meant}see \`mizzle ${command} --help\``);
  }
}

/** An option that must be a number. */
export function numberOption(
  name: string,
  value: string | boolean | undefined,
): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (typeof value === 'string' && value.trim() !== '' && Number.isFinite(number)) return number;
  throw new UsageError(`could not use ${JSON.stringify(value)} as --${name}`, 'give a number');
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}
