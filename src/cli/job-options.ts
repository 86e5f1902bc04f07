// Options of commands that run a job, however they run it.

import type { KafkaLogAddress } from '../ports/kafka-address.ts';
import type { CheckpointOptions, OutputChoice, RunOptions } from '../api/job.ts';
import type { ByteSize } from '../base/byte-size.ts';
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
  'kept-memory': { type: 'string' },
  'spill-folder': { type: 'string' },
  'range-log': { type: 'string' },
  'spill-max': { type: 'string' },
  fresh: { type: 'boolean' },
  from: { type: 'string' },
  output: { type: 'string' },
  'drain-on-stop': { type: 'boolean' },
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
  --kept-memory SIZE   memory in which each worker holds what no checkpoint covers yet; beyond it
                       the oldest goes to disk (default 256mb)
  --spill-folder DIR   where it goes, on each host (default: the folder for temporary files)
  --spill-max SIZE     disk that each worker may use; when that is full, too, input waits
                       (default 16gb)
  --range-log ADDRESS  log what was read in a topic, kafka://host:9092/topic, instead of the store:
                       output of a cluster over an object store waits for it
  --fresh              begin anew, whatever the store holds of this pipeline
  --from CHECKPOINT    start from this checkpoint, a number or a savepoint's name; from an older one
                       than the newest a new history begins, and --output must say what becomes of
                       the rows that are visible already
  --output CHOICE      with --from: keep (they stay, and the new ones are added, which may say the
                       same again) or new (sinks begin anew, in another place or with overwrite)
  --drain-on-stop      with --checkpoints: Ctrl-C closes all windows, which ends the history;
                       otherwise they stay open, and the same command goes on with them
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
    ...given('drainOnStop', values['drain-on-stop'] === true ? true : undefined),
  };
}

function checkpointOptions(
  values: Readonly<Record<string, string | boolean | undefined>>,
): CheckpointOptions | undefined {
  const store = values['checkpoints'];
  const interval = intervalOption(values['checkpoint-interval']);
  const fresh = values['fresh'] === true;
  const room = {
    ...(values['kept-memory'] && { keptMemory: sizeOption(values['kept-memory']) }),
    ...(values['spill-max'] && { spillMax: sizeOption(values['spill-max']) }),
    ...(values['spill-folder'] && { spillFolder: String(values['spill-folder']) }),
    ...(values['range-log'] && { rangeLog: rangeLogOption(String(values['range-log'])) }),
  };
  const allowDroppedState = values['allow-dropped-state'] === true;
  if (typeof store === 'string') {
    return {
      store,
      fresh,
      allowDroppedState,
      ...(interval && { interval }),
      ...room,
      ...startOptions(values),
    };
  }
  const start = ['fresh', 'from', 'output', 'drain-on-stop', 'allow-dropped-state'];
  const names = [
    ...start,
    'checkpoint-interval',
    'kept-memory',
    'spill-folder',
    'spill-max',
    'range-log',
  ];
  const option = names.find((name) => values[name] !== undefined);
  if (option === undefined) return undefined;
  throw new UsageError(
    `--${option} is about checkpoints, and none are kept`,
    'add --checkpoints STORE, such as a folder',
  );
}

/** `kafka://host:9092,host:9092/topic`; the topic may be left out. */
function rangeLogOption(text: string): { readonly kafka: KafkaLogAddress } {
  const [, brokers, topic] = /^kafka:\/\/([^/]+)(?:\/([^/]+))?$/.exec(text) ?? [];
  if (brokers !== undefined)
    return { kafka: { brokers, ...(topic === undefined ? {} : { topic }) } };
  throw new UsageError(
    `--range-log ${text} is no address of a Kafka topic`,
    'write it as kafka://host:9092, or kafka://host:9092/topic',
  );
}

/** What is no choice is refused by the run itself. */
function startOptions(
  values: Readonly<Record<string, string | boolean | undefined>>,
): Pick<CheckpointOptions, 'from' | 'output'> {
  const { from, output } = values;
  const number = typeof from === 'string' && /^\d+$/.test(from) ? Number(from) : from;
  return {
    ...(number === undefined ? {} : { from: number as number | string }),
    ...(output === undefined ? {} : { output: output as OutputChoice }),
  };
}

function given<Name extends keyof RunOptions>(
  name: Name,
  value: RunOptions[Name] | undefined,
): Partial<RunOptions> {
  return value === undefined ? {} : { [name]: value };
}

/** A bare number is bytes; what is no amount of memory is reported by the run itself. */
function sizeOption(value: string | boolean): ByteSize {
  const text = String(value);
  return /^\d+$/.test(text) ? Number(text) : (text as ByteSize);
}

/** A bare number is milliseconds; what is no duration is reported by the run itself. */
function intervalOption(value: string | boolean | undefined): Duration | undefined {
  if (value === undefined || typeof value === 'boolean') return undefined;
  return /^\d+$/.test(value) ? Number(value) : (value as Duration);
}
