// The monitor of a job with many workers: rates are right, and what a report costs does not grow
// with the workers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchNumber, PlacementVersion, WorkerId } from '../control/protocol/ids.ts';
import type { Report } from '../control/protocol/messages.ts';
import type { WorkerGauges } from './gauges.ts';
import { noGauges } from './gauges.ts';
import { JobMonitor } from './job-monitor.ts';

let nowMs = 0;

function monitorOf(workers: number): JobMonitor {
  nowMs = 0;
  return new JobMonitor({
    workers,
    startMs: 0,
    intervalMs: 10,
    groupSize: 10,
    mode: 'drizzle',
    nowMs: () => nowMs,
    rssBytes: () => 0,
  });
}

function reportOf(gauges: WorkerGauges, busyMs: number): Report {
  return {
    version: 0 as PlacementVersion,
    startedThrough: 0 as BatchNumber,
    doneThrough: 0 as BatchNumber,
    ended: [],
    makespansMs: [],
    busyMs,
    tasksRun: 1,
    queued: 0,
    keptBytes: 0,
    spilledBytes: 0,
    pressure: 'none' as const,
    gauges,
  };
}

test('JobMonitor.status gives the rates of the last second, however often workers report', () => {
  const monitor = monitorOf(2);
  for (nowMs = 1; nowMs <= 3000; nowMs++) {
    const offsets = [{ source: 'clicks', partition: 0, to: nowMs }];
    const gauges = { ...noGauges, recordsIn: 5 * nowMs, offsets };
    monitor.reported(0 as WorkerId, reportOf(gauges, 0.5));
    const other = [{ source: 'clicks', partition: 1, to: nowMs }];
    monitor.reported(1 as WorkerId, reportOf({ ...gauges, offsets: other }, 0.5));
  }
  nowMs = 3000;
  const { recordsPerSecond, busy, recordsIn, offsets } = monitor.status();
  assert.equal(recordsIn, 30_000);
  assert.ok(Math.abs(recordsPerSecond - 10_000) < 200, `${recordsPerSecond} records/s`);
  assert.ok(Math.abs(busy - 0.5) < 0.03, `${busy}`);
  assert.deepEqual(
    offsets.map(({ partition, to }) => [partition, to]),
    [
      [0, 3000],
      [1, 3000],
    ],
  );
});

test('JobMonitor.reported does not ask all workers’ gauges for every report of one', () => {
  const workers = 500;
  const monitor = monitorOf(workers);
  let asked = 0;
  const counting: WorkerGauges = {
    ...noGauges,
    get recordsIn() {
      asked++;
      return 1;
    },
  };
  nowMs = 1000;
  for (let worker = 0; worker < workers; worker++) {
    monitor.reported(worker as WorkerId, reportOf(counting, 1));
  }
  nowMs += 10;
  for (let worker = 0; worker < workers; worker++) {
    monitor.reported(worker as WorkerId, reportOf(counting, 1));
  }
  assert.ok(asked <= 2 * workers, `${asked} times`);
});

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
      keptBytes: 0,
      spilledBytes: 0,
      pressure: 'none' as const,
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

test('JobMonitor.status adds up what workers keep, and forgets that of a lost one', () => {
  const monitor = monitorOf(2);
  const report = reportOf(noGauges, 0);
  monitor.reported(0 as WorkerId, { ...report, keptBytes: 5, spilledBytes: 70 });
  monitor.reported(1 as WorkerId, { ...report, keptBytes: 6, spilledBytes: 80 });
  monitor.traced({ kind: 'input-held-back', holdsBack: true, worker: 1 as WorkerId });
  const kept = { keptBytes: 11, spilledBytes: 150, inputHeldBack: true };
  assert.deepEqual({ ...monitor.status(), ...kept }, monitor.status());
  monitor.lost(1 as WorkerId);
  monitor.traced({ kind: 'input-held-back', holdsBack: false, worker: 1 as WorkerId });
  const left = { keptBytes: 5, spilledBytes: 70, inputHeldBack: false };
  assert.deepEqual({ ...monitor.status(), ...left }, monitor.status());
});
