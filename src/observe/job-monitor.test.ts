// What the status says after a worker was lost and others have taken its partitions over.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchNumber, PlacementVersion, WorkerId } from '../control/protocol/ids.ts';
import type { WorkerGauges } from './gauges.ts';
import { noGauges } from './gauges.ts';
import { JobMonitor } from './job-monitor.ts';

test('JobMonitor counts what a lost worker has done, and forgets how it stood with it', () => {
  const monitor = new JobMonitor({
    workers: 2,
    startMs: 0,
    intervalMs: 10,
    groupSize: 10,
    mode: 'drizzle',
    nowMs: () => 0,
    rssBytes: () => 0,
  });
  const report = (worker: number, through: number, own: Partial<WorkerGauges>): void => {
    monitor.reported(worker as WorkerId, {
      version: 0 as PlacementVersion,
      startedThrough: through as BatchNumber,
      ended: [],
      tasksRun: 0,
      queued: 0,
      doneThrough: through as BatchNumber,
      makespansMs: [],
      busyMs: 0,
      gauges: { ...noGauges, ...own },
    });
  };
  const offset = (partition: number, to: number) => ({ source: 'orders', partition, to });
  report(0, 4, { recordsIn: 50, watermarkMs: 900, stateBytes: 7, offsets: [offset(0, 50)] });
  report(1, 3, { recordsIn: 30, watermarkMs: 500, stateBytes: 5, offsets: [offset(1, 30)] });
  monitor.lost(1 as WorkerId);
  const taken = { recordsIn: 90, watermarkMs: 1_900, stateBytes: 9, lagMs: 3 };
  report(0, 9, { ...taken, offsets: [offset(0, 80), offset(1, 40)] });
  const { batches, recordsIn, watermarkMs, stateBytes, lagMs, offsets } = monitor.status();
  assert.deepEqual(
    { batches, recordsIn, watermarkMs, stateBytes, lagMs },
    { batches: 10, recordsIn: 120, watermarkMs: 1_900, stateBytes: 9, lagMs: 3 },
  );
  assert.deepEqual(offsets, [offset(0, 80), offset(1, 40)]);
});
