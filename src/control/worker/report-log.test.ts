// How often a worker reports, and how much it says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makespansPerReportMax } from '../limits.ts';
import type { PlacementVersion } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import { ReportLog } from './report-log.ts';

const version = 0 as PlacementVersion;
const kept = { keptBytes: 0, spilledBytes: 0, pressure: 'none' } as const;
const now = { version, startedThrough: noBatch, doneThrough: noBatch, queued: 0, ...kept };

test('ReportLog reports every 50 ms, and less often where there are many workers', () => {
  const log = new ReportLog();
  log.restart(0, 500);
  assert.equal(log.nextDeadlineMs(), 50);
  log.restart(0, 10_000);
  assert.equal(log.nextDeadlineMs(), 1000);
});

test('ReportLog keeps makespans evenly spread, never more than its bound', () => {
  const log = new ReportLog();
  for (let batch = 0; batch < 1000; batch++) log.batchDone(batch);
  log.request();
  const makespansMs = log.take(0, now)?.makespansMs ?? [];
  assert.ok(makespansMs.length <= makespansPerReportMax);
  assert.ok(makespansMs.length >= makespansPerReportMax / 2);
  const gaps = new Set(makespansMs.slice(1).map((value, index) => value - makespansMs[index]!));
  assert.deepEqual([...gaps], [64]);
});

test('ReportLog sends gauges once, and less often where there are many workers', () => {
  const gaugesAt = (workerCount: number, measuredEveryMs: number): readonly unknown[] => {
    const log = new ReportLog();
    log.restart(0, workerCount);
    const sent: unknown[] = [];
    for (let nowMs = 0; nowMs <= 10_000; nowMs += 100) {
      if (nowMs % measuredEveryMs === 0) log.gauges = { measuredMs: nowMs };
      log.request();
      sent.push(log.take(nowMs, now)?.gauges);
    }
    return sent.filter((gauges) => gauges !== null);
  };
  assert.equal(gaugesAt(16, 100).length, 101);
  const fresh = gaugesAt(16, 1000);
  assert.equal(fresh.length, 11);
  assert.deepEqual(fresh[3], { measuredMs: 3000 });
  // Ten thousand of them would name all their partitions: one in a hundred reports does.
  assert.equal(gaugesAt(10_000, 100).length, 2);
});
