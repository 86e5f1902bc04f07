// `mizzle run`: runs a pipeline in this process until its input ends or Ctrl-C.

import process from 'node:process';
import type { RunOptions } from '../../api/job.ts';
import type { ExecutionMode } from '../../plan/execution-mode.ts';
import type { Duration } from '../../base/duration.ts';
import { loadPipeline } from '../load-pipeline.ts';
import { numberOption, parseOptions } from '../options.ts';
import { runInTerminal } from '../../runtime/terminal/run-in-terminal.ts';

const help = `mizzle run PIPELINE.ts [options] [-- ARGUMENTS]

Runs the pipeline that the file exports as its default, or the one that it runs itself. A bounded
input (files) is processed to its end; an endless one until Ctrl-C, which finishes what was read,
closes all windows and ends cleanly. A second Ctrl-C ends at once. Arguments behind -- are the
file's own: it finds them in process.argv.

Options:
  --workers N          worker threads; 0: everything in one thread (default 2)
  --interval TIME      time between micro-batches, such as 10ms; 0: no pause (default 10ms)
  --group N            micro-batches that are scheduled at once (default 10)
  --mode MODE          drizzle, or bsp as a baseline: each stage by an order of its own
  --partitions N       partitions of keyed state (default 8)
  --quiet              no live view
  --json               the summary as one JSON object on the last line of standard output

Exit codes: 0 done, 1 failed, 2 wrong command line, 130 interrupted twice.

Example:
  mizzle run clicks.ts --workers 4 --interval 50ms
`;

export const runCommand = {
  summary: 'runs a pipeline',
  help,
  async run(argv: readonly string[]): Promise<number> {
    const commandLine = parseOptions('run', argv, {
      workers: { type: 'string' },
      interval: { type: 'string' },
      group: { type: 'string' },
      mode: { type: 'string' },
      partitions: { type: 'string' },
      quiet: { type: 'boolean' },
      json: { type: 'boolean' },
    });
    const { values } = commandLine;
    const { pipeline, url } = await loadPipeline('run', commandLine);
    const options: RunOptions = {
      module: url,
      ...given('workers', numberOption('workers', values['workers'])),
      ...given('interval', intervalOption(values['interval'])),
      // What is no mode is refused by the run itself.
      ...given('mode', values['mode'] as ExecutionMode | undefined),
      ...given('groupSize', numberOption('group', values['group'])),
      ...given('partitions', numberOption('partitions', values['partitions'])),
    };
    const summary = await runInTerminal(pipeline, options, { quiet: values['quiet'] === true });
    if (values['json'] === true) process.stdout.write(`${JSON.stringify(summary)}\n`);
    return 0;
  },
};

/** Leaves an option out altogether where it was not given, so that defaults stay in one place. */
function given<Name extends keyof RunOptions>(
  name: Name,
  value: RunOptions[Name] | undefined,
): Partial<RunOptions> {
  return value === undefined ? {} : { [name]: value };
}

/** A bare number is milliseconds; what is no duration is reported by the run itself. */
function intervalOption(value: string | boolean | undefined): Duration | undefined {
  if (value === undefined || typeof value === 'boolean') return undefined;
  return /^\d+$/.test(value) ? Number(value) : (value as Duration);
}
