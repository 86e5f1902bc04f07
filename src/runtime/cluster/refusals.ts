// Who is not let in although it has proved itself: hosts at the driver, and hosts at each other.

import type { StreamError } from '../../base/stream-error.ts';
import type { Hello } from '../../control/protocol/handshake.ts';
import { clusterError } from './cluster-errors.ts';
import type { HostEntry, JobDescription } from './job-description.ts';

/** Why a driver does not take a host, or null. */
export function hostRefusal(
  peer: string,
  hello: Hello,
  job: {
    readonly planHash: string;
    /** Those that it has. */
    readonly hosts: readonly string[];
    readonly workers: number;
    readonly missing: number;
  },
): StreamError | null {
  const { planHash, hosts, workers, missing } = job;
  if (hello.role !== 'host' || hosts.includes(hello.host)) {
    return clusterError({
      code: 'unknown-peer',
      message: `${peer} calls itself "${hello.host}", which cannot be`,
      hint: 'start hosts by `mizzle worker`, each once',
      peer,
    });
  }
  if (hello.planHash !== '' && hello.planHash !== planHash) {
    return clusterError({
      code: 'plan-mismatch',
      message: `${peer} works for plan "${hello.planHash}", this driver for "${planHash}"`,
      hint: 'end it: it belongs to another job, whose driver had this address',
      peer,
    });
  }
  if (hello.workers >= 1 && hello.workers <= missing) return null;
  return clusterError({
    code: 'workers-complete',
    message:
      `${peer} offers ${hello.workers} workers, ` +
      `but the job lacks ${missing} of its ${workers}`,
    hint: 'the numbers that hosts give as `--workers` must add up to that of the driver',
    peer,
  });
}

/** Why a driver does not take a host that worked for another, or null. */
export function returningRefusal(
  peer: string,
  hello: Hello,
  job: { readonly planHash: string; readonly hosts: readonly string[]; readonly isLate: boolean },
): StreamError | null {
  if (hello.planHash !== job.planHash) {
    return clusterError({
      code: 'plan-mismatch',
      message: `${peer} worked for plan "${hello.planHash}", this driver runs "${job.planHash}"`,
      hint: 'it begins anew: what it has is of another version of the pipeline',
      peer,
    });
  }
  return job.isLate || job.hosts.includes(hello.host) ? startOverError(peer) : null;
}

export function startOverError(peer: string): StreamError {
  return clusterError({
    code: 'start-over',
    message: `${peer} comes too late with what it has: the job goes on without it`,
    hint: 'it begins anew by itself, as a new host',
    peer,
  });
}

export function otherJobError(peer: string): StreamError {
  return clusterError({
    code: 'start-over',
    message: `${peer} worked for another history, mode or input than this driver runs`,
    hint: 'it begins anew by itself, as a new host',
    peer,
  });
}

/** Why a host does not let another in, or null. */
export function peerRefusal(
  peer: string,
  hello: Hello,
  job: JobDescription | null,
  /** Those of the job, and those that have come since. */
  hosts: readonly HostEntry[] = job?.hosts ?? [],
): StreamError | null {
  if (job === null) {
    return clusterError({
      code: 'unknown-peer',
      message: `${peer} came to a host that has no job yet`,
      hint: 'hosts connect to the driver, which tells them of each other',
      peer,
    });
  }
  if (hello.planHash !== job.config.planHash) {
    return clusterError({
      code: 'plan-mismatch',
      message: `${peer} works for plan "${hello.planHash}", this side for "${job.config.planHash}"`,
      hint: 'is it a host of another job, whose address was used again?',
      peer,
    });
  }
  const known = hosts.some(
    ({ host, incarnation }) => host === hello.host && incarnation === hello.incarnation,
  );
  if (known && hello.role === 'peer') return null;
  return clusterError({
    code: 'unknown-peer',
    message: `${peer} calls itself "${hello.host}", which is no host of this job`,
    hint: 'hosts connect to the driver, which tells them of each other',
    peer,
  });
}
