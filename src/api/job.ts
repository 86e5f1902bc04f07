// What running a pipeline looks like to the program that runs it: options, a handle, a status.

/// <reference lib="esnext.disposable" preserve="true" />

import type { KafkaLogAddress } from '../ports/kafka-address.ts';
import type { ByteSize } from '../base/byte-size.ts';
import type { Duration } from '../base/duration.ts';
import type { ExecutionMode } from '../plan/execution-mode.ts';

/** How to run a pipeline. Durations are ms, or strings such as `'10ms'`, `'2s'`, `'1m'`. */
export type RunOptions = {
  /** Worker threads; 0 runs everything in the calling thread. Default: 2. */
  readonly workers?: number;
  /**
   * Starts a cluster on this machine for trial: so many host processes, each with `workers`
   * threads. Job code is bundled and sent to them, as in a real cluster. Default: 0, none.
   */
  readonly hosts?: number;
  /**
   * Time between micro-batches; 0: the next as soon as the last is read. Default: 10 ms, in
   * `continuous` mode 1 s.
   */
  readonly interval?: Duration;
  /** Micro-batches that the driver schedules at once. Default: 10. */
  readonly groupSize?: number;
  /**
   * `drizzle` schedules whole groups and pushes blocks. Two baselines: `bsp` launches every stage
   * of every micro-batch and pulls blocks; `continuous` takes blocks as they come, and results
   * become visible once an `interval`, which is the time between two barriers. Results are the
   * same, but that in `continuous` mode the order of arrival may decide ties, sums of doubles, and
   * which rows are late. Default: `drizzle`.
   */
  readonly mode?: ExecutionMode;
  /** In `continuous` mode: how long a source gathers records for a block. Default: 10 ms. */
  readonly bufferTimeout?: Duration;
  /** Permit a group while the one before it still runs. Default: true. */
  readonly lookAhead?: boolean;
  /**
   * Keeps state and ranges in a store, so that a worker that is lost ends nothing and a run that is
   * started again goes on where the last one was, with every record counted once: a folder, a
   * `file://` URL, or `s3://bucket/prefix?region=…` (keys come from the environment). Sources must
   * be able to read again. Default: nothing is kept.
   */
  readonly checkpoints?: string | CheckpointOptions;
  /** Partitions of keyed state; several times the number of workers. Default: 8. */
  readonly partitions?: number;
  /** About how much a source task reads at most. Default: 4 MiB. */
  readonly bytesPerTask?: number;
  /**
   * URL of the module that defines the pipeline, either as its default export or by calling `run`.
   * Worker threads import it. Default: the program's main module.
   */
  readonly module?: string | URL;
  /** Stops the job as `stop()` does. */
  readonly signal?: AbortSignal;
  /** Stops the job by itself, as `stop()` does, after this long. Default: never. */
  readonly runFor?: Duration;
  /**
   * With `checkpoints`: what `stop()`, `signal` and `runFor` do unless `stop` is told otherwise.
   * True: all windows close, which is the end of the history. Default: false, they stay open and
   * the next run goes on with them. Without `checkpoints` they always close.
   */
  readonly drainOnStop?: boolean;
  /** Called about every `statusInterval` with a fresh status. */
  readonly onStatus?: (status: JobStatus) => void;
  /** Default: 250 ms. */
  readonly statusInterval?: Duration;
};

export type CheckpointOptions = {
  /** The store's address. */
  readonly store: string;
  /**
   * Time between two checkpoints. One comes earlier when a worker has used half of `keptMemory`.
   * Default: 10 s.
   */
  readonly interval?: Duration;
  /**
   * Memory in which each worker holds what it has sent until a checkpoint covers it, bytes or a
   * text such as `'64mb'`; beyond it the oldest blocks go to disk. Default: 256 MiB.
   */
  readonly keptMemory?: ByteSize;
  /**
   * Where they go, a folder of a local disk; each host has its own. Default: the system's folder
   * for temporary files (`TMPDIR`).
   */
  readonly spillFolder?: string;
  /**
   * How much of it each worker may use. When both are full, sources read a record a micro-batch
   * at most until the next checkpoint. Default: 16 GiB.
   */
  readonly spillMax?: ByteSize;
  /**
   * Logs ranges in a topic of Kafka instead of the store: what reads an object store waits tens of
   * ms for every entry, and output waits with it. A run on one host logs on its own disk anyway,
   * unless this is given. Needs the package `@platformatic/kafka` on all hosts.
   */
  readonly rangeLog?: { readonly kafka: KafkaLogAddress };
  /** Begins anew, whatever the store holds of this pipeline. Default: false. */
  readonly fresh?: boolean;
  /**
   * Starts with the state and the source positions of this checkpoint or savepoint, by its number
   * or a savepoint's name. The newest one is where a run goes on anyway; from an older one a new
   * history begins, and `output` must say what becomes of the rows that are visible already.
   */
  readonly from?: number | string;
  /**
   * With `from`: `keep` leaves what is visible and adds to it: what came after the checkpoint is
   * visible twice then, or replaced where a sink writes by key. `new`: sinks begin anew, as with
   * `fresh`: files that hold output refuse, unless they may `overwrite`.
   */
  readonly output?: OutputChoice;
  /**
   * The pipeline has changed: state that has no place in it any more is dropped, and what of it has
   * changed begins empty. Without it such a pipeline is refused. Default: false.
   */
  readonly allowDroppedState?: boolean;
};

export type OutputChoice = 'keep' | 'new';

/** How to end a job. */
export type StopOptions = {
  /**
   * True: ends the input and closes all windows with what they hold. False: leaves them open, so
   * that the next run goes on with them; without `checkpoints` nothing could, and they close
   * anyway. Default: `drainOnStop`.
   */
  readonly drain?: boolean;
  /** Makes the checkpoint as of the end a savepoint of this name. */
  readonly savepoint?: string;
};

/** A checkpoint that retention does not delete. */
export type SavepointInfo = {
  /** What `checkpoints: { from }` and `mizzle checkpoints` know it by. */
  readonly number: number;
  readonly name: string;
  /** The state is as of this micro-batch. */
  readonly batch: number;
};

export type JobState = 'starting' | 'running' | 'stopping' | 'finished' | 'failed';

/** A moment of a running job. Rates are over the last second or so. */
export type JobStatus = {
  readonly state: JobState;
  /** When the run started, epoch ms. */
  readonly startMs: number;
  readonly elapsedMs: number;
  readonly workers: number;
  readonly mode: ExecutionMode;
  readonly groupSize: number;
  readonly intervalMs: number;
  /** Micro-batches done everywhere. */
  readonly batches: number;
  readonly groups: number;
  readonly recordsIn: number;
  readonly recordsPerSecond: number;
  /** Bad records that were skipped or went to the dead letters. */
  readonly recordsBad: number;
  /** Rows that came after their last window was closed. */
  readonly recordsLate: number;
  readonly bytesIn: number;
  readonly rowsOut: number;
  /** Planned trigger to completion, of recent micro-batches, ms. */
  readonly batchMs: Percentiles;
  /** Epoch ms; null before the first event, Infinity at the end of input. */
  readonly watermarkMs: number | null;
  /** What the sources have ready and did not hand over yet; null where they cannot tell. */
  readonly lagRecords: number | null;
  readonly lagBytes: number | null;
  readonly lagMs: number | null;
  /** Source offsets, in units of the connector, that each source partition was read to. */
  readonly offsets: readonly {
    readonly source: string;
    readonly partition: number;
    readonly to: number;
  }[];
  /** Share of the workers' time that went into tasks, 0 to 1. */
  readonly busy: number;
  readonly stateBytes: number;
  /** Blocks that are kept in memory until a checkpoint covers them. */
  readonly keptBytes: number;
  /** The same on disk. */
  readonly spilledBytes: number;
  /** There is no room for more of them: sources wait for a checkpoint. */
  readonly inputHeldBack: boolean;
  readonly rssBytes: number;
};

export type Percentiles = {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
};

/** The whole of a finished job; `batchMs` is over all micro-batches. */
export type JobSummary = JobStatus & {
  readonly peakRssBytes: number;
  /** User and system time of the whole process since the job started. */
  readonly cpuSeconds: number;
  /**
   * `drained`: the input has ended, all windows are closed. `suspended`: the run was stopped and
   * keeps its windows open in the store; the same pipeline goes on with them when it runs again.
   */
  readonly ending: 'drained' | 'suspended';
  /**
   * Number of the checkpoint as of the end. Null: nothing is kept, or it could not be committed;
   * then the next run repeats what came since the last one, and nothing of it is visible twice.
   */
  readonly checkpoint: number | null;
};

/** A running pipeline. */
export type Job = {
  readonly name: string;
  status(): JobStatus;
  /**
   * Ends the run: what was read is finished and made visible. With `checkpoints` windows stay open,
   * and the next run goes on with them; with `drain`, or where nothing is kept, the input ends and
   * they close. Resolves with the summary. The first of several calls decides.
   */
  stop(options?: StopOptions): Promise<JobSummary>;
  /**
   * Makes a checkpoint that is kept until somebody deletes it. Its name may have letters, digits,
   * `.`, `_` and `-`, and not digits alone; by default it is made of the time. Rejects with
   * `savepoint-refused` where nothing is kept, `job-ending`, or what the store failed with.
   */
  savepoint(name?: string): Promise<SavepointInfo>;
  /** Changes the pace of a running job; with `urgent`, now instead of at the next group. */
  setPace(pace: {
    readonly groupSize?: number;
    readonly interval?: Duration;
    readonly urgent?: boolean;
  }): void;
  /** Resolves at the end of a bounded input or after `stop`; rejects with a StreamError. */
  readonly done: Promise<JobSummary>;
  [Symbol.asyncDispose](): Promise<void>;
};
