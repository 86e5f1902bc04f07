// One run of the figure of recovery: a job with much state on host processes, of which one gets
// SIGKILL soon after a checkpoint; by what workers report, when what is done is as fresh again as
// it was. The counts of all groups at the end must be the true ones.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { ExecutionMode, RunOptions } from '../../src/index.ts';
import type { JobBundle } from '../../src/runtime/cluster/bundle-job.ts';
import type { DriverShellTrace } from '../../src/runtime/host/traces.ts';
import { spread } from '../figures.ts';
import { Freshness } from './freshness.ts';
import { startOnHosts, takenOf } from './hosts-job.ts';
import type { KeyedJob } from './keyed-job.ts';
import { keyedJob } from './keyed-job.ts';

export type RecoveryRunOptions = {
  readonly mode: ExecutionMode;
  readonly bundle: JobBundle;
  readonly hosts: number;
  readonly groups: number;
  readonly eventsPerSecond: number;
  readonly intervalMs: number;
  readonly checkpointMs: number;
  /** From the commit of a checkpoint until the host is killed. */
  readonly behindMs: number;
};

export type RecoveryRun = {
  readonly detectionMs: number;
  /** From then until the order was given by which the job goes on. */
  readonly roundMs: number;
  /** From when the driver knew until what is done is as fresh as before. */
  readonly backMs: number;
  readonly ageBeforeMs: number;
  readonly stateBytes: number;
  readonly wrong: number;
};

const backFactor = 1.5;
const patienceMs = 60_000;
/** Of these checkpoints the last one is waited for: caches are warm, the first state is stored. */
const checkpointsBefore = 2;
const steadyMs = 2_000;

export async function recoveryRun(options: RecoveryRunOptions): Promise<RecoveryRun> {
  const folder = mkdtempSync(join(tmpdir(), 'mizzle-recovery-'));
  try {
    return await recoveryRunIn(folder, options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function recoveryRunIn(folder: string, options: RecoveryRunOptions): Promise<RecoveryRun> {
  const { mode, bundle, hosts, groups, eventsPerSecond, intervalMs, checkpointMs } = options;
  const firstMs = Math.round(nowMs() - (1000 * groups) / eventsPerSecond);
  const job: KeyedJob = { out: `${folder}/out/`, eventsPerSecond, groups, firstMs };
  const own: RunOptions = {
    workers: hosts,
    mode,
    interval: intervalMs,
    // So many that what a host had can be spread over the others.
    partitions: 4 * hosts,
    checkpoints: { store: join(folder, 'store'), interval: checkpointMs },
  };
  const pids: number[] = [];
  let lostMs = Infinity;
  const freshness = new Freshness(intervalMs);
  const onTrace = (trace: unknown): void => freshness.observe(trace as DriverShellTrace);
  subscribe('mizzle:driver', onTrace);
  try {
    const { running } = await startOnHosts(keyedJob(job), {
      options: own,
      hosts,
      bundle,
      argument: job,
      onHost: (pid) => pids.push(pid),
      onLost: () => (lostMs = Math.min(lostMs, nowMs())),
    });
    await until(() => running.status().recordsIn >= groups);
    const { checkpoints } = freshness;
    await until(() => freshness.checkpoints >= checkpoints + checkpointsBefore);
    await sleep(options.behindMs);
    const { stateBytes } = running.status();
    const killedMs = nowMs();
    const ages = freshness.since(killedMs - steadyMs).map(({ ageMs }) => ageMs);
    const ageBeforeMs = spread(ages).median;
    process.kill(pids.at(-1)!, 'SIGKILL');
    await until(() => lostMs < Infinity);
    const isBack = (): ReturnType<Freshness['since']>[number] | undefined => {
      if (freshness.recoveredMs < lostMs) return undefined;
      return freshness.since(freshness.recoveredMs).find(({ ageMs }) => {
        return ageMs <= backFactor * ageBeforeMs;
      });
    };
    await until(() => isBack() !== undefined);
    const backMs = isBack()!.atMs - lostMs;
    const roundMs = freshness.recoveredMs - lostMs;
    const { offsets } = await running.stop({ drain: true });
    const wrong = wrongGroups(job, takenOf(offsets));
    return { detectionMs: lostMs - killedMs, roundMs, backMs, ageBeforeMs, stateBytes, wrong };
  } finally {
    unsubscribe('mizzle:driver', onTrace);
  }
}

type Row = { readonly key: number; readonly events: number; readonly total: number };

/** Partition p of n has the events p, p + n, p + 2n … */
function wrongGroups({ out, groups }: KeyedJob, taken: readonly number[]): number {
  const events = new Float64Array(groups);
  const totals = new Float64Array(groups);
  for (const [partition, count] of taken.entries()) {
    for (let at = 0; at < count; at++) {
      const index = partition + at * taken.length;
      events[index % groups]!++;
      totals[index % groups]! += index % 7;
    }
  }
  for (const name of readdirSync(out).filter((each) => each.startsWith('part-'))) {
    for (const line of readFileSync(join(out, name), 'utf8').trimEnd().split('\n')) {
      const row = JSON.parse(line) as Row;
      events[row.key]! -= row.events;
      totals[row.key]! -= row.total;
    }
  }
  return events.filter((left, key) => left !== 0 || totals[key] !== 0).length;
}

async function until(isSo: () => boolean): Promise<void> {
  const endMs = nowMs() + patienceMs;
  while (!isSo()) {
    if (nowMs() > endMs) throw new Error('the job did not come so far');
    await sleep(5);
  }
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
