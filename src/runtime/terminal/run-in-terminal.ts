// Runs a job for a person at a terminal: live view, Ctrl-C that drains, summary.

import process from 'node:process';
import type { JobSummary, RunOptions } from '../../api/job.ts';
import { formatBytes, formatCount, formatMs } from '../../base/format.ts';
import { percentilesText } from '../../observe/status-text.ts';
import type { Runnable } from '../host/runnable.ts';
import { runPipeline } from '../run-pipeline.ts';
import { LiveView } from './live-view.ts';

export type TerminalOptions = {
  /** No live view and no summary. Default: false. */
  readonly quiet?: boolean;
  /** Lines to show under the status. */
  readonly extra?: () => readonly string[];
};

/**
 * Runs a pipeline to the end of its input with a live view on standard error. Ctrl-C finishes what
 * was read and ends cleanly; a second one ends at once. Resolves with the summary, or with null
 * when the user interrupted twice; rejects with the StreamError that the job failed with.
 *
 * @example
 * const summary = await runInTerminal(clicks, { workers: 4 });
 */
export async function runInTerminal(
  pipeline: Runnable,
  options: RunOptions = {},
  { quiet = false, extra }: TerminalOptions = {},
): Promise<JobSummary | null> {
  const title = `pipeline ${pipeline.plan().name}`;
  const view = quiet ? null : new LiveView({ title, ...(extra === undefined ? {} : { extra }) });
  const job = await runPipeline(pipeline, {
    ...options,
    ...(view === null ? {} : { onStatus: (status) => view.show(status) }),
  });
  const interrupted = Promise.withResolvers<null>();
  let interrupts = 0;
  const onSignal = (): void => {
    interrupts++;
    if (interrupts > 1) return interrupted.resolve(null);
    view?.clear();
    process.stderr.write('finishing what was read; interrupt again to end at once\n');
    job.stop().catch(() => {
      // The same error comes by `job.done` below.
    });
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    const summary = await Promise.race([job.done, interrupted.promise]);
    view?.clear();
    if (summary !== null && !quiet) process.stderr.write(`${title}: ${summaryText(summary)}\n`);
    return summary;
  } finally {
    view?.clear();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

function summaryText(summary: JobSummary): string {
  return (
    `done in ${formatMs(summary.elapsedMs)}: ${formatCount(summary.recordsIn)} records in ` +
    `(${formatBytes(summary.bytesIn)}), ${formatCount(summary.rowsOut)} rows out, ` +
    `${formatCount(summary.recordsBad)} bad, ${formatCount(summary.recordsLate)} late; ` +
    `${formatCount(summary.batches)} micro-batches, ${percentilesText(summary.batchMs)}; ` +
    `${summary.cpuSeconds.toFixed(2)} CPU s, peak ${formatBytes(summary.peakRssBytes)}`
  );
}
