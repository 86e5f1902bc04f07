// Options of commands: parsed by Node's own parser, with errors that point to the help.

import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import { closestName } from '../base/closest-name.ts';
import { UsageError } from './usage-error.ts';

export type OptionsConfig = NonNullable<ParseArgsConfig['options']>;

export type CommandLine = {
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  /** Of options that may be given several times. */
  readonly lists: Readonly<Record<string, readonly string[] | undefined>>;
  readonly files: readonly string[];
  /** What stands behind `--`: it belongs to the pipeline's own module. */
  readonly moduleArgs: readonly string[];
};

type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** Parses strictly: an unknown option is a `UsageError` that names the command's help. */
export function parseOptions(
  command: string,
  argv: readonly string[],
  options: OptionsConfig,
): CommandLine {
  const { own, moduleArgs } = divided(argv);
  try {
    const { values, positionals } = parseArgs({
      args: [...own],
      options,
      allowPositionals: true,
      strict: true,
    });
    const all = Object.entries(values as Values);
    const isList = ([, value]: (typeof all)[number]): boolean => Array.isArray(value);
    return {
      values: Object.fromEntries(all.filter((one) => !isList(one))) as CommandLine['values'],
      lists: Object.fromEntries(all.filter(isList)) as CommandLine['lists'],
      files: positionals,
      moduleArgs,
    };
  } catch (error) {
    const message = error instanceof Error ? error.message.split('. ')[0]! : String(error);
    const unknown = /'--([^' ]+)/.exec(message)?.[1];
    const closest = unknown === undefined ? null : closestName(unknown, Object.keys(options));
    const meant = closest === null || closest === unknown ? '' : `did you mean --${closest}? `;
    throw new UsageError(lowerFirst(message), `${meant}see \`mizzle ${command} --help\``);
  }
}

/** The arguments before and behind the first `--`. */
export function divided(argv: readonly string[]): {
  readonly own: readonly string[];
  readonly moduleArgs: readonly string[];
} {
  const at = argv.indexOf('--');
  if (at === -1) return { own: argv, moduleArgs: [] };
  return { own: argv.slice(0, at), moduleArgs: argv.slice(at + 1) };
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
