// From a pipeline and options to all that a run needs: plans, partition counts, clock and pace.

import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import process from 'node:process';
import { StreamError } from '../../base/stream-error.ts';
import type { CheckpointOptions, OutputChoice, RunOptions } from '../../api/job.ts';
import type { ByteSize } from '../../base/byte-size.ts';
import { parseByteSize } from '../../base/byte-size.ts';
import { parseDurationMs } from '../../base/duration.ts';
import type { Pace } from '../../control/driver/planner.ts';
import { groupSizeMax, partMsDefault } from '../../control/limits.ts';
import type { KeptLimits } from '../../control/worker/spill-policy.ts';
import { keptLimitsDefault } from '../../control/worker/spill-policy.ts';
import type { Bindings } from '../../plan/bindings.ts';
import type { ExecutionMode } from '../../plan/execution-mode.ts';
import { executionModes } from '../../plan/execution-mode.ts';
import type { LogicalPlan } from '../../plan/logical-plan.ts';
import type { PhysicalPlan } from '../../plan/physical-plan.ts';
import { partitionCountsOf } from '../../plan/partition-counts.ts';
import { structureHash } from '../../plan/plan-hash.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import type { Sink } from '../../ports/sink.ts';
import type { Source } from '../../ports/source.ts';
import { noCheckpoint } from '../../control/driver/recovery-round.ts';
import { checkpointContent } from './driver-storage.ts';
import type { ChangedJob, PlanChange } from './changed-plan.ts';
import { ledgersOf, moveCheckpoint, planChange, readBehind } from './changed-plan.ts';
import type { KafkaLogAddress } from '../../ports/kafka-address.ts';
import { layOutSources } from './source-layouts.ts';
import { checkLogAddress } from './kafka-logs.ts';
import { DurableStart, orRelease } from './durable-start.ts';
import type { JobConfig } from './job-config.ts';
import { RunClock } from './run-clock.ts';
import type { Runnable } from './runnable.ts';

export type JobSetup = {
  readonly logical: LogicalPlan;
  readonly plan: PhysicalPlan;
  readonly bindings: Bindings<Source, Sink>;
  readonly config: JobConfig;
  readonly clock: RunClock;
  /** Absolute paths of the files that the job reads. */
  readonly inputs: readonly string[];
  /** Sinks of which the checkpoint that the run resumes has nothing. */
  readonly newSinks: readonly string[];
  readonly pace: Pace;
  readonly mode: ExecutionMode;
  readonly partMs: number;
  /** Threads; 0: all in the calling one. */
  readonly threads: number;
  readonly statusIntervalMs: number;
  readonly runForMs: number | null;
  /** Null: nothing is kept. */
  readonly durable: DurableStart | null;
};

const defaults = {
  workers: 2,
  interval: { drizzle: 10, bsp: 10, continuous: 1000 },
  groupSize: 10,
  partitions: 8,
  bytesPerTask: 4 * 1024 * 1024,
  statusInterval: 250,
  checkpointInterval: '10s',
} as const;

export async function setUpJob(
  pipeline: Runnable,
  options: RunOptions,
  compares: JobConfig['compares'] = 'plan',
  /** All workers are in this process, or on this machine. */
  isOneHost = true,
): Promise<JobSetup> {
  const threads = threadCount(options);
  const partitions = wholeNumber(
    'partitions',
    options.partitions ?? defaults.partitions,
    [1, 4096],
  );
  const bytesPerTask = wholeNumber('bytesPerTask', options.bytesPerTask ?? defaults.bytesPerTask, [
    1,
    1 << 30,
  ]);
  const mode = executionMode(options.mode ?? 'drizzle');
  const partMs = duration('bufferTimeout', options.bufferTimeout ?? partMsDefault);
  const pace: Pace = {
    groupSize: wholeNumber('groupSize', options.groupSize ?? defaults.groupSize, [1, groupSizeMax]),
    intervalMs: duration('interval', options.interval ?? defaults.interval[mode]),
    lookAhead: options.lookAhead ?? true,
  };
  if (mode === 'continuous' && (pace.intervalMs === 0 || partMs === 0)) {
    throw new StreamError({
      code: 'invalid-option',
      message: 'could not use no interval, or no buffer timeout, in continuous mode',
      hint: 'the interval is the time between two barriers, such as 1s; the buffer timeout, 10ms',
      fields: { option: pace.intervalMs === 0 ? 'interval' : 'bufferTimeout' },
    });
  }
  const statusIntervalMs = duration(
    'statusInterval',
    options.statusInterval ?? defaults.statusInterval,
  );
  const { signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new StreamError({
      code: 'invalid-option',
      message: 'could not use the signal: it is no AbortSignal',
      hint: 'give the `signal` of an AbortController',
      fields: { option: 'signal' },
    });
  }
  const runForMs = options.runFor === undefined ? null : duration('runFor', options.runFor);
  const clock = new RunClock();
  const logical = pipeline.plan();
  const bindings = pipeline.bindings();
  const workerCount = Math.max(1, threads);
  const kept = checkpointOptions(options.checkpoints);
  const warn = (text: string): void => void process.stderr.write(`mizzle: ${text}\n`);
  const durable =
    kept === null
      ? null
      : await DurableStart.begin({
          store: kept.store,
          logical,
          sources: bindings.sources,
          nowMs: () => clock.nowMs(),
          fresh: kept.fresh,
          from: kept.from,
          output: kept.output,
          isOneHost,
          rangeLog: kept.rangeLog,
          signal,
          warn,
        });
  return orRelease(durable, async () => {
    const latest = durable?.latest ?? null;
    const history = latest?.history ?? randomUUID();
    durable?.journal.follow(history);
    const startMs = latest?.startMs ?? Math.round(clock.nowMs());
    const nowMs = (): number => clock.nowMs();
    const { sourcePartitions, layouts, inputs } = await layOutSources({
      logical,
      sources: bindings.sources,
      run: { nowMs, startMs, workerCount },
      latest,
      hasReadBehind: async () => {
        const { kafkaLogs } = durable!;
        const place = { store: kept!.store, history, isOneHost, kafkaLogs };
        return (await readBehind(durable!, latest!, { place, nowMs })) !== null;
      },
      warn,
    });
    const plan = planPhysical(logical, { partitions, sourcePartitions });
    const partitionCounts = partitionCountsOf(plan, (source) => sourcePartitions.get(source)!);
    const change =
      latest === null ? null : planChange(latest, { plan, partitionCounts }, kept!.dropsState);
    const config: JobConfig = {
      planHash: compares === 'plan' ? plan.hash : structureHash(plan),
      compares,
      mode,
      partitions,
      sourcePartitions: Object.fromEntries(sourcePartitions),
      partitionCounts,
      ledgers: ledgersOf(latest, change),
      layouts,
      workerCount,
      startMs,
      history,
      clockBase: clock.base,
      durability:
        kept === null || durable === null
          ? null
          : {
              store: kept.store,
              history,
              term: durable.term,
              resumes: latest !== null && durable.fork === null,
              keeps: durable.fork?.keeps ?? null,
              checkpointIntervalMs: kept.intervalMs,
              isOneHost,
              kafkaLogs: durable.kafkaLogs,
              keptLimits: kept.limits,
              spillFolder: kept.spillFolder,
            },
      bytesPerTask,
    };
    if (durable !== null) await beginHistory(durable, { config, plan, nowMs, warn }, change);
    const hasOutput = latest !== null && latest.batch >= 0;
    const newSinks: readonly string[] = hasOutput
      ? (change?.newSinks ?? [])
      : logical.sinks.map(({ id }) => id);
    const own = {
      config,
      clock,
      inputs,
      newSinks,
      pace,
      mode,
      partMs,
      threads,
      statusIntervalMs,
      runForMs,
    };
    return { logical, plan, bindings, durable, ...own };
  });
}

/** Worker threads; 0: none but the calling one. */
export function threadCount({ workers }: RunOptions): number {
  return wholeNumber('workers', workers ?? defaults.workers, [0, 1024]);
}

/** A history begins with a checkpoint of nothing, so that one that crashes early goes on, too. */
async function beginHistory(
  durable: DurableStart,
  job: ChangedJob,
  change: PlanChange,
): Promise<void> {
  const { latest, fork } = durable;
  if (latest === null) await durable.beginHistory(checkpointContent(job, noCheckpoint));
  else if (change !== null) await moveCheckpoint(durable, change, job);
  else if (fork !== null) await durable.beginHistory(latest);
}

type Kept = {
  readonly store: string;
  readonly intervalMs: number;
  readonly fresh: boolean;
  readonly limits: KeptLimits;
  readonly spillFolder: string | null;
  readonly from: number | string | null;
  readonly output: OutputChoice | null;
  readonly dropsState: boolean;
  readonly rangeLog: KafkaLogAddress | null;
};

function checkpointOptions(given: RunOptions['checkpoints']): Kept | null {
  if (given === undefined) return null;
  const options: CheckpointOptions = typeof given === 'string' ? { store: given } : given;
  const { store, interval, fresh = false, from = null, output = null } = options;
  const { allowDroppedState: dropsState = false } = options;
  const intervalMs = duration('checkpoints.interval', interval ?? defaults.checkpointInterval);
  if (from !== null && fresh)
    throw invalidStart('from', 'together with `fresh`, which begins anew');
  if (output !== null && from === null) throw invalidStart('output', 'without `from`');
  if (output !== null && output !== 'keep' && output !== 'new') {
    throw invalidStart('output', `as ${JSON.stringify(output)}, which is neither keep nor new`);
  }
  const rangeLog = options.rangeLog?.kafka ?? null;
  if (rangeLog !== null) checkLogAddress(rangeLog);
  const { keptBytesMax, spillBytesMax, loadBytesMax } = keptLimitsDefault;
  return {
    store,
    intervalMs,
    fresh,
    from,
    output,
    dropsState,
    rangeLog,
    limits: {
      keptBytesMax: byteSize('checkpoints.keptMemory', options.keptMemory ?? keptBytesMax),
      spillBytesMax: byteSize('checkpoints.spillMax', options.spillMax ?? spillBytesMax),
      loadBytesMax,
    },
    spillFolder: options.spillFolder === undefined ? null : resolve(options.spillFolder),
  };
}

function byteSize(name: string, value: ByteSize): number {
  const bytes = parseByteSize(value);
  if (bytes !== null && bytes > 0) return bytes;
  throw new StreamError({
    code: 'invalid-option',
    message: `could not use ${JSON.stringify(value)} as ${name}`,
    hint: "give bytes, or a text such as '64mb' or '2gb'",
    fields: { option: name },
  });
}

function invalidStart(option: 'from' | 'output', why: string): StreamError {
  return new StreamError({
    code: 'invalid-option',
    message: `could not use checkpoints.${option} ${why}`,
    hint: '`from` names a checkpoint, `output` says what becomes of what is visible: keep or new',
    fields: { option: `checkpoints.${option}` },
  });
}

function executionMode(value: ExecutionMode): ExecutionMode {
  if (executionModes.includes(value)) return value;
  throw new StreamError({
    code: 'invalid-option',
    message: `could not use ${JSON.stringify(value)} as mode`,
    hint: `give one of ${executionModes.join(', ')}`,
    fields: { option: 'mode' },
  });
}

/** A duration option as ms. */
export function duration(name: string, value: number | string): number {
  const ms = parseDurationMs(value);
  if (ms !== null) return ms;
  throw new StreamError({
    code: 'invalid-option',
    message: `could not use ${JSON.stringify(value)} as ${name}`,
    hint: "give milliseconds, or a text such as '10ms', '2s' or '1m'",
    fields: { option: name },
  });
}

export function wholeNumber(
  name: string,
  value: number,
  [min, max]: readonly [number, number],
): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new StreamError({
    code: 'invalid-option',
    message: `could not use ${JSON.stringify(value)} as ${name}`,
    hint: `give a whole number from ${min} to ${max}`,
    fields: { option: name },
  });
}
