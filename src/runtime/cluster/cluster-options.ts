// What a driver must be told to run a job on a cluster.

import type { JobBundle } from './bundle-job.ts';
import type { Log } from './log.ts';
import type { Security } from './security.ts';
import type { Endpoint } from './sockets.ts';

export type ClusterOptions = {
  readonly listen: Endpoint;
  /** Where the job's status is told over HTTP; null: nowhere. */
  readonly status: Endpoint | null;
  readonly security: Security;
  readonly insecure: boolean;
  readonly timeoutMs: number;
  /** Hosts of a driver before this one may come, with what they have. */
  readonly mayReturn: boolean;
  readonly bundle: JobBundle;
  /** What the pipeline's module sees as its arguments at the hosts. */
  readonly argv: readonly string[];
  readonly log: Log;
  /** Hosts may come now. */
  readonly onListening?: (port: number) => void;
};
