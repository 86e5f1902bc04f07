// `timeline`: a profile of two stages on real processes. For every micro-batch it follows what its
// output waited for back to the trigger, and counts messages from and to the driver on the way:
// none in `drizzle` mode. Some micro-batches are drawn.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { ExecutionMode } from '../../src/index.ts';
import type { DriverShellTrace } from '../../src/runtime/host/traces.ts';
import { machine, spread, spreadText } from '../figures.ts';
import type { Spread } from '../figures.ts';
import type { Figure } from './figure.ts';
import type { LanePlot } from './plot-lanes.ts';
import { folderVariable, timelineJob } from './timeline-job.ts';
import type { Path } from './timeline-path.ts';
import { Timeline } from './timeline-path.ts';
import { Recorder } from './timeline-record.ts';
import type { Mark, Node } from './timeline-record.ts';

type Mode = Extract<ExecutionMode, 'drizzle' | 'bsp'>;

export type Profile = {
  readonly mode: Mode;
  readonly batches: number;
  /** Of each micro-batch: messages from and to the driver that its output waited for. */
  readonly driverMessagesOnPath: Spread;
  /** Share of micro-batches whose output waited for none. */
  readonly withoutDriver: number;
  /** … and that were on their way meanwhile, such as reports and orders for later groups. */
  readonly driverMessagesBeside: Spread;
  /** Planned trigger to the last output, ms. */
  readonly latencyMs: Spread;
  /** What the median micro-batch's output waited for, from its trigger on. */
  readonly path: readonly string[];
  readonly drawn: Drawn;
};

/** Times since the first trigger that is drawn, ms. */
export type Drawn = {
  readonly nodes: readonly string[];
  readonly triggersMs: readonly number[];
  readonly outputsMs: readonly number[];
  readonly tasks: readonly {
    readonly node: number;
    readonly stage: number;
    readonly fromMs: number;
    readonly toMs: number;
  }[];
  readonly messages: readonly {
    readonly from: number;
    readonly to: number;
    readonly message: string;
    readonly sentMs: number;
    readonly heardMs: number;
    /** An output that is drawn waited for it. */
    readonly onPath: boolean;
  }[];
};

export type TimelineFigure = {
  readonly machine: string;
  readonly hosts: number;
  readonly intervalMs: number;
  readonly groupSize: number;
  readonly profiles: readonly Profile[];
};

const hosts = 3;
const groupSize = 10;
/** Micro-batches that are drawn. */
const drawnCount = 3;

export const timeline: Figure<TimelineFigure> = {
  name: 'timeline',
  what: 'what lies between a micro-batch’s trigger and its output, on real processes',
  async run({ quick }) {
    const intervalMs = quick ? 20 : 5;
    const profiles: Profile[] = [];
    for (const mode of ['drizzle', 'bsp'] as const) {
      const marks = await record({ mode, intervalMs, runMs: quick ? 600 : 4000 });
      profiles.push(profileOf(mode, new Timeline(marks)));
    }
    return { machine: machine(), hosts, intervalMs, groupSize, profiles };
  },
  tell: ({ profiles }) =>
    profiles.flatMap((profile) => [
      `${profile.mode}, ${profile.batches} micro-batches: driver messages on the path to the ` +
        `output ${spreadText(profile.driverMessagesOnPath, 0)}, none for ` +
        `${(100 * profile.withoutDriver).toFixed(1)} %, beside it ` +
        `${spreadText(profile.driverMessagesBeside, 0)}; trigger to output ` +
        `${spreadText(profile.latencyMs)} ms`,
      `  ${profile.path.join(' → ')}`,
    ]),
  shows: ({ profiles, intervalMs }) =>
    profiles
      .map((profile) => {
        const { mode, driverMessagesOnPath: onPath, driverMessagesBeside: beside } = profile;
        return (
          `\`${mode}\`: ${profile.batches} micro-batches, one every ${intervalMs} ms; an output ` +
          `waited for ${spreadText(onPath, 0)} messages from or to the driver, for none in ` +
          `${(100 * profile.withoutDriver).toFixed(1)} % (${spreadText(beside, 0)} were on their ` +
          `way beside it); trigger to output ${spreadText(profile.latencyMs)} ms.`
        );
      })
      .join(' '),
  plot: ({ profiles }) => profiles.map(plotOf),
};

/** Runs the job on host processes; gives the marks of all workers and the driver. */
async function record(options: {
  readonly mode: Mode;
  readonly intervalMs: number;
  readonly runMs: number;
}): Promise<ReadonlyMap<Node, readonly Mark[]>> {
  const folder = mkdtempSync(join(tmpdir(), 'mizzle-timeline-'));
  const driver = new Recorder();
  const onTrace = (trace: unknown): void => driver.driver(trace as DriverShellTrace);
  process.env[folderVariable] = folder;
  subscribe('mizzle:driver', onTrace);
  try {
    const job = await timelineJob.run({
      hosts,
      workers: 1,
      mode: options.mode,
      interval: options.intervalMs,
      partitions: hosts,
      groupSize,
      module: new URL('./timeline-job.ts', import.meta.url),
    });
    while (job.status().batches < warmUp) await sleep(20);
    await sleep(options.runMs);
    await job.stop();
    const marks = new Map<Node, readonly Mark[]>([['driver', driver.marks]]);
    for (const file of readdirSync(folder).sort()) {
      const text = readFileSync(join(folder, file), 'utf8');
      marks.set(Number.parseInt(file, 10), JSON.parse(text) as Mark[]);
    }
    if (marks.size !== hosts + 1) throw new Error(`${marks.size - 1} workers recorded something`);
    return marks;
  } finally {
    unsubscribe('mizzle:driver', onTrace);
    delete process.env[folderVariable];
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Micro-batches at the start that are left out, and at the end, where the job stops. */
const warmUp = 20;
const coolDown = 5;

function profileOf(mode: Mode, recorded: Timeline): Profile {
  const batches = recorded.batches().slice(warmUp, -coolDown);
  const paths = batches.map((batch) => recorded.path(batch));
  const latency = ({ outputMs, triggerMs }: Path): number => outputMs - triggerMs;
  const latencyMs = spread(paths.map(latency));
  const median = nearest(paths, (path) => Math.abs(latency(path) - latencyMs.median));
  return {
    mode,
    batches: paths.length,
    driverMessagesOnPath: spread(paths.map(({ driverMessages }) => driverMessages.length)),
    withoutDriver:
      paths.filter(({ driverMessages }) => driverMessages.length === 0).length / paths.length,
    driverMessagesBeside: spread(paths.map(({ beside }) => beside)),
    latencyMs,
    path: pathText(paths[median]!),
    drawn: drawnOf(recorded, chosen(paths, latencyMs.median)),
  };
}

/** The run of micro-batches that is nearest to the usual, among those that begin a group. */
function chosen(paths: readonly Path[], usualMs: number): readonly Path[] {
  const runs = paths.flatMap(({ batch }, index) =>
    batch % groupSize === 0 && index + drawnCount <= paths.length
      ? [paths.slice(index, index + drawnCount)]
      : [],
  );
  const off = (run: readonly Path[]): number =>
    run.reduce((sum, path) => sum + Math.abs(path.outputMs - path.triggerMs - usualMs), 0);
  return runs[nearest(runs, off)] ?? paths.slice(0, drawnCount);
}

function nearest<Item>(items: readonly Item[], distance: (item: Item) => number): number {
  let best = 0;
  items.forEach((item, index) => {
    if (distance(item) < distance(items[best]!)) best = index;
  });
  return best;
}

function pathText({ marks }: Path): readonly string[] {
  const name = (node: Node): string => (node === 'driver' ? 'driver' : `worker ${node}`);
  return marks.toReversed().flatMap((mark): string[] => {
    if (mark.kind === 'run') return [`stage ${mark.stage} at ${name(mark.node)}`];
    if (mark.kind === 'visible') return ['output'];
    if (mark.kind !== 'heard') return [];
    return [`${mark.message} to ${name(mark.node)}`];
  });
}

function drawnOf(recorded: Timeline, paths: readonly Path[]): Drawn {
  const nodes = recorded.nodes.toSorted((a, b) => Number(b === 'driver') - Number(a === 'driver'));
  const startMs = paths[0]!.triggerMs;
  const endMs = paths.at(-1)!.outputMs + 1;
  const since = (ms: number): number => Number((ms - startMs).toFixed(4));
  const shown = (ms: number): boolean => ms >= startMs - 1 && ms <= endMs;
  const waitedFor = new Set(
    paths.flatMap(({ marks }) =>
      marks.flatMap((mark) => (mark.kind === 'heard' ? [`${mark.node} ${mark.atMs}`] : [])),
    ),
  );
  const tasks: Drawn['tasks'][number][] = [];
  const messages: Drawn['messages'][number][] = [];
  for (const [lane, node] of nodes.entries()) {
    const stages = new Map<number, number>();
    recorded.marksOf(node).forEach((mark, index) => {
      if (mark.kind === 'run') stages.set(mark.run, mark.stage);
      if (!shown(mark.atMs)) return;
      if (mark.kind === 'ended') {
        const fromMs = since(mark.atMs - mark.tookMs);
        tasks.push({ node: lane, stage: stages.get(mark.run)!, fromMs, toMs: since(mark.atMs) });
      }
      if (mark.kind !== 'heard') return;
      const sent = recorded.cause({ node, index })!;
      const sentMs = recorded.marksOf(sent.node)[sent.index]!.atMs;
      const from = nodes.indexOf(sent.node);
      const { message } = mark;
      messages.push({
        from,
        to: lane,
        message,
        sentMs: since(sentMs),
        heardMs: since(mark.atMs),
        onPath: waitedFor.has(`${node} ${mark.atMs}`),
      });
    });
  }
  return {
    nodes: nodes.map((node) => (node === 'driver' ? 'driver' : `worker ${node}`)),
    triggersMs: paths.map(({ triggerMs }) => since(triggerMs)),
    outputsMs: paths.map(({ outputMs }) => since(outputMs)),
    tasks,
    messages,
  };
}

const title = {
  drizzle: 'no message of the driver between trigger and output',
  bsp: 'the driver launches every stage of every micro-batch',
};

function plotOf({ mode, drawn, driverMessagesOnPath, latencyMs }: Profile): LanePlot {
  const driver = drawn.nodes.indexOf('driver');
  const waited = driverMessagesOnPath.median;
  return {
    kind: 'lanes',
    title: `${mode}: ${title[mode]}`,
    subtitle:
      `${hosts} host processes; driver messages that an output waits for: ${waited}; trigger to ` +
      `output ${latencyMs.median.toFixed(1)} ms (medians). Bold: what the output waited for`,
    x: {
      label: 'ms since the first trigger',
      scale: 'linear',
      min: -0.5,
      max: drawn.outputsMs.at(-1)! + 1,
    },
    lanes: drawn.nodes,
    boxes: drawn.tasks.map(({ node, stage, fromMs, toMs }) => {
      return { lane: node, from: fromMs, to: toMs, color: stage === 0 ? 2 : 5 };
    }),
    arrows: drawn.messages.map(({ from, to, sentMs, heardMs, onPath }) => {
      const color = from === driver || to === driver ? 1 : 7;
      return { fromLane: from, from: sentMs, toLane: to, to: heardMs, color, bold: onPath };
    }),
    moments: [
      ...drawn.triggersMs.map((at) => ({ at, name: 'trigger', row: 0 as const })),
      ...drawn.outputsMs.map((at) => ({ at, name: 'output', row: 1 as const })),
    ],
    legend: [
      { name: 'source task', color: 2, shape: 'box' },
      { name: 'consumer task', color: 5, shape: 'box' },
      { name: 'between workers', color: 7, shape: 'arrow' },
      { name: 'from or to the driver', color: 1, shape: 'arrow' },
    ],
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
