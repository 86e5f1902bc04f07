// Options of commands that run a job, however they run it.

import type { CheckpointOptions, RunOptions } from '../api/job.ts';
import type { Duration } from '../base/duration.ts';
import type { ExecutionMode } from '../plan/execution-mode.ts';
import type { OptionsConfig } from './options.ts';
import { numberOption } from './options.ts';
import { UsageError } from './usage-error.ts';

export const jobOptions: OptionsConfig = {
  workers: { type: 'string' },
  interval: { type: 'string' },
  group: { type: 'string' },
  mode: { type: 'string' },
  'buffer-timeout': { type: 'string' },
  partitions: { type: 'string' },
  checkpoints: { type: 'string' },
  'checkpoint-interval': { type: 'string' },
  fresh: { type: 'boolean' },
  'allow-dropped-state': { type: 'boolean' },
  quiet: { type: 'boolean' },
  json: { type: 'boolean' },
};

export const jobHelp = `\
  --interval TIME      time between micro-batches, such as 10ms; 0: no pause (default 10ms)
  --group N            micro-batches that are scheduled at once (default 10)
  --mode MODE          drizzle; as baselines bsp (each stage by an order of its own) and continuous
                       (blocks as they come; results once an interval, which is 1s by default)
  --buffer-timeout T   in continuous mode: how long sources gather records (default 10ms)
  --partitions N       partitions of keyed state (default 8)
  --checkpoints STORE  keep state and ranges there, a folder or s3://bucket/prefix?region=…: what
                       is lost is recovered, and a later run goes on where this one was
  --checkpoint-interval T  time between two checkpoints (default 10s)
  --fresh              begin anew, whatever the store holds of this pipeline
  --allow-dropped-state    go on with a changed pipeline, without state that has no place in it
  --quiet              no live view
  --json               the summary as one JSON object on the last line of standard output
`;

/** Leaves out what was not given, so that defaults stay in one place. */
export function runOptions(
  values: Readonly<Record<string, string | boolean | undefined>>,
): RunOptions {
  return {
    ...given('workers', numberOption('workers', values['workers'])),
    ...given('interval', intervalOption(values['interval'])),
    ...given('bufferTimeout', intervalOption(values['buffer-timeout'])),
    // What is no mode is refused by the run itself.
    ...given('mode', values['mode'] as ExecutionMode | undefined),
    ...given('groupSize', numberOption('group', values['group'])),
    ...given('partitions', numberOption('partitions', values['partitions'])),
    ...given('checkpoints', checkpointOptions(values)),
  };
}

function checkpointOptions(
  values: Readonly<Record<string, string | boolean | undefined>>,
): CheckpointOptions | undefined {
  const store = values['checkpoints'];
  const interval = intervalOption(values['checkpoint-interval']);
  const fresh = values['fresh'] === true;
  const allowDroppedState = values['allow-dropped-state'] === true;
  if (typeof store === 'string') {
    return { store, fresh, allowDroppedState, ...(interval && { interval }) };
  }
  const given = ['fresh', 'checkpoint-interval', 'allow-dropped-state'];
  const option = given.find((name) => values[name] !== undefined);
  if (option === undefined) return undefined;
  throw new UsageError(
    `--${option} is about checkpoints, and none are kept`,
    'add --checkpoints STORE, such as a folder',
  );
}

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
