// The command line: finds the command, shows its errors, gives the exit code. 0: done; 1: the job
// or its input failed; 2: the command line was wrong; 130: interrupted twice.

import process from 'node:process';
import { closestName } from '../base/closest-name.ts';
import { errorText } from './error-text.ts';
import { divided } from './options.ts';
import { UsageError } from './usage-error.ts';

type Command = {
  readonly summary: string;
  readonly help: string;
  run(argv: readonly string[]): Promise<number>;
};

/** Loaded when they are called for, so that `mizzle version` does not load the engine. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./commands/run.ts')).runCommand,
  driver: async () => (await import('./commands/driver.ts')).driverCommand,
  worker: async () => (await import('./commands/worker.ts')).workerCommand,
  status: async () => (await import('./commands/status.ts')).statusCommand,
  stop: async () => (await import('./commands/stop.ts')).stopCommand,
  savepoint: async () => (await import('./commands/savepoint.ts')).savepointCommand,
  checkpoints: async () => (await import('./commands/checkpoints.ts')).checkpointsCommand,
  state: async () => (await import('./commands/state.ts')).stateCommand,
  explain: async () => (await import('./commands/explain.ts')).explainCommand,
  demo: async () => (await import('./commands/demo.ts')).demoCommand,
  version: async () => (await import('./commands/version.ts')).versionCommand,
};

/** Runs one command of `mizzle`; resolves with the process's exit code and never rejects. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return await dispatch(argv);
  } catch (error) {
    process.stderr.write(`${errorText(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function dispatch(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    const asked = rest[0] === undefined ? undefined : commands[rest[0]];
    process.stdout.write(asked === undefined ? await overview() : (await asked()).help);
    return name === undefined ? 2 : 0;
  }
  const load = name === '--version' || name === '-v' ? commands['version'] : commands[name];
  if (load === undefined) {
    const known = Object.keys(commands);
    const closest = closestName(name, known);
    const hint =
      closest === null
        ? `commands: ${known.join(', ')}; see \`mizzle help\``
        : `did you mean \`mizzle ${closest}\`?`;
    throw new UsageError(`could not find command "${name}"`, hint);
  }
  const command = await load();
  const { own } = divided(rest);
  if (own.includes('--help') || own.includes('-h')) {
    process.stdout.write(command.help);
    return 0;
  }
  return command.run(rest);
}

async function overview(): Promise<string> {
  const lines = [
    'mizzle: micro-batch stream processing in TypeScript, in milliseconds',
    '',
    'Commands:',
  ];
  for (const [name, load] of Object.entries(commands)) {
    lines.push(`  ${name.padEnd(12)} ${(await load()).summary}`);
  }
  lines.push(
    '',
    'A pipeline is a TypeScript file that exports one:',
    '',
    "  import { count, files, jsonLines, pipeline, schema } from 'mizzle';",
    "  import { string, timestamp, tumbling } from 'mizzle';",
    '',
    '  const Click = schema({ page: string(), at: timestamp() });',
    "  export default pipeline('clicks')",
    "    .from(files({ path: 'clicks.jsonl', schema: Click }), { time: 'at' })",
    "    .groupBy('page')",
    "    .window(tumbling('1m'))",
    '    .aggregate(() => ({ clicks: count() }))',
    "    .to(jsonLines('clicks-per-minute.jsonl'));",
    '',
    '  mizzle run clicks.ts        runs it',
    '  mizzle explain clicks.ts    shows what it will do, down to the generated code',
    '',
    'Help on one command: mizzle help run',
    '',
  );
  return lines.join('\n');
}
