// A job's status as lines of text: what the live view draws and logs print.

import type { JobStatus, Percentiles } from '../api/job.ts';
import { formatBytes, formatCount, formatMs, formatTime } from '../base/format.ts';

/** The status as labelled lines, for a view that redraws. */
export function statusLines(status: JobStatus): readonly string[] {
  const { groupSize, intervalMs } = status;
  const pace = intervalMs === 0 ? 'as fast as possible' : `every ${formatMs(intervalMs)}`;
  return [
    row('state', `${status.state}, ${formatMs(status.elapsedMs)}, ${status.workers} worker(s)`),
    row(
      'records',
      `${formatCount(status.recordsIn)} in (${formatCount(status.recordsPerSecond)}/s), ` +
        `${formatCount(status.recordsBad)} bad, ${formatCount(status.recordsLate)} late, ` +
        `${formatCount(status.rowsOut)} rows out`,
    ),
    row(
      'micro-batch',
      `${formatCount(status.batches)} ${pace}, ${percentilesText(status.batchMs)}, ` +
        `groups of ${groupSize}`,
    ),
    row('watermark', formatTime(status.watermarkMs)),
    row('lag', lagText(status)),
    row(
      'load',
      `workers ${(status.busy * 100).toFixed(0)} % busy, state ` +
        `${formatBytes(status.stateBytes)}, process ${formatBytes(status.rssBytes)}`,
    ),
    ...keptRows(status),
  ];
}

/** What waits for a checkpoint, in runs that take some. */
function keptRows({ keptBytes, spilledBytes, inputHeldBack }: JobStatus): readonly string[] {
  if (keptBytes + spilledBytes === 0) return [];
  const full = inputHeldBack ? ', which is full: sources wait for a checkpoint' : '';
  return [row('kept', `${formatBytes(keptBytes)}, on disk ${formatBytes(spilledBytes)}${full}`)];
}

/** The status on one line, for output that does not redraw. */
export function statusLine(status: JobStatus): string {
  return (
    `${formatMs(status.elapsedMs)}: ${formatCount(status.recordsIn)} records ` +
    `(${formatCount(status.recordsPerSecond)}/s), micro-batch p50 ` +
    `${formatMs(status.batchMs.p50)} p99 ${formatMs(status.batchMs.p99)}, ` +
    `${formatCount(status.recordsBad)} bad, ${formatCount(status.recordsLate)} late, ` +
    `${formatCount(status.rowsOut)} rows out, lag ${lagText(status)}` +
    (status.inputHeldBack ? ', sources wait for a checkpoint' : '')
  );
}

export function percentilesText({ p50, p95, p99, max }: Percentiles): string {
  return (
    `p50 ${formatMs(p50)}, p95 ${formatMs(p95)}, ` + `p99 ${formatMs(p99)}, max ${formatMs(max)}`
  );
}

function lagText({ lagRecords, lagBytes, lagMs }: JobStatus): string {
  const parts: string[] = [];
  if (lagRecords !== null) parts.push(`${formatCount(lagRecords)} records`);
  if (lagBytes !== null) parts.push(formatBytes(lagBytes));
  if (lagMs !== null) parts.push(formatMs(lagMs));
  return parts.length === 0 ? 'unknown' : parts.join(', ');
}

function row(label: string, text: string): string {
  return `${label.padEnd(12)}${text}`;
}
