// The handle of a running job: status, stop, pace, and the summary at the end. The shell that runs
// the job gives it a driver and a way to shut down.

import process from 'node:process';
import type {
  Job,
  JobStatus,
  JobSummary,
  RunOptions,
  SavepointInfo,
  StopOptions,
} from '../../api/job.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { JobMonitor } from '../../observe/job-monitor.ts';
import type { JobEnd } from '../../control/driver/events.ts';
import { savepointNameProblem } from '../../control/storage/savepoint-marks.ts';
import type { ClientSinks } from './client-sinks.ts';
import type { DriverShell } from './driver-shell.ts';
import type { JobSetup } from './job-setup.ts';
import { duration, wholeNumber } from './job-setup.ts';
import { OperatorRequests } from './operator-requests.ts';
import { groupSizeMax } from '../../control/limits.ts';

export type JobParts = {
  readonly setup: JobSetup;
  readonly options: RunOptions;
  readonly driver: DriverShell;
  readonly monitor: JobMonitor;
  readonly sinks: ClientSinks;
  /** Ends all workers; `graceful` when they have stopped by themselves. */
  readonly shutDown: (graceful: boolean) => Promise<void>;
};

/** A timer that is set to more, 24 days, goes off at once. */
const timerMsMax = 2 ** 31 - 1;

export function jobHandle(parts: JobParts): Job {
  const { setup, options, driver, monitor } = parts;
  const startCpu = process.cpuUsage();
  const drainsOnStop = options.drainOnStop ?? false;
  const onAbort = (): void => driver.stop({ drain: drainsOnStop, savepoint: null });
  const { onStatus, signal } = options;
  const { runForMs, statusIntervalMs } = setup;
  let deadline: NodeJS.Timeout | null = null;
  const stopIn = (leftMs: number): void => {
    const restMs = leftMs - timerMsMax;
    deadline = restMs > 0 ? setTimeout(stopIn, timerMsMax, restMs) : setTimeout(onAbort, leftMs);
  };
  if (runForMs !== null) stopIn(runForMs);
  const tell = (): void => {
    try {
      onStatus?.(monitor.status());
    } catch (error) {
      driver.fail(statusError(error));
    }
  };
  const timer =
    onStatus === undefined ? null : setInterval(tell, Math.min(statusIntervalMs, timerMsMax));
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();

  const finish = async (): Promise<JobSummary> => {
    let end: JobEnd;
    try {
      end = await driver.ended;
      await parts.shutDown(true);
      await parts.sinks.finish();
      monitor.enter('finished');
      await requests?.ended(ending(end));
    } catch (error) {
      monitor.enter('failed');
      await parts.shutDown(false);
      await parts.sinks.abandon();
      await requests?.failed(error);
      throw error;
    } finally {
      await setup.durable?.release();
      if (timer !== null) clearInterval(timer);
      if (deadline !== null) clearTimeout(deadline);
      signal?.removeEventListener('abort', onAbort);
    }
    return { ...summary(monitor.status(), startCpu), ...ending(end) };
  };
  /** How a run has ended that keeps something; without a store every run ends drained. */
  const ending = ({ drained, kept }: JobEnd): Pick<JobSummary, 'ending' | 'checkpoint'> => ({
    ending: drained || setup.durable === null ? 'drained' : 'suspended',
    checkpoint: kept ? (driver.lastCheckpoint ?? setup.durable?.latest?.sequence ?? null) : null,
  });

  const stop = async (how: StopOptions = {}): Promise<JobSummary> => {
    const { drain = drainsOnStop, savepoint = null } = how;
    if (savepoint !== null) refuseSavepoint(savepoint, setup);
    monitor.enter('stopping');
    driver.stop({ drain, savepoint });
    return done;
  };
  const savepoint = async (name = nameOfNow()): Promise<SavepointInfo> => {
    refuseSavepoint(name, setup);
    const { sequence, batch } = await driver.savepoint(name);
    return { number: sequence, name, batch };
  };
  const requests =
    setup.durable === null ? null : new OperatorRequests(setup.durable, { stop, savepoint });
  setup.durable?.keep((error) => driver.fail(error), requests);
  const done = finish();
  return {
    name: setup.logical.name,
    status: () => monitor.status(),
    stop,
    savepoint,
    setPace: (pace) => {
      const current = driver.pace;
      const next = {
        groupSize: wholeNumber('groupSize', pace.groupSize ?? current.groupSize, [1, groupSizeMax]),
        intervalMs: duration('interval', pace.interval ?? current.intervalMs),
      };
      driver.step({ kind: 'pace-changed', ...next, urgent: pace.urgent ?? false });
      monitor.paceChanged(next);
    },
    done,
    [Symbol.asyncDispose]: async () => {
      await stop();
    },
  };
}

/** Thrown out of a timer it would end the whole process. */
function statusError(cause: unknown): StreamError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StreamError({
    code: 'user-function',
    message: `the function onStatus failed: ${reason}`,
    hint: 'catch inside the function what it can go on after',
    cause,
  });
}

/** Synchronously, before anything is stopped. */
function refuseSavepoint(name: string, { durable }: JobSetup): void {
  const problem = durable === null ? 'the run keeps nothing' : savepointNameProblem(name);
  if (problem === null) return;
  throw new StreamError({
    code: 'savepoint-refused',
    message: `could not make the savepoint ${JSON.stringify(name)}: ${problem}`,
    hint:
      durable === null
        ? 'give the run a store: `checkpoints`, or --checkpoints'
        : "give a name such as 'before-upgrade'",
    fields: { savepoint: name },
  });
}

/** Unique enough for a person, and sorted by time: `2026-01-31T10-00-00Z`. */
function nameOfNow(): string {
  return `${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}Z`;
}

function summary(
  status: JobStatus,
  startCpu: NodeJS.CpuUsage,
): Omit<JobSummary, 'ending' | 'checkpoint'> {
  const cpu = process.cpuUsage(startCpu);
  return {
    ...status,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
  };
}
