// Options of the benchmark's command line.

import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Duration, ExecutionMode } from '../../src/index.ts';

export type YsbOptions = {
  readonly seconds: number;
  /** Events per second. */
  readonly rate: number;
  readonly workers: number;
  /** Host processes, each with `workers` threads; 0: threads of this process. */
  readonly hosts: number;
  readonly interval: Duration;
  readonly group: number;
  readonly mode: ExecutionMode;
  readonly window: Duration;
  /** A file or folder of events as JSON lines, `-` for standard input; null: the generator. */
  readonly input: string | null;
  readonly output: string | null;
  /** A store of checkpoints, and the time between two; null: none. */
  readonly checkpoints: { readonly store: string; readonly interval: Duration } | null;
  readonly json: boolean;
  readonly seed: number;
};

const help = `npm start -- [options]

The Yahoo Streaming Benchmark on an embedded Mizzle.

  --seconds N      how long the generator runs (default 30)
  --rate N         events per second (default 100000)
  --workers N      worker threads, 0: all in one thread (default 2)
  --hosts N        a cluster of N host processes, each with so many workers (default 0: none)
  --interval TIME  time between micro-batches (default 10ms; between barriers in continuous
                   mode, 1s)
  --group N        micro-batches that are scheduled at once (default 10)
  --mode MODE      drizzle; bsp and continuous to compare (default drizzle)
  --window TIME    length of the windows (default 1s; the benchmark's own figure is 10s)
  --input FILE     events as JSON lines from a file, a folder, or - for standard input
  --output FILE    the counts as JSON lines, too
  --checkpoints STORE  keep state and ranges there, so that a worker can be lost
  --checkpoint-interval TIME  time between two checkpoints (default 10s)
  --json           the result as one JSON object on the last line
  --seed N         seed of the generator and of the table of ads (default 1)
`;

/** Ends the process with 2 when the command line is wrong, with 0 after \`--help\`. */
export function readOptions(argv: readonly string[]): YsbOptions {
  try {
    return parsed(argv);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    process.exit(2);
  }
}

function parsed(argv: readonly string[]): YsbOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seconds: { type: 'string', default: '30' },
      rate: { type: 'string', default: '100000' },
      workers: { type: 'string', default: '2' },
      hosts: { type: 'string', default: '0' },
      interval: { type: 'string' },
      group: { type: 'string', default: '10' },
      mode: { type: 'string', default: 'drizzle' },
      window: { type: 'string', default: '1s' },
      input: { type: 'string' },
      output: { type: 'string' },
      checkpoints: { type: 'string' },
      'checkpoint-interval': { type: 'string', default: '10s' },
      json: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    process.exit(0);
  }
  return {
    seconds: number('seconds', values.seconds),
    rate: number('rate', values.rate),
    workers: number('workers', values.workers),
    hosts: number('hosts', values.hosts),
    // In continuous mode the interval is the time between two barriers.
    interval: duration(values.interval ?? (values.mode === 'continuous' ? '1s' : '10ms')),
    group: number('group', values.group),
    // What is no mode is refused by the run itself.
    mode: values.mode as ExecutionMode,
    window: duration(values.window),
    input: values.input ?? null,
    output: values.output ?? null,
    checkpoints:
      values.checkpoints === undefined
        ? null
        : { store: values.checkpoints, interval: duration(values['checkpoint-interval']) },
    json: values.json,
    seed: number('seed', values.seed),
  };
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new Error(`--${name} takes a number, not "${text}"`);
  }
  return value;
}

/** A bare number is milliseconds; what is no duration is reported by whoever uses it. */
function duration(text: string): Duration {
  return /^\d+$/.test(text) ? Number(text) : (text as Duration);
}
