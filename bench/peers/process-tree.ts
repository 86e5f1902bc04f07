// What processes and all that they started have used, by /proc, which Linux alone has.

import { readdirSync, readFileSync } from 'node:fs';

export type ProcessUse = {
  readonly parent: number;
  /** With that of children that have ended. */
  readonly cpuSeconds: number;
  readonly rssBytes: number;
};

/** Fixed for user space, whatever the kernel's own clock is. */
const ticksPerSecond = 100;
const pageBytes = 4096;

/** The roots that live, and all below them. */
export function processTree(roots: readonly number[]): ReadonlyMap<number, ProcessUse> {
  const all = new Map<number, ProcessUse>();
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const use = Number.isInteger(pid) ? useOf(pid) : null;
    if (use === null) continue;
    all.set(pid, use);
    const siblings = children.get(use.parent);
    if (siblings === undefined) children.set(use.parent, [pid]);
    else siblings.push(pid);
  }
  const tree = new Map<number, ProcessUse>();
  const left = [...roots];
  for (let pid = left.pop(); pid !== undefined; pid = left.pop()) {
    const use = all.get(pid);
    if (use === undefined) continue;
    tree.set(pid, use);
    left.push(...(children.get(pid) ?? []));
  }
  return tree;
}

/** Arguments are parted by blanks. */
export function commandLineOf(pid: number): string {
  return readIfThere(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
}

/** Null where it has ended meanwhile. */
function useOf(pid: number): ProcessUse | null {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === '') return null;
  // Behind the name, which may hold blanks and brackets: state, parent, …; see proc(5).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return {
    parent: Number(fields[1]),
    cpuSeconds: ticks / ticksPerSecond,
    rssBytes: Number(fields[21]) * pageBytes,
  };
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return '';
    throw error;
  }
}
