// Runs a job for a person at a terminal: live view, Ctrl-C that ends it cleanly, summary.

import process from 'node:process';
import type { Job, JobSummary, RunOptions } from '../../api/job.ts';
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
 * Runs a pipeline to the end of its input with a live view on standard error. Ctrl-C, or SIGTERM,
 * finishes what was read and ends cleanly, as `stop()` does; a second one ends the process at once,
 * with exit code 130. Resolves with the summary; rejects with the StreamError that the job failed
 * with.
 *
 * @example
 * const summary = await runInTerminal(campaigns, { workers: 4 });
 */
export async function runInTerminal(
  pipeline: Runnable,
  options: RunOptions = {},
  terminal: TerminalOptions = {},
): Promise<JobSummary> {
  return runJobInTerminal(pipeline, options, terminal, (own) => runPipeline(pipeline, own));
}

/** As `runInTerminal`, for a job that is started in another way. */
export async function runJobInTerminal(
  pipeline: Runnable,
  options: RunOptions,
  { quiet = false, extra }: TerminalOptions,
  start: (options: RunOptions) => Promise<Job>,
): Promise<JobSummary> {
  const title = `pipeline ${pipeline.plan().name}`;
  // Two things that redraw cannot share a screen.
  const hasView = !quiet && !(process.stdout.isTTY && drawsTable(pipeline));
  const view = hasView ? new LiveView({ title, ...(extra === undefined ? {} : { extra }) }) : null;
  const job = await start({
    ...options,
    ...(view === null ? {} : { onStatus: (status) => view.show(status) }),
  });
  let interrupted = false;
  const onSignal = (): void => {
    view?.clear();
    if (interrupted) process.exit(130);
    interrupted = true;
    const keeps = options.checkpoints !== undefined && options.drainOnStop !== true;
    const windows = keeps ? 'windows stay open' : 'windows close';
    process.stderr.write(`finishing what was read, ${windows}; interrupt again to end at once\n`);
    job.stop().catch(() => {
      // The same error comes by `job.done` below.
    });
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    const summary = await job.done;
    view?.clear();
    if (!quiet) {
      const how = summary.ending === 'suspended' ? `\n${goesOn(summary, options)}` : '';
      process.stderr.write(`${title}: ${summaryText(summary)}${how}\n`);
    }
    return summary;
  } finally {
    view?.clear();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

/** How a run that was stopped goes on. */
function goesOn({ checkpoint }: JobSummary, { checkpoints }: RunOptions): string {
  const { fresh = false, from } = typeof checkpoints === 'object' ? checkpoints : {};
  const without = fresh ? ', without --fresh' : from === undefined ? '' : ', without --from';
  const command = `go on with the same command${without}`;
  if (checkpoint !== null) return `windows stay open in checkpoint ${checkpoint}: ${command}`;
  return (
    `windows stay open, with no checkpoint as of the end: ${command}; it repeats what came since ` +
    'the last one, and nothing becomes visible twice'
  );
}

function drawsTable(pipeline: Runnable): boolean {
  return [...pipeline.bindings().sinks.values()].some((sink) => sink.kind === 'console');
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
