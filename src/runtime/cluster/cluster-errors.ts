// What can go wrong between the processes of a cluster, as errors that name the peer, the reason
// and the remedy.

import { StreamError } from '../../base/stream-error.ts';

export type ClusterErrorCode =
  | 'driver-lost'
  | 'driver-unreachable'
  | 'handshake-failed'
  | 'host-lost'
  | 'insecure-listen'
  | 'listen-failed'
  | 'malformed-frame'
  | 'peer-closed'
  | 'peer-silent'
  | 'peer-stalled'
  | 'plan-mismatch'
  | 'start-over'
  | 'protocol-mismatch'
  | 'release-mismatch'
  | 'runtime-mismatch'
  | 'secret-mismatch'
  | 'secret-missing'
  | 'time-zone-mismatch'
  | 'tls-failed'
  | 'unknown-peer'
  | 'workers-complete';

export function clusterError(options: {
  readonly code: ClusterErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly peer: string;
  readonly cause?: unknown;
}): StreamError {
  const { code, message, hint, peer, cause } = options;
  const because = cause === undefined ? {} : { cause };
  return new StreamError({ code, message, hint, fields: { peer }, ...because });
}
