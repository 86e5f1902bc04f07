// One run of a figure: the benchmark on three host processes at a steady rate, one of which gets
// SIGKILL; when it was missed, and when each window became visible, by the files themselves.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { ExecutionMode, RunOptions } from '../../src/index.ts';
import { ysbExpectedCounts } from '../../src/index.ts';
import type { JobBundle } from '../../src/runtime/cluster/bundle-job.ts';
import { startOnHosts, takenOf } from './hosts-job.ts';
import type { YsbIntoFolder } from './ysb-into-folder.ts';
import { ysbIntoFolder } from './ysb-into-folder.ts';

export type KilledRunOptions = {
  readonly mode: ExecutionMode;
  readonly bundle: JobBundle;
  readonly hosts: number;
  readonly eventsPerSecond: number;
  readonly windowMs: number;
  readonly checkpointMs: number;
  /** How long the job has run when the host is killed, and for how long it runs on. */
  readonly beforeMs: number;
  readonly afterMs: number;
};

/** A window: when it ended, after the kill, and until when its last row was visible. */
export type WindowSeen = { readonly endMs: number; readonly latencyMs: number };

export type KilledRun = {
  /** From the kill until the driver knew. */
  readonly detectionMs: number;
  /** In order of their ends; without the last, which the end of the input closes. */
  readonly windows: readonly WindowSeen[];
  /** Counts that are wrong, missing or there twice. */
  readonly wrong: number;
  readonly counts: number;
  /** Share of the workers' time that went into tasks before the kill. */
  readonly busy: number;
};

export async function killedRun(options: KilledRunOptions): Promise<KilledRun> {
  const folder = mkdtempSync(join(tmpdir(), 'mizzle-fig7-'));
  try {
    return await killedRunIn(folder, options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function killedRunIn(folder: string, options: KilledRunOptions): Promise<KilledRun> {
  const { mode, bundle, hosts, eventsPerSecond, windowMs, beforeMs, afterMs } = options;
  const job: YsbIntoFolder = { out: `${folder}/out/`, eventsPerSecond, windowMs };
  const own: RunOptions = {
    workers: hosts,
    mode,
    checkpoints: { store: join(folder, 'store'), interval: options.checkpointMs },
  };
  const pids: number[] = [];
  let lostMs: number | null = null;
  const { running, config } = await startOnHosts(ysbIntoFolder(job), {
    options: own,
    hosts,
    bundle,
    argument: job,
    onHost: (pid) => pids.push(pid),
    onLost: () => (lostMs ??= nowMs()),
  });
  const { startMs } = config;
  while (running.status().batches === 0) await sleep(10);
  await sleep(beforeMs);
  const { busy } = running.status();
  const killedMs = nowMs();
  process.kill(pids.at(-1)!, 'SIGKILL');
  await sleep(afterMs);
  const { offsets } = await running.stop({ drain: true });
  if (lostMs === null) throw new Error('nobody missed the host that was killed');
  const taken = takenOf(offsets);
  const truth = ysbExpectedCounts({ eventsPerSecond, seed: 1, startMs, windowMs, taken });
  const rows = rowsIn(job.out);
  const windows = windowsOf(rows, killedMs);
  const wrong = differences(rows, truth);
  return { detectionMs: lostMs - killedMs, windows, wrong, counts: truth.length, busy };
}

/** By when the last row of each window was visible; `sinceMs` is 0 in their ends. */
export function windowsOf(rows: readonly VisibleRow[], sinceMs: number): readonly WindowSeen[] {
  const visible = new Map<number, number>();
  for (const { windowEnd, visibleMs } of rows) {
    visible.set(windowEnd, Math.max(visible.get(windowEnd) ?? 0, visibleMs));
  }
  const ordered = [...visible].toSorted(([a], [b]) => a - b);
  // The end of the input closes the last one.
  return ordered.slice(0, -1).map(([end, visibleMs]) => {
    return { endMs: end - sinceMs, latencyMs: visibleMs - end };
  });
}

export type VisibleRow = Row & { readonly visibleMs: number };

type Row = {
  readonly campaign_id: string;
  readonly windowStart: number;
  readonly windowEnd: number;
  readonly views: number;
};

/** A file appears whole, by a renaming, which is the last change of its entry. */
export function rowsIn(folder: string): readonly VisibleRow[] {
  const names = readdirSync(folder).filter((name) => name.startsWith('part-'));
  return names.flatMap((name) => {
    const path = join(folder, name);
    const visibleMs = statSync(path).ctimeMs;
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    return lines.map((line) => ({ ...(JSON.parse(line) as Row), visibleMs }));
  });
}

/** Counts that are wrong, missing or there twice. */
export function differences(
  rows: readonly Row[],
  truth: ReturnType<typeof ysbExpectedCounts>,
): number {
  const key = (row: { readonly campaign_id: string; readonly windowStart: number }): string =>
    `${row.campaign_id}@${row.windowStart}`;
  const missing = new Map(truth.map((each) => [key(each), each.count]));
  let wrong = 0;
  for (const row of rows) {
    if (missing.get(key(row)) !== row.views) wrong++;
    missing.delete(key(row));
  }
  return wrong + missing.size;
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
