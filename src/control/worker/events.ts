// What a worker machine is told (facts) and what it asks for (orders).

import type { StreamErrorData } from '../../base/stream-error.ts';
import type { BatchNumber, PlacementVersion } from '../protocol/ids.ts';
import type {
  DriverMessage,
  Handle,
  Peer,
  PeerMessage,
  Place,
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
      /** What each of them takes of memory. */
      readonly outputBytes: readonly number[];
      /** Source tasks: the record of what was read. */
      readonly range: Handle | null;
      /** The task has output, which waits for `commit-output`. */
      readonly commitPending: boolean;
      /** Source tasks: the partition has ended. */
      readonly ended: boolean;
      /** Source tasks: more can be read at once. */
      readonly sourceReady: boolean;
      readonly elapsedMs: number;
    }
  | { readonly kind: 'task-failed'; readonly run: number; readonly error: StreamErrorData }
  | {
      readonly kind: 'output-committed';
      readonly task: TaskName;
      readonly since: PlacementVersion;
    }
  | {
      readonly kind: 'commit-failed';
      readonly task: TaskName;
      readonly since: PlacementVersion;
      readonly error: StreamErrorData;
    }
  | ({ readonly kind: 'source-ready' } & Place)
  | ({
      readonly kind: 'state-restored';
      /** As in the order. */
      readonly since: PlacementVersion;
      /** Source partitions: they had ended. */
      readonly ended: boolean;
    } & Place)
  | ({
      readonly kind: 'restore-failed';
      readonly since: PlacementVersion;
      readonly error: StreamErrorData;
    } & Place)
  | { readonly kind: 'range-read'; readonly task: TaskName; readonly part: number }
  | {
      /** The ranges of the partition through this micro-batch are durable. */
      readonly kind: 'range-logged';
      readonly task: TaskName;
      readonly since: PlacementVersion;
    }
  | {
      /** The worker's log is closed to it: whoever closed it has given this worker up. */
      readonly kind: 'log-failed';
      readonly task: TaskName;
      readonly since: PlacementVersion;
      readonly error: StreamErrorData;
    }
  | {
      readonly kind: 'snapshot-stored';
      readonly task: TaskName;
      readonly since: PlacementVersion;
      readonly snapshot: Handle;
    }
  | {
      readonly kind: 'snapshot-failed';
      readonly task: TaskName;
      readonly since: PlacementVersion;
      readonly error: StreamErrorData;
    }
  | {
      /** As in the order: where each of its blocks lies, by which it is read back. */
      readonly kind: 'blocks-spilled';
      readonly spill: number;
      readonly stored: readonly Handle[];
    }
  | {
      readonly kind: 'spill-failed';
      readonly spill: number;
    }
  | {
      readonly kind: 'blocks-read';
      readonly read: number;
      readonly outputs: readonly Handle[];
    }
  | { readonly kind: 'gauges-measured'; readonly gauges: Handle }
  | { readonly kind: 'time-passed' };

export type Replay = {
  readonly range: Handle;
  /** The record of the partition's range before; null: it is the first. */
  readonly before: Handle | null;
  /** A rerun for others: the partition's own state takes no part in it. */
  readonly rerun: boolean;
};

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
      /** The range that a source task must have, as it had it before. */
      readonly replay: Replay | null;
      /** Source tasks: read a record at most; there is no room for what more would give. */
      readonly holdsBack: boolean;
    }
  | ({
      /** Makes the partition's state anew: as of a snapshot, or from nothing. */
      readonly kind: 'restore-state';
      /** The placement since which the partition is here; a later order makes this one void. */
      readonly since: PlacementVersion;
      readonly snapshot: Handle | null;
      /** The micro-batch that the snapshot counts as. */
      readonly checkpoint: BatchNumber;
      /** Source partitions: the state is as of this record; null: as of the snapshot. */
      readonly behind: Handle | null;
      /**
       * Source partitions: what is new is read behind this record, since all before it is read
       * again as it was; null: behind the state.
       */
      readonly readsBehind: Handle | null;
    } & Place)
  | ({
      /** The partition has moved to another worker: its state here is of no use any more. */
      readonly kind: 'forget-state';
    } & Place)
  | {
      /** Reads a range once more, for a `run-task` that will follow. */
      readonly kind: 'read-range';
      readonly task: TaskName;
      readonly part: number;
      readonly range: Handle;
    }
  | {
      /** Makes the record of a range durable, in order of the partition's micro-batches. */
      readonly kind: 'log-range';
      /** By which the task ran: a recovery may follow it at once. */
      readonly version: PlacementVersion;
      readonly task: TaskName;
      /** Whoever has the partition since then writes a log of its own, which can be closed. */
      readonly since: PlacementVersion;
      readonly part: number;
      readonly last: boolean;
      readonly range: Handle;
    }
  | {
      /** Makes the output of a task that ran before visible. */
      readonly kind: 'commit-output';
      readonly task: TaskName;
      /** The placement since which the partition is here: fences writers of older ones. */
      readonly since: PlacementVersion;
    }
  | {
      /** Takes the partition's state as it is now, and stores it while the job goes on. */
      readonly kind: 'take-snapshot';
      readonly task: TaskName;
      readonly since: PlacementVersion;
    }
  | {
      /** Moves blocks that were sent to the disk, oldest first. */
      readonly kind: 'spill-blocks';
      readonly spill: number;
      readonly blocks: readonly { readonly batch: BatchNumber; readonly output: Handle }[];
    }
  | {
      /** Reads spilled blocks. One that cannot be read is lost, and so is the worker. */
      readonly kind: 'read-blocks';
      readonly read: number;
      readonly stored: readonly Handle[];
    }
  | {
      /** Spilled blocks through this micro-batch are needed by nobody any more. */
      readonly kind: 'drop-spilled';
      readonly through: BatchNumber;
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
  | 'old-round'
  | 'not-a-member'
  | 'rolled-back'
  | 'duplicate'
  | 'already-done'
  | 'unknown-run'
  | 'no-room'
  | 'stopped';
