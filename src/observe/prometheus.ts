// A job's status as Prometheus reads it: text format 0.0.4, one sample a line.

import type { JobStatus } from '../api/job.ts';

type Sample = readonly [
  name: string,
  help: string,
  type: 'counter' | 'gauge',
  value: number | null,
];

/** Values that are not known are left out. */
export function prometheusText(status: JobStatus): string {
  const { batchMs } = status;
  const samples: readonly Sample[] = [
    ['records_in_total', 'Good records read.', 'counter', status.recordsIn],
    [
      'records_bad_total',
      'Bad records skipped or kept as dead letters.',
      'counter',
      status.recordsBad,
    ],
    ['records_late_total', 'Rows after their last window closed.', 'counter', status.recordsLate],
    ['bytes_in_total', 'Bytes read.', 'counter', status.bytesIn],
    ['rows_out_total', 'Rows given to sinks.', 'counter', status.rowsOut],
    ['batches_total', 'Micro-batches done everywhere.', 'counter', status.batches],
    ['groups_total', 'Groups of micro-batches scheduled.', 'counter', status.groups],
    ['workers', 'Workers of the job.', 'gauge', status.workers],
    ['group_size', 'Micro-batches in a group.', 'gauge', status.groupSize],
    ['interval_seconds', 'Time between micro-batches.', 'gauge', status.intervalMs / 1000],
    [
      'batch_seconds_p50',
      'Recent micro-batches, trigger to completion.',
      'gauge',
      seconds(batchMs.p50),
    ],
    [
      'batch_seconds_p99',
      'Recent micro-batches, trigger to completion.',
      'gauge',
      seconds(batchMs.p99),
    ],
    ['watermark_seconds', 'Least watermark, epoch.', 'gauge', seconds(status.watermarkMs)],
    ['lag_records', 'Records ready and not taken.', 'gauge', status.lagRecords],
    ['lag_bytes', 'Bytes ready and not taken.', 'gauge', status.lagBytes],
    ['lag_seconds', 'Age of the oldest record not taken.', 'gauge', seconds(status.lagMs)],
    ['busy_ratio', "Share of the workers' time in tasks.", 'gauge', status.busy],
    ['state_bytes', 'Keyed state.', 'gauge', status.stateBytes],
    ['kept_bytes', 'Blocks in memory until a checkpoint.', 'gauge', status.keptBytes],
    ['spilled_bytes', 'Blocks on disk until a checkpoint.', 'gauge', status.spilledBytes],
    [
      'input_held_back',
      '1: no room for further blocks, sources wait for a checkpoint.',
      'gauge',
      status.inputHeldBack ? 1 : 0,
    ],
    ['rss_bytes', "Memory of the driver's process.", 'gauge', status.rssBytes],
  ];
  const lines = samples.flatMap(([name, help, type, value]) =>
    value === null || !Number.isFinite(value)
      ? []
      : [
          `# HELP mizzle_${name} ${help}`,
          `# TYPE mizzle_${name} ${type}`,
          `mizzle_${name} ${value}`,
        ],
  );
  for (const { source, partition, to } of status.offsets) {
    lines.push(`mizzle_source_offset{source="${escaped(source)}",partition="${partition}"} ${to}`);
  }
  return `${lines.join('\n')}\n`;
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}

function escaped(label: string): string {
  return label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
