// The whole embedded engine against its own kernels: two threads that do nothing but run the source
// stage's kernel over a ring in memory are the 100 %; the engine does the same and schedules,
// shuffles, keeps windows and commits. Rounds alternate between the two.

import process from 'node:process';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { TaskExecutor } from '../src/data/task/task-executor.ts';
import type { StageId } from '../src/plan/physical-plan.ts';
import { planPhysical } from '../src/plan/plan-physical.ts';
import { formatBytes, formatCount } from '../src/base/format.ts';
import { counts, ysbOverRing, ysbRing } from './ysb-ring.ts';
import type { BenchOptions } from './main.ts';
import { numberArgument, print, spread, spreadText } from './figures.ts';

/** 256 MB of events, in two rings. */
const ringEvents = 540_000;
const partitions = 2;
const bytesPerTask = 4 * 1024 * 1024;

type Measured = { readonly eventsPerSecond: number; readonly cpuPerMillion: number };

async function engine(times: number): Promise<Measured & { readonly peakRssBytes: number }> {
  const job = await ysbOverRing({ ringEvents, partitions, times }).run({
    workers: partitions,
    interval: 0,
    module: new URL('./drain-pipeline.ts', import.meta.url),
    bytesPerTask,
  });
  let peakRssBytes = 0;
  const timer = setInterval(() => {
    peakRssBytes = Math.max(peakRssBytes, process.memoryUsage.rss());
  }, 20);
  const started = Promise.withResolvers<void>();
  const poll = setInterval(() => {
    if (job.status().recordsIn > 0) started.resolve();
  }, 1);
  await started.promise;
  clearInterval(poll);
  const before = { status: job.status(), cpu: process.cpuUsage() };
  const summary = await job.done;
  clearInterval(timer);
  const events = summary.recordsIn - before.status.recordsIn;
  const cpu = process.cpuUsage(before.cpu);
  check(summary.recordsIn);
  return {
    eventsPerSecond: events / ((summary.elapsedMs - before.status.elapsedMs) / 1000),
    cpuPerMillion: (cpu.user + cpu.system) / events,
    peakRssBytes,
  };
}

/** A third of the events are views; each must have been counted. */
function check(events: number): void {
  let views = 0;
  for (const row of counts.rows) views += row.views;
  if (Math.abs(views / events - 1 / 3) > 0.01) {
    throw new Error(`${views} views of ${events} events is not a third`);
  }
}

/** Runs the source kernel alone in two threads at once; the ring is not part of the time. */
async function kernels(times: number): Promise<Measured> {
  const threads = Array.from(
    { length: partitions },
    (_, partition) => new Worker(import.meta.filename, { workerData: { partition, times } }),
  );
  await Promise.all(threads.map((thread) => once(thread)));
  const cpu = process.cpuUsage();
  for (const thread of threads) thread.postMessage('go');
  const seconds = await Promise.all(threads.map((thread) => once(thread)));
  const used = process.cpuUsage(cpu);
  await Promise.all(threads.map((thread) => thread.terminate()));
  const events = ringEvents * partitions * times;
  return {
    eventsPerSecond: events / Math.max(...seconds),
    cpuPerMillion: (used.user + used.system) / events,
  };
}

function once(thread: Worker): Promise<number> {
  return new Promise((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
  });
}

function kernelThread({ partition, times }: { partition: number; times: number }): void {
  const pipeline = ysbOverRing({ ringEvents, partitions, times });
  const plan = planPhysical(pipeline.plan(), { partitions: 8 });
  const executor = new TaskExecutor({
    plan,
    bindings: pipeline.bindings(),
    partitionCounts: plan.stages.map((_, index) => (index === 0 ? partitions : 8)),
    allocate: (byteLength) => new Uint8Array(byteLength),
  });
  const ring = ysbRing(ringEvents, partition * ringEvents);
  const cuts = [0];
  while (cuts.at(-1)! < ring.length) {
    const wanted = cuts.at(-1)! + bytesPerTask;
    cuts.push(wanted >= ring.length ? ring.length : ring.indexOf(10, wanted) + 1);
  }
  let batch = 0;
  const pass = (): void => {
    for (let at = 0; at + 1 < cuts.length; at++) {
      const [start, end] = [cuts[at]!, cuts[at + 1]!];
      const piece = { bytes: ring, start, end, origin: 'ring', originOffset: 0, columns: null };
      const data = { kind: 'bytes', pieces: [piece] } as const;
      const chunk = { from: start, to: end, ended: false, data };
      const id = { stage: 0 as StageId, partition, batch: batch++, part: 0 };
      executor.run(id, { kind: 'scan', chunk, triggerMs: Date.now() });
    }
  };
  pass();
  parentPort!.on('message', () => {
    const startMs = performance.now();
    for (let time = 0; time < times; time++) pass();
    parentPort!.postMessage((performance.now() - startMs) / 1000);
  });
  parentPort!.postMessage(0);
}

export async function run({ json, args }: BenchOptions): Promise<void> {
  const rounds = numberArgument(args, 'rounds', 5);
  const events = numberArgument(args, 'events', 20e6);
  const times = Math.max(1, Math.round(events / (ringEvents * partitions)));
  const ringBytes = ysbRing(ringEvents).byteLength * partitions;
  const ratios: number[] = [];
  const all = { engine: [] as Measured[], kernel: [] as Measured[] };
  let peakRssBytes = 0;
  for (let round = 0; round < rounds; round++) {
    const kernel = await kernels(times);
    const whole = await engine(times);
    all.kernel.push(kernel);
    all.engine.push(whole);
    ratios.push(whole.eventsPerSecond / kernel.eventsPerSecond);
    peakRssBytes = Math.max(peakRssBytes, whole.peakRssBytes);
  }
  const of = (values: readonly Measured[], key: keyof Measured): ReturnType<typeof spread> =>
    spread(values.map((value) => value[key]));
  const result = {
    events: times * ringEvents * partitions,
    ratio: spread(ratios),
    engineEventsPerSecond: of(all.engine, 'eventsPerSecond'),
    kernelEventsPerSecond: of(all.kernel, 'eventsPerSecond'),
    engineCpuPerMillion: of(all.engine, 'cpuPerMillion'),
    kernelCpuPerMillion: of(all.kernel, 'cpuPerMillion'),
    peakRssBytes,
    ringBytes,
  };
  print(
    [
      `${formatCount(result.events)} events, ${partitions} workers, ${rounds} rounds`,
      `engine   ${formatCount(result.engineEventsPerSecond.median)} events/s, ` +
        `${spreadText(result.engineCpuPerMillion)} CPU s per million`,
      `kernels  ${formatCount(result.kernelEventsPerSecond.median)} events/s, ` +
        `${spreadText(result.kernelCpuPerMillion)} CPU s per million`,
      `ratio    ${spreadText(result.ratio)}`,
      `memory   peak ${formatBytes(peakRssBytes)}, of which the input ${formatBytes(ringBytes)}`,
    ],
    json ? result : null,
  );
}

if (!isMainThread) kernelThread(workerData as { partition: number; times: number });
