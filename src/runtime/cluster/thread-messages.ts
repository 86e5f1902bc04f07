// What the main thread of a host and its worker threads say to each other. Frames are shared memory
// and pass as they are: the main thread looks at their first bytes only.

import type { MessagePort } from 'node:worker_threads';
import type { StreamErrorData } from '../../base/stream-error.ts';
import type { Incarnation, WorkerId } from '../../control/protocol/ids.ts';
import type { JobConfig } from '../host/job-config.ts';

export type ThreadData = {
  readonly worker: WorkerId;
  readonly incarnation: Incarnation;
  /** URL of the job's code. */
  readonly module: string;
  readonly config: JobConfig;
};

export type ToHostThread =
  | { readonly kind: 'frames'; readonly frames: readonly Uint8Array[] }
  | { readonly kind: 'neighbour'; readonly worker: WorkerId; readonly port: MessagePort }
  /** The driver's clock was found to be so far ahead, ms. */
  | { readonly kind: 'clock'; readonly byMs: number }
  /** Another driver: what was not answered is told again. */
  | { readonly kind: 'driver-changed' };

export type FromHostThread =
  | {
      readonly kind: 'send';
      readonly to: WorkerId | 'driver';
      /** One frame in pieces. */
      readonly frame: readonly Uint8Array[];
    }
  | { readonly kind: 'joined' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'failed'; readonly error: StreamErrorData };
