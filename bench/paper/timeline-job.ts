// A job of two stages with some data, whose workers record what they do: each one's thread writes
// its marks into a folder when it stops.

import { subscribe } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { isMainThread } from 'node:worker_threads';
import { count, generator, int32, pipeline, schema, timestamp, tumbling } from '../../src/index.ts';
import type { Sink } from '../../src/index.ts';
import type { WorkerShellTrace } from '../../src/runtime/host/traces.ts';
import { Recorder } from './timeline-record.ts';

/** Where to write; nothing is recorded without it. */
export const folderVariable = 'MIZZLE_TIMELINE_FOLDER';

/** Rows are visible, at the worker, once they are counted. */
const counted: Sink = {
  kind: 'counted',
  description: 'rows that are counted',
  partitions: null,
  location: 'worker',
  prepare: () => Promise.resolve(),
  open: () =>
    Promise.resolve({
      committedThrough: -1,
      commit: () => Promise.resolve(),
      close: () => Promise.resolve(),
    }),
  finish: () => Promise.resolve(),
};

export const timelineJob = pipeline('timeline')
  .from(
    generator({
      schema: schema({ key: int32(), at: timestamp('ms') }),
      eventsPerSecond: 6000,
      rows: (index, dueMs) => ({ key: index % 64, at: dueMs }),
    }),
    { time: 'at' },
  )
  .groupBy('key')
  .window(tumbling('5ms'))
  .aggregate(() => ({ rows: count() }))
  .to(counted);

export default timelineJob;

const folder = process.env[folderVariable];
if (!isMainThread && folder !== undefined) {
  const recorder = new Recorder();
  subscribe('mizzle:worker', (message) => {
    const trace = message as WorkerShellTrace;
    recorder.worker(trace);
    if (trace.effect?.kind !== 'stop') return;
    writeFileSync(join(folder, `${trace.worker}.json`), JSON.stringify(recorder.marks));
  });
}
