// What a worker machine is told (facts) and what it asks for (orders).

import type { StreamErrorData } from '../../base/stream-error.ts';
import type { BatchNumber } from '../protocol/ids.ts';
import type {
  DriverMessage,
  Handle,
  Peer,
  PeerMessage,
  TaskName,
  WorkerMessage,
} from '../protocol/messages.ts';

export type WorkerEvent =
  | {
      readonly kind: 'message-received';
      readonly from: Peer;
      readonly message: DriverMessage | PeerMessage;
    }
  | {
      readonly kind: 'task-finished';
      /** The number that `run-task` gave. */
      readonly run: number;
      /** By position in the stage's outputs. */
      readonly outputs: readonly Handle[];
      /** An `output-committed` for the task will follow. */
      readonly commitPending: boolean;
      /** Source tasks: the partition has ended. */
      readonly ended: boolean;
      /** Source tasks: more can be read at once. */
      readonly sourceReady: boolean;
      readonly elapsedMs: number;
    }
  | { readonly kind: 'task-failed'; readonly run: number; readonly error: StreamErrorData }
  | { readonly kind: 'output-committed'; readonly task: TaskName }
  | {
      readonly kind: 'commit-failed';
      readonly task: TaskName;
      readonly error: StreamErrorData;
    }
  | { readonly kind: 'source-ready'; readonly stage: number; readonly partition: number }
  | { readonly kind: 'gauges-measured'; readonly gauges: Handle }
  | { readonly kind: 'time-passed' };

/** What a producer partition of an input exchange gave. */
export type InputHandle = { readonly producer: number; readonly output: Handle };

export type WorkerEffect =
  | {
      readonly kind: 'run-task';
      /** Names this run of the task: a late result of another one is ignored. */
      readonly run: number;
      readonly task: TaskName;
      /** Parts of a micro-batch's task are numbered from 0; `last` ends the task. */
      readonly part: number;
      readonly last: boolean;
      /**
       * By input exchange of the stage: of all producers in their order, or, where tasks have
       * parts, what has come since the last part. Null for a source task.
       */
      readonly inputs: readonly (readonly InputHandle[])[] | null;
      /** Planned trigger (interval 0: the actual start) of a source task. */
      readonly triggerMs: number;
      /** The source must end with this task. */
      readonly final: boolean;
    }
  | {
      readonly kind: 'send-message';
      readonly to: Peer;
      readonly message: WorkerMessage | PeerMessage;
    }
  | { readonly kind: 'stop' }
  | { readonly kind: 'trace'; readonly trace: WorkerTrace };

export type WorkerTrace =
  | { readonly kind: 'batch-done'; readonly batch: BatchNumber; readonly makespanMs: number }
  | { readonly kind: 'ignored'; readonly what: string; readonly why: IgnoreReason };

export type IgnoreReason =
  | 'old-term'
  | 'old-incarnation'
  | 'duplicate'
  | 'already-done'
  | 'unknown-run'
  | 'no-room'
  | 'stopped';
