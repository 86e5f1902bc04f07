// The source stage's kernel of the Yahoo Streaming Benchmark on one core, from bytes to blocks of
// partial counts, against the same job written by hand over `JSON.parse`, and against the pipeline
// of plain lambdas. Rounds are interleaved, inputs are the same ring of JSON lines, counts are
// compared.

import process from 'node:process';
import { formatCount } from '../src/base/format.ts';
import { batchToRows } from '../src/data/columnar/rows.ts';
import { decodeBatch } from '../src/data/columnar/batch-codec.ts';
import { TaskExecutor } from '../src/data/task/task-executor.ts';
import type { TaskResult } from '../src/data/task/task.ts';
import {
  collect,
  count,
  memoryBytes,
  pipeline,
  schema,
  string,
  timestamp,
  tumbling,
  ysbAds,
  ysbEvent,
} from '../src/index.ts';
import type { Pipeline } from '../src/index.ts';
import { rowsColumn } from '../src/plan/partials.ts';
import type { StageId } from '../src/plan/physical-plan.ts';
import { planPhysical } from '../src/plan/plan-physical.ts';
import { numberArgument, print, spread, spreadText } from './figures.ts';
import type { BenchOptions } from './main.ts';
import { ysbOverRing, ysbRing } from './ysb-ring.ts';

const ringEvents = 250_000;
const bytesPerTask = 1024 * 1024;
const windowMs = 10_000;
const triggerMs = 1_700_000_100_000;

type Contender = {
  readonly name: string;
  /** Reads the ring once and gives the number of views counted. */
  readonly pass: (ring: Uint8Array) => number;
};

/** The source stage of a pipeline, task by task; blocks are made and forgotten. */
function kernelOf(name: string, job: Pipeline): Contender {
  const plan = planPhysical(job.plan(), { partitions: 8 });
  const allocate = (byteLength: number): Uint8Array => new Uint8Array(byteLength);
  const partitionCounts = plan.stages.map((_, index) => (index === 0 ? 1 : 8));
  const options = { plan, bindings: job.bindings(), partitionCounts, allocate };
  const executor = new TaskExecutor(options);
  const exchange = plan.exchanges[plan.stages[0]!.outputs[0]!]!;
  const rowsOf = ({ outputs }: TaskResult): number => {
    let rows = 0;
    for (const block of outputs[0]!.blocks) {
      if (block === null) continue;
      for (const row of batchToRows(decodeBatch(exchange.schema, block))) {
        rows += Number(row[rowsColumn]);
      }
    }
    return rows;
  };
  let batch = 0;
  const pass = (ring: Uint8Array): number => {
    let views = 0;
    for (let start = 0; start < ring.length;) {
      const newline = ring.indexOf(10, Math.min(start + bytesPerTask, ring.length - 1));
      const end = newline < 0 ? ring.length : newline + 1;
      const piece = { bytes: ring, start, end, origin: 'ring', originOffset: 0, columns: null };
      const data = { kind: 'bytes', pieces: [piece] } as const;
      const chunk = { from: start, to: end, ended: false, data };
      const task = { stage: 0 as StageId, partition: 0, batch: batch++, part: 0 };
      views += rowsOf(executor.run(task, { kind: 'scan', chunk, triggerMs }));
      start = end;
    }
    return views;
  };
  return { name, pass };
}

/** What one would write without an engine. */
function byHand(): Contender {
  const campaigns = new Map(ysbAds({ seed: 1 }).map((ad) => [ad.ad_id, ad.campaign_id]));
  const counts = new Map<string, Map<number, number>>();
  const pass = (ring: Uint8Array): number => {
    const text = Buffer.from(ring.buffer, ring.byteOffset, ring.length);
    let views = 0;
    for (let start = 0; start < text.length;) {
      const newline = text.indexOf(10, start);
      const end = newline < 0 ? text.length : newline;
      const event = JSON.parse(text.toString('latin1', start, end)) as {
        readonly [name: string]: string;
      };
      start = end + 1;
      if (event['event_type'] !== 'view') continue;
      const campaign = campaigns.get(event['ad_id']!);
      if (campaign === undefined) continue;
      const window = Math.floor(Number(event['event_time']) / windowMs) * windowMs;
      let windows = counts.get(campaign);
      if (windows === undefined) counts.set(campaign, (windows = new Map()));
      windows.set(window, (windows.get(window) ?? 0) + 1);
      views++;
    }
    return views;
  };
  return { name: 'JSON.parse by hand', pass };
}

/** The job in lambdas that no rule can look into. */
function lambdaJob(): Pipeline {
  const campaigns = new Map(ysbAds({ seed: 1 }).map((ad) => [ad.ad_id, ad.campaign_id]));
  const events = memoryBytes({ schema: ysbEvent, ring: () => ysbRing(1) });
  return pipeline('ysb in lambdas')
    .from(events, { time: 'event_time' })
    .filterRow((row) => row.event_type === 'view')
    .map(schema({ campaign_id: string(), event_time: timestamp() }), (row) => ({
      campaign_id: campaigns.get(row.ad_id) ?? 'none',
      event_time: row.event_time,
    }))
    .groupBy('campaign_id')
    .window(tumbling('10s'))
    .aggregate(() => ({ views: count() }))
    .to(collect());
}

type Round = { readonly eventsPerSecond: number; readonly views: number };

function measure({ pass }: Contender, ring: Uint8Array, passes: number): Round {
  const startMs = performance.now();
  let views = 0;
  for (let index = 0; index < passes; index++) views += pass(ring);
  const seconds = (performance.now() - startMs) / 1000;
  return { eventsPerSecond: (ringEvents * passes) / seconds, views: views / passes };
}

/** Bytes by which the heap grows for each event over `passes`, collected before and after. */
function heapGrowth({ pass }: Contender, ring: Uint8Array, passes: number): number | null {
  if (globalThis.gc === undefined) return null;
  globalThis.gc();
  const before = process.memoryUsage();
  for (let index = 0; index < passes; index++) pass(ring);
  globalThis.gc();
  const after = process.memoryUsage();
  const grown = after.heapUsed - before.heapUsed + (after.external - before.external);
  return grown / (ringEvents * passes);
}

export async function run({ json, args }: BenchOptions): Promise<void> {
  const rounds = numberArgument(args, 'rounds', 9);
  const passes = numberArgument(args, 'passes', 4);
  // As sources hand bytes over: copying out of shared memory into the scanner takes twice as long.
  const ring = ysbRing(ringEvents).slice();
  const kernel = kernelOf('kernel', ysbOverRing({ ringEvents: 1, partitions: 1, times: 1 }));
  const lambdas = kernelOf('kernel of lambdas', lambdaJob());
  const hand = byHand();
  const contenders = [kernel, hand, lambdas];
  for (const contender of contenders) measure(contender, ring, 2);
  const measured = new Map(contenders.map(({ name }) => [name, [] as number[]]));
  const views = new Set<number>();
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      const result = measure(contender, ring, passes);
      measured.get(contender.name)!.push(result.eventsPerSecond);
      views.add(result.views);
    }
  }
  if (views.size !== 1) throw new Error(`the contenders count differently: ${[...views].join()}`);
  const rates = (contender: Contender): number[] => measured.get(contender.name)!;
  const ratioTo = (contender: Contender): ReturnType<typeof spread> =>
    spread(rates(contender).map((rate, round) => rate / rates(hand)[round]!));
  const bytesPerEvent = ring.length / ringEvents;
  const lines = contenders.map((contender) => {
    const rate = spread(rates(contender));
    const gigabytes = (rate.median * bytesPerEvent) / 1e9;
    const ratio = contender === hand ? '' : `  ratio ${spreadText(ratioTo(contender))}`;
    const name = contender.name.padEnd(20);
    return `${name}${formatCount(rate.median)} events/s  ${gigabytes.toFixed(2)} GB/s${ratio}`;
  });
  const growth = heapGrowth(kernel, ring, Math.ceil(5e6 / ringEvents));
  const ratio = ratioTo(kernel);
  const result = {
    ratio: ratio.median,
    ratioSpread: ratio,
    lambdaRatio: ratioTo(lambdas),
    eventsPerSecond: spread(rates(kernel)),
    byHandEventsPerSecond: spread(rates(hand)),
    lambdaEventsPerSecond: spread(rates(lambdas)),
    gigabytesPerSecond: (spread(rates(kernel)).median * bytesPerEvent) / 1e9,
    bytesPerEvent,
    heapBytesPerEvent: growth,
    rounds,
    eventsPerRound: ringEvents * passes,
  };
  const heap = growth === null ? 'not measured (--expose-gc)' : `${growth.toFixed(4)} bytes/event`;
  print(
    [
      ...lines,
      `heap growth of the kernel over 5 M events: ${heap}`,
      `${rounds} interleaved rounds of ${result.eventsPerRound} events: median (least–greatest)`,
    ],
    json ? result : null,
  );
}
