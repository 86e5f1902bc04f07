// What the driver tells a host about the job: JSON, because it is sent once and people read it.

import { codeBytesMax, workersMax } from '../../control/limits.ts';
import type { JobConfig } from '../host/job-config.ts';

export type JobDescription = {
  readonly config: JobConfig;
  /** Job code: its SHA-256 and its length in bytes. */
  readonly codeHash: string;
  readonly codeBytes: number;
  /** What the pipeline's module sees as its arguments. */
  readonly argv: readonly string[];
  /** All hosts, in the order in which they connect to each other: later ones to earlier ones. */
  readonly hosts: readonly HostEntry[];
};

export type HostEntry = {
  readonly host: string;
  readonly incarnation: number;
  readonly address: string;
  readonly port: number;
  /** Its workers: [first, first + count). */
  readonly firstWorker: number;
  readonly workerCount: number;
};

/** What a driver sent, or null if it is nothing of the kind. */
export function readJobDescription(text: string): JobDescription | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value) || !isRecord(value['config'])) return null;
  const { codeHash, codeBytes, argv, hosts } = value;
  const valid =
    typeof codeHash === 'string' &&
    /^[0-9a-f]{64}$/.test(codeHash) &&
    Number.isInteger(codeBytes) &&
    (codeBytes as number) > 0 &&
    (codeBytes as number) <= codeBytesMax &&
    Array.isArray(argv) &&
    argv.every((argument) => typeof argument === 'string') &&
    Array.isArray(hosts) &&
    hosts.length <= workersMax &&
    hosts.every(isHostEntry);
  return valid ? (value as unknown as JobDescription) : null;
}

/** A host that has come later, or null. */
export function readHostEntry(text: string): HostEntry | null {
  try {
    const value: unknown = JSON.parse(text);
    return isHostEntry(value) ? (value as HostEntry) : null;
  } catch {
    return null;
  }
}

function isHostEntry(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { host, address, incarnation, port, firstWorker, workerCount } = value;
  return (
    typeof host === 'string' &&
    typeof address === 'string' &&
    [incarnation, port, firstWorker, workerCount].every(
      (number) => Number.isInteger(number) && (number as number) >= 0,
    ) &&
    (firstWorker as number) + (workerCount as number) <= workersMax
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
