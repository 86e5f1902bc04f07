// The whole embedded engine against its own kernels: two threads that do nothing but run the source
// stage's kernel over a ring in memory are the 100 %; the engine does the same and schedules,
// shuffles, keeps windows and commits. Rounds alternate between the two.

import { execFileSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { TaskExecutor } from '../src/data/task/task-executor.ts';
import type { StageId } from '../src/plan/physical-plan.ts';
import { planPhysical } from '../src/plan/plan-physical.ts';
import { formatBytes, formatCount } from '../src/base/format.ts';
import { ysbOverRing, ysbRing, ysbRingBytes } from './ysb-ring.ts';
import type { BenchOptions } from './main.ts';
import { numberArgument, print, spread, spreadText } from './figures.ts';

/** 256 MB of events, in two rings. */
const ringEvents = 540_000;
const partitions = 2;
const bytesPerTask = 4 * 1024 * 1024;

type Measured = { readonly eventsPerSecond: number; readonly cpuPerMillion: number };

/** In a process of its own, so that its memory is its own. */
function engine(times: number): Measured & { readonly peakRssBytes: number } {
  const events = times * ringEvents * partitions;
  const script = new URL('./drain-engine.ts', import.meta.url);
  const output = execFileSync(process.execPath, [fileURLToPath(script), '--events', `${events}`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(output) as Measured & { readonly peakRssBytes: number };
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
  const events = numberArgument(args, 'events', 40e6);
  const times = Math.max(1, Math.round(events / (ringEvents * partitions)));
  const ringBytes = ysbRingBytes(ringEvents) * partitions;
  const ratios: number[] = [];
  const all = { engine: [] as Measured[], kernel: [] as Measured[] };
  let peakRssBytes = 0;
  for (let round = 0; round < rounds; round++) {
    const kernel = await kernels(times);
    const whole = engine(times);
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
