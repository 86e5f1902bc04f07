// A JVM as a command.

import type { Command } from './processes.ts';

export type JavaCommand = {
  readonly classPath: string;
  readonly heap?: string;
  readonly flags?: readonly string[];
  readonly main: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
};

export function java({ classPath, heap, flags, main, args, env }: JavaCommand): Command {
  const memory = heap === undefined ? [] : [`-Xmx${heap}`];
  return {
    program: 'java',
    args: [...memory, ...(flags ?? []), '-cp', classPath, main, ...args],
    ...(env === undefined ? {} : { env }),
  };
}

/** What Flink reaches into by reflection. */
const opened =
  'lang lang.reflect io nio net text time util util.concurrent util.concurrent.atomic ' +
  'util.concurrent.locks';

export const opensForFlink: readonly string[] = opened
  .split(' ')
  .map((name) => `java.${name}`)
  .concat('sun.nio.ch')
  .map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`);
