// What the main thread and a worker thread say to each other around the control plane's messages.

import type { StreamErrorData } from '../../base/stream-error.ts';
import type { Incarnation, PlacementVersion, WorkerId } from '../../control/protocol/ids.ts';
import type { DriverMessage, WorkerMessage } from '../../control/protocol/messages.ts';
import type { SinkId } from '../../plan/logical-plan.ts';
import type { MessagePort } from 'node:worker_threads';
import type { JobConfig } from '../host/job-config.ts';

export type ThreadData = {
  /** URL of the job's module. */
  readonly module: string;
};

/**
 * The first message: which worker the thread is, and of which run. It sets itself up, and says
 * nothing before it is asked to join.
 */
export type Begin = {
  readonly kind: 'begin';
  readonly worker: WorkerId;
  readonly incarnation: Incarnation;
  readonly config: JobConfig;
};

export type ToWorkerThread =
  | Begin
  | { readonly kind: 'join' }
  | { readonly kind: 'driver'; readonly message: DriverMessage }
  | { readonly kind: 'peer'; readonly worker: WorkerId; readonly port: MessagePort }
  | { readonly kind: 'committed'; readonly commit: number; readonly error: StreamErrorData | null }
  | { readonly kind: 'abort' };

export type FromWorkerThread =
  | { readonly kind: 'joined' }
  | { readonly kind: 'driver'; readonly message: WorkerMessage }
  | {
      readonly kind: 'commit';
      readonly commit: number;
      readonly sink: SinkId;
      readonly partition: number;
      readonly since: PlacementVersion;
      readonly batch: number;
      readonly watermarkMs: number;
      /** An encoded batch in shared memory. */
      readonly rows: Uint8Array;
    }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly error: StreamErrorData };
