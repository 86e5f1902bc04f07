// Who uses the machine's processors: this process and those it started, and everybody. Where other
// programs take a share of the machine, figures of real processes are worth less, and say so.

import { cpus } from 'node:os';
import { readFileSync } from 'node:fs';
import process from 'node:process';

/** Processor time since the machine started, ms. */
export type ProcessorUse = {
  readonly atMs: number;
  /** This process and the processes it started; null where the system does not tell. */
  readonly ownMs: number | null;
  readonly allMs: number;
};

export function processorUse(): ProcessorUse {
  const { user, system } = process.cpuUsage();
  const children = childrenMs();
  let allMs = 0;
  for (const { times } of cpus()) allMs += times.user + times.nice + times.sys + times.irq;
  const ownMs = children === null ? null : (user + system) / 1000 + children;
  return { atMs: performance.now(), ownMs, allMs };
}

export type CoresUsed = { readonly own: number | null; readonly others: number | null };

/** Cores that were busy on the average. */
export function coresUsed(from: ProcessorUse, to: ProcessorUse): CoresUsed {
  if (from.ownMs === null || to.ownMs === null) return { own: null, others: null };
  const elapsedMs = to.atMs - from.atMs;
  const own = (to.ownMs - from.ownMs) / elapsedMs;
  const all = (to.allMs - from.allMs) / elapsedMs;
  return { own, others: Math.max(0, all - own) };
}

/** Empty where the system does not tell. */
export function othersText({ others }: CoresUsed): string {
  return others === null ? '' : ` (other programs used ${others.toFixed(1)} cores meanwhile)`;
}

/** Linux alone tells it: fields 14 and 15 of `stat` are ticks of 10 ms. */
function childrenMs(): number | null {
  try {
    const path = `/proc/self/task/${process.pid}/children`;
    const children = readFileSync(path, 'utf8').trim().split(' ').filter(Boolean);
    let ticks = 0;
    for (const child of children) {
      const stat = readFileSync(`/proc/${child}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      ticks += Number(fields[11]) + Number(fields[12]);
    }
    return 10 * ticks;
  } catch {
    return null;
  }
}
