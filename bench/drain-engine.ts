// The engine's part of `drain`, a process of its own: reads the rings and prints what it took as
// JSON; with `--checkpoints STORE` it takes a checkpoint every second. The rate is taken between
// two news of how many records were read, the first and the last, so that start-up and the age of
// the news do not count.

import process from 'node:process';
import { numberArgument, textArgument } from './figures.ts';
import { counts, ysbOverRing } from './ysb-ring.ts';

const ringEvents = 540_000;
const partitions = 2;
const bytesPerTask = 4 * 1024 * 1024;
const wanted = numberArgument(process.argv, 'events', 20e6);
const times = Math.max(1, Math.round(wanted / (ringEvents * partitions)));

const store = textArgument(process.argv, 'checkpoints');

type News = { readonly atMs: number; readonly records: number; readonly cpu: NodeJS.CpuUsage };

const job = await ysbOverRing({ ringEvents, partitions, times }).run({
  workers: partitions,
  interval: 0,
  module: new URL('./drain-pipeline.ts', import.meta.url),
  bytesPerTask,
  ...(store === null ? {} : { checkpoints: { store, interval: '1s' } }),
});
const news: News[] = [];
let peakRssBytes = 0;
let lookedMs = 0;
const timer = setInterval(() => {
  const now = performance.now();
  if (now - lookedMs >= 50) {
    lookedMs = now;
    peakRssBytes = Math.max(peakRssBytes, process.memoryUsage.rss());
  }
  const { recordsIn: records, state } = job.status();
  if (state !== 'running' || records === (news.at(-1)?.records ?? 0)) return;
  news.push({ atMs: performance.now(), records, cpu: process.cpuUsage() });
}, 1);
const { recordsIn } = await job.done;
clearInterval(timer);

// A third of the events are views; each must have been counted.
let views = 0;
for (const row of counts.rows) views += row.views;
if (Math.abs(views / recordsIn - 1 / 3) > 0.01) {
  throw new Error(`${views} views of ${recordsIn} events is not a third`);
}

const [first, last] = [news[0], news.at(-1)];
if (first === undefined || last === undefined || first === last) {
  throw new Error('too few events to measure: give more by --events');
}
const records = last.records - first.records;
const cpuMicros = last.cpu.user + last.cpu.system - first.cpu.user - first.cpu.system;
process.stdout.write(
  JSON.stringify({
    eventsPerSecond: (records / (last.atMs - first.atMs)) * 1000,
    cpuPerMillion: cpuMicros / records,
    peakRssBytes,
  }),
);
