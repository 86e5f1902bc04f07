// What a driver machine is told (facts) and what it asks for (orders).

import type { StreamErrorData } from '../../base/stream-error.ts';
import type { BatchNumber, GroupId, Incarnation, WorkerId } from '../protocol/ids.ts';
import type {
  DriverMessage,
  Handle,
  Report,
  TaskName,
  WorkerMessage,
} from '../protocol/messages.ts';

export type DriverEvent =
  | { readonly kind: 'worker-joined'; readonly worker: WorkerId; readonly incarnation: Incarnation }
  | { readonly kind: 'worker-lost'; readonly worker: WorkerId; readonly error: StreamErrorData }
  | { readonly kind: 'message-received'; readonly from: WorkerId; readonly message: WorkerMessage }
  | {
      /** The sources end now; all windows close and the job finishes. */
      readonly kind: 'stop-requested';
    }
  | {
      /** Takes effect with the next group; at once, by a cut, when `urgent`. */
      readonly kind: 'pace-changed';
      readonly groupSize: number;
      readonly intervalMs: number;
      readonly urgent: boolean;
    }
  | { readonly kind: 'time-passed' };

export type DriverEffect =
  | { readonly kind: 'send-message'; readonly to: WorkerId; readonly message: DriverMessage }
  | { readonly kind: 'job-started' }
  | { readonly kind: 'report-received'; readonly worker: WorkerId; readonly report: Report }
  | { readonly kind: 'worker-stopped'; readonly worker: WorkerId; readonly gauges: Handle }
  | { readonly kind: 'job-finished'; readonly lastBatch: BatchNumber }
  | {
      readonly kind: 'job-failed';
      readonly error: StreamErrorData;
      readonly worker: WorkerId;
      readonly task: TaskName | null;
    }
  | { readonly kind: 'trace'; readonly trace: DriverTrace };

export type DriverTrace =
  | {
      readonly kind: 'group-permitted';
      readonly group: GroupId;
      readonly first: BatchNumber;
      readonly count: number;
      readonly anchorMs: number;
    }
  | { readonly kind: 'boundary-cut'; readonly end: BatchNumber; readonly elapsedMs: number }
  | { readonly kind: 'reanchored'; readonly lateMs: number }
  | { readonly kind: 'ignored'; readonly what: string; readonly why: string };
