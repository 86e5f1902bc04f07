// The handle of a running job: status, stop, pace, and the summary at the end. The shell that runs
// the job gives it a driver and a way to shut down.

import process from 'node:process';
import type { Job, JobStatus, JobSummary, RunOptions } from '../../api/job.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { JobMonitor } from '../../observe/job-monitor.ts';
import type { ClientSinks } from './client-sinks.ts';
import type { DriverShell } from './driver-shell.ts';
import type { JobSetup } from './job-setup.ts';
import { duration, wholeNumber } from './job-setup.ts';
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
  const onAbort = (): void => driver.step({ kind: 'stop-requested' });
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
    try {
      await driver.ended;
      await parts.shutDown(true);
      await parts.sinks.finish();
      monitor.enter('finished');
    } catch (error) {
      monitor.enter('failed');
      await parts.shutDown(false);
      await parts.sinks.abandon();
      throw error;
    } finally {
      await setup.durable?.release();
      if (timer !== null) clearInterval(timer);
      if (deadline !== null) clearTimeout(deadline);
      signal?.removeEventListener('abort', onAbort);
    }
    return summary(monitor.status(), startCpu);
  };

  setup.durable?.keep((error) => driver.fail(error));
  const done = finish();
  const stop = async (): Promise<JobSummary> => {
    monitor.enter('stopping');
    driver.step({ kind: 'stop-requested' });
    return done;
  };
  return {
    name: setup.logical.name,
    status: () => monitor.status(),
    stop,
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

function summary(status: JobStatus, startCpu: NodeJS.CpuUsage): JobSummary {
  const cpu = process.cpuUsage(startCpu);
  return {
    ...status,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
  };
}
