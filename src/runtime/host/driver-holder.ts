// How a driver calls itself in the lease, so that the next one on the same machine can tell that
// its process is not there any more: that renews nothing, and nobody need wait for it.

import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import process from 'node:process';

/** This machine, this process, where process numbers mean the same, and something random. */
export function newHolder(): string {
  return `${hostname()}-${process.pid}-${processSpace()}${randomUUID().slice(0, 8)}`;
}

/**
 * False when it is not known. A number that another process has by now only keeps the next driver
 * waiting; and should the lease be taken too early after all, terms protect what drivers decide.
 */
export function hasEnded(holder: string): boolean {
  const match = /^(.*)-(\d+)-([0-9a-f]{8})[0-9a-f]{8}$/.exec(holder);
  if (match === null || match[1] !== hostname() || match[3] !== processSpace()) return false;
  try {
    process.kill(Number(match[2]), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/**
 * Containers may share a name and not see each other's processes; nor does one machine see those of
 * another of its name. Where the system tells neither, names must do.
 */
function processSpace(): string {
  let space = '';
  try {
    space = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
    space += readlinkSync('/proc/self/ns/pid');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    // Not Linux, or a Linux that hides it.
    if (!['ENOENT', 'EACCES', 'EPERM', 'ENOTDIR'].includes(code)) throw error;
  }
  return createHash('sha256').update(space).digest('hex').slice(0, 8);
}
