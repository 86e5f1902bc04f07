// What a driver machine is told (facts) and what it asks for (orders).

import type { StreamErrorData } from '../../base/stream-error.ts';
import type {
  BatchNumber,
  GroupId,
  Incarnation,
  PlacementVersion,
  WorkerId,
} from '../protocol/ids.ts';
import type {
  DriverMessage,
  Handle,
  KnownRanges,
  PartitionSnapshot,
  Report,
  TaskName,
  WorkerLife,
  WorkerMessage,
} from '../protocol/messages.ts';
import type { Template } from '../protocol/template.ts';
import type { Savepoint } from './checkpoint-schedule.ts';

export type DriverEvent =
  | {
      readonly kind: 'worker-joined';
      readonly worker: WorkerId;
      readonly incarnation: Incarnation;
      /** Workers of the same number are lost together. */
      readonly host: number;
      /** It worked for a driver before this one and has what it had; `take-over` follows. */
      readonly returns?: boolean;
    }
  | { readonly kind: 'worker-lost'; readonly worker: WorkerId; readonly error: StreamErrorData }
  | { readonly kind: 'message-received'; readonly from: WorkerId; readonly message: WorkerMessage }
  | {
      /**
       * Workers of a driver before this one have come back, with what they have: the job goes on
       * with those that have joined.
       */
      readonly kind: 'take-over';
    }
  | {
      /**
       * The job ends behind what is permitted: with `drain` the sources end and all windows close;
       * otherwise, where anything is kept, windows stay open and the next run goes on with them.
       */
      readonly kind: 'stop-requested';
      readonly drain: boolean;
      /** The checkpoint as of the end is to be one; null: an ordinary one. */
      readonly savepoint: Savepoint | null;
    }
  | { readonly kind: 'savepoint-requested'; readonly savepoint: Savepoint }
  | {
      /** Takes effect with the next group; at once, by a cut, when `urgent`. */
      readonly kind: 'pace-changed';
      readonly groupSize: number;
      readonly intervalMs: number;
      readonly urgent: boolean;
    }
  | {
      /** What the range log holds; who is dead adds nothing to it any more. */
      readonly kind: 'log-read';
      readonly round: number;
      readonly ranges: readonly KnownRanges[];
    }
  | { readonly kind: 'ranges-logged'; readonly round: number }
  | { readonly kind: 'placement-journaled'; readonly round: number }
  | { readonly kind: 'drain-journaled'; readonly batch: BatchNumber }
  | { readonly kind: 'checkpoint-committed'; readonly batch: BatchNumber }
  | {
      readonly kind: 'checkpoint-failed';
      readonly batch: BatchNumber;
      readonly error: StreamErrorData;
    }
  | { readonly kind: 'time-passed' };

export type DriverEffect =
  | { readonly kind: 'send-message'; readonly to: WorkerId; readonly message: DriverMessage }
  | { readonly kind: 'job-started' }
  | { readonly kind: 'report-received'; readonly worker: WorkerId; readonly report: Report }
  | { readonly kind: 'worker-stopped'; readonly worker: WorkerId; readonly gauges: Handle }
  | ({ readonly kind: 'job-finished' } & JobEnd)
  | { readonly kind: 'savepoint-made'; readonly id: number; readonly batch: BatchNumber }
  | { readonly kind: 'savepoint-failed'; readonly id: number; readonly error: StreamErrorData }
  | {
      readonly kind: 'job-failed';
      readonly error: StreamErrorData;
      readonly worker: WorkerId;
      readonly task: TaskName | null;
    }
  | {
      /**
       * Closes the logs of those who have died since the last time, or of all, then reads all
       * ranges after a micro-batch.
       */
      readonly kind: 'read-log';
      readonly round: number;
      /** After a rollback everybody decides anew what is not in the log. */
      readonly closesAll: boolean;
      readonly dead: readonly WorkerLife[];
      readonly living: readonly WorkerLife[];
      /** Those of the living who have worked for a driver before this one. */
      readonly returned: readonly WorkerLife[];
      /** The placement by which they wrote; -1: none yet. */
      readonly version: PlacementVersion;
      readonly after: BatchNumber;
    }
  | {
      /** Adds ranges that only survivors knew. */
      readonly kind: 'log-ranges';
      readonly round: number;
      readonly ranges: readonly KnownRanges[];
    }
  | {
      /**
       * Makes durable that the placement may have been published: whoever works by an older one
       * then has missed a decision. Fails for a driver that another has replaced.
       */
      readonly kind: 'journal-placement';
      readonly round: number;
      readonly version: PlacementVersion;
      /** The micro-batch in which all sources end by this order; -1: by none, whatever was said. */
      readonly drainAt: BatchNumber;
    }
  | {
      /**
       * Makes durable that all sources end in this micro-batch, before any does. Fails for a driver
       * that another has replaced.
       */
      readonly kind: 'journal-drain';
      readonly batch: BatchNumber;
    }
  | {
      readonly kind: 'commit-checkpoint';
      readonly batch: BatchNumber;
      readonly template: Template;
      readonly snapshots: readonly PartitionSnapshot[];
      /** The name under which it is to be kept; null: retention may delete it. */
      readonly savepoint: string | null;
    }
  | {
      /** The driver has declared it dead: nobody listens to it any more. */
      readonly kind: 'evict-worker';
      readonly worker: WorkerId;
      readonly incarnation: Incarnation;
      readonly error: StreamErrorData;
    }
  | { readonly kind: 'trace'; readonly trace: DriverTrace };

export type JobEnd = {
  /** The last micro-batch, all output of which is visible; -1: none. */
  readonly lastBatch: BatchNumber;
  /** All sources have ended, all windows are closed; otherwise the next run goes on with them. */
  readonly drained: boolean;
  /** A checkpoint holds all of it; otherwise the next run repeats what came since the last. */
  readonly kept: boolean;
};

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
  | {
      /** What is kept leaves no room for further input, or does so again. */
      readonly kind: 'input-held-back';
      readonly holdsBack: boolean;
      readonly worker: WorkerId;
    }
  | {
      readonly kind: 'worker-dead';
      readonly worker: WorkerId;
      readonly round: number;
      readonly why: string;
    }
  | { readonly kind: 'waiting-for-workers'; readonly have: number; readonly want: number }
  | {
      readonly kind: 'recovered';
      readonly round: number;
      readonly checkpoint: BatchNumber;
      readonly end: BatchNumber;
      readonly movedPartitions: number;
      readonly elapsedMs: number;
    }
  | { readonly kind: 'checkpointed'; readonly batch: BatchNumber; readonly elapsedMs: number }
  | { readonly kind: 'checkpoint-failed'; readonly batch: BatchNumber; readonly code: string }
  | { readonly kind: 'ignored'; readonly what: string; readonly why: string };
