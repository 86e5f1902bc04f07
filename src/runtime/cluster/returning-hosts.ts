// Hosts that worked for a driver before this one and come to it with what they have: who is still
// awaited, and who of those that are there can go on together.

import { canonicalJson } from '../../base/canonical-json.ts';
import { hashText } from '../../base/hash.ts';
import { workersMax } from '../../control/limits.ts';
import type { JobConfig } from '../host/job-config.ts';

/** What such a host says of itself. */
export type ReturnedHost = {
  /** What it has worked for, as `jobHash` tells it. */
  readonly job: string;
  /** Numbers of its workers: [firstWorker, firstWorker + workerCount). */
  readonly firstWorker: number;
  readonly workerCount: number;
  /** Those of them that live. */
  readonly workers: readonly number[];
  /** Hosts that it is connected to, by id. */
  readonly hosts: readonly string[];
  /** No worker has had this number or a greater one, as far as it knows. */
  readonly nextWorker: number;
};

/** Two drivers' jobs are the same if what workers have of the one is of use to the other. */
export function jobHash(config: JobConfig): string {
  const { planHash, compares, mode, history, ledgers, layouts } = config;
  const { partitions, sourcePartitions, partitionCounts } = config;
  const plan = { planHash, compares, partitions, sourcePartitions, partitionCounts };
  return hashText(canonicalJson({ ...plan, mode, history, ledgers, layouts }));
}

/** What a host sent, or null if it is nothing of the kind. */
export function readReturnedHost(text: string): ReturnedHost | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { job, firstWorker, workerCount, workers, hosts, nextWorker } = value as {
    readonly [field: string]: unknown;
  };
  const isNumber = (one: unknown): one is number =>
    Number.isInteger(one) && (one as number) >= 0 && (one as number) <= workersMax;
  if (typeof job !== 'string' || !Array.isArray(workers) || !Array.isArray(hosts)) return null;
  if (!isNumber(firstWorker) || !isNumber(workerCount) || !isNumber(nextWorker)) return null;
  const end = firstWorker + workerCount;
  if (end > nextWorker || hosts.some((host) => typeof host !== 'string')) return null;
  const isOwn = (one: unknown): boolean => isNumber(one) && one >= firstWorker && one < end;
  if (!workers.every(isOwn) || new Set(workers).size !== workers.length) return null;
  return { job, firstWorker, workerCount, workers, hosts, nextWorker } as ReturnedHost;
}

/** True when every host that one of these is connected to is there. */
export function allReturned(there: ReadonlyMap<string, ReturnedHost>): boolean {
  return [...there.values()].every(({ hosts }) => hosts.every((host) => there.has(host)));
}

/**
 * Those that all reach each other: whoever lacks most connections is left out, until nobody lacks
 * one. Workers whose numbers are taken by others are left out, too.
 */
export function connectedHosts(there: ReadonlyMap<string, ReturnedHost>): ReadonlySet<string> {
  const left = new Map(there);
  const lacks = (host: string): number => {
    let count = 0;
    for (const [other, { hosts }] of left) {
      if (other === host) continue;
      const both = hosts.includes(host) && left.get(host)!.hosts.includes(other);
      if (!both || overlap(left.get(host)!, left.get(other)!)) count++;
    }
    return count;
  };
  for (;;) {
    const worst = [...left.keys()].toSorted((a, b) => lacks(b) - lacks(a))[0];
    if (worst === undefined || lacks(worst) === 0) return new Set(left.keys());
    left.delete(worst);
  }
}

function overlap(a: ReturnedHost, b: ReturnedHost): boolean {
  return (
    a.firstWorker < b.firstWorker + b.workerCount && b.firstWorker < a.firstWorker + a.workerCount
  );
}
