// What drivers and workers say to each other. Orders come from the driver and carry its term;
// `blocks` and `progress` go between workers and never pass through the driver [Drizzle §3.2].

import type { StreamErrorData } from '../../base/stream-error.ts';
import type { BatchNumber, GroupId, Incarnation, PlacementVersion, Term, WorkerId } from './ids.ts';
import type { Recovery } from './recovery.ts';
import type { Template } from './template.ts';

/**
 * Opaque to the control plane: what a task gave for one exchange, the record of a range, where a
 * snapshot lies, or the runtime's gauges.
 */
export type Handle = unknown;

/** One life of a worker. */
export type WorkerLife = { readonly worker: WorkerId; readonly incarnation: Incarnation };

export type DriverMessage =
  | { readonly kind: 'install-template'; readonly term: Term; readonly template: Template }
  | StartGroup
  | {
      /** A question, not an order: from which micro-batch on can you still stop? */
      readonly kind: 'ask-cut';
      readonly term: Term;
      readonly cut: number;
      readonly from: BatchNumber;
    }
  | {
      /** The answer to all answers: everything permitted from `end` on is withdrawn. */
      readonly kind: 'set-boundary';
      readonly term: Term;
      readonly cut: number;
      readonly end: BatchNumber;
    }
  | {
      /** Answers `ask-locations`: who holds the blocks of the exchange. */
      readonly kind: 'locations';
      readonly term: Term;
      readonly batch: BatchNumber;
      readonly exchange: number;
      readonly workers: readonly WorkerId[];
    }
  | {
      /**
       * Begins a round of recovery: listen to nobody but its members, start nothing more, and only
       * then say what you have.
       */
      readonly kind: 'ask-status';
      readonly term: Term;
      readonly round: number;
      /** Whose voice counts; everybody else is dead, or was never there. */
      readonly members: readonly WorkerLife[];
      /** Partitions of the living may move, too: tell the ranges of your own sources as well. */
      readonly moves: boolean;
    }
  | { readonly kind: 'recover'; readonly term: Term; readonly recovery: Recovery }
  | {
      /** A worker has no room for more: sources read a record a micro-batch at most, or go on. */
      readonly kind: 'hold-back';
      readonly term: Term;
      /** Orders of this kind are numbered: a late copy of an older one is ignored. */
      readonly change: number;
      readonly holdsBack: boolean;
    }
  | { readonly kind: 'stop'; readonly term: Term };

/** Permits the micro-batches [first, first + count). Its size does not depend on `count`. */
export type StartGroup = {
  readonly kind: 'start-group';
  readonly term: Term;
  readonly version: PlacementVersion;
  readonly group: GroupId;
  readonly first: BatchNumber;
  readonly count: number;
  /** The only stage that may run; null: all of them, each as its inputs come. */
  readonly stage: number | null;
  /** 0: the next micro-batch starts when the source task of the last is done. */
  readonly intervalMs: number;
  /** Planned trigger of `first`, in the driver's clock. */
  readonly anchorMs: number;
  /** A worker that starts this micro-batch reports at once: the driver plans the next group. */
  readonly reportAt: BatchNumber;
  /** Blocks through this micro-batch are needed by nobody any more. */
  readonly retireThrough: BatchNumber;
  /** Sources end with the group's last micro-batch. */
  readonly final: boolean;
  /** State is to be kept as of this micro-batch of the group; -1: of none. */
  readonly checkpointAt: BatchNumber;
};

export type WorkerMessage =
  | {
      readonly kind: 'template-installed';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly version: PlacementVersion;
    }
  | {
      readonly kind: 'report';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly report: Report;
    }
  | {
      /** All of the worker's tasks of the stage are done and their output is visible. */
      readonly kind: 'stage-done';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly version: PlacementVersion;
      readonly stage: number;
      readonly batch: BatchNumber;
    }
  | {
      readonly kind: 'ask-locations';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly batch: BatchNumber;
      readonly exchange: number;
    }
  | {
      /** Nothing from `from` on has been started or will be, until the boundary is known. */
      readonly kind: 'cut-answer';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly cut: number;
      readonly from: BatchNumber;
    }
  | {
      /** Answers `ask-status`. */
      readonly kind: 'status';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly round: number;
      readonly status: WorkerStatus;
    }
  | {
      /** Every partition of the worker has stored its state as of the micro-batch. */
      readonly kind: 'snapshots-stored';
      readonly term: Term;
      readonly incarnation: Incarnation;
      /** The placement under which the state was taken: another one may come to the same number. */
      readonly version: PlacementVersion;
      readonly batch: BatchNumber;
      readonly snapshots: readonly PartitionSnapshot[];
    }
  | {
      readonly kind: 'snapshot-failed';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly version: PlacementVersion;
      readonly batch: BatchNumber;
      readonly error: StreamErrorData;
    }
  | {
      readonly kind: 'task-failed';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly task: TaskName;
      readonly error: StreamErrorData;
    }
  | {
      readonly kind: 'stopped';
      readonly term: Term;
      readonly incarnation: Incarnation;
      /** Final; a report may have been lost in the end. */
      readonly gauges: Handle;
    };

export type TaskName = {
  readonly stage: number;
  readonly partition: number;
  readonly batch: BatchNumber;
};

/** A partition of a stage. */
export type Place = { readonly stage: number; readonly partition: number };

/** Where the state of a partition lies, and for a source partition how far it had read. */
export type PartitionSnapshot = Place & {
  readonly snapshot: Handle;
  /** The record of its last range; null without one. */
  readonly range: Handle | null;
};

/** What the ranges of one source partition were: those of `first`, `first + 1`, … */
export type KnownRanges = Place & {
  readonly first: BatchNumber;
  /** By micro-batch the records of its parts, of which there is one where tasks have none. */
  readonly ranges: readonly (readonly Handle[])[];
};

/** Micro-batches [first, end). */
export type BatchSpan = { readonly first: BatchNumber; readonly end: BatchNumber };

/** A partition that a worker has. */
export type OwnedPartition = Place & {
  /** The first micro-batch that it has not run. */
  readonly next: BatchNumber;
  /** Source partitions: the micro-batch in which it ended; -1: it has not. */
  readonly endedAt: BatchNumber;
};

/** What a worker has when a round begins, and promises not to add to. */
export type WorkerStatus = {
  /** The placement it works by; -1: none yet. */
  readonly version: PlacementVersion;
  readonly owned: readonly OwnedPartition[];
  /** Highest micro-batch of which a task was started. */
  readonly startedThrough: BatchNumber;
  readonly doneThrough: BatchNumber;
  /** The micro-batch in which all sources end, as far as it was permitted here; -1: none. */
  readonly finalBatch: BatchNumber;
  /** Lives that it stopped listening to since it carried out an order of a round. */
  readonly refused: readonly WorkerLife[];
  /**
   * Ranges it has seen of source partitions that may move, and does not know to be in the log;
   * micro-batches without a gap.
   */
  readonly ranges: readonly KnownRanges[];
  /** Source tasks whose blocks it keeps, whoever they belong to. */
  readonly kept: readonly (Place & { readonly spans: readonly BatchSpan[] })[];
};

export type Report = {
  /** The placement that `doneThrough` is about. */
  readonly version: PlacementVersion;
  /** Highest micro-batch of which a task was started. */
  readonly startedThrough: BatchNumber;
  /** Every local task through this one is done and its output is visible. */
  readonly doneThrough: BatchNumber;
  /** Source partitions that have ended since the last report. */
  readonly ended: readonly TaskName[];
  /** From planned trigger to local completion, ms, one for each micro-batch since the last. */
  readonly makespansMs: readonly number[];
  /** Time in tasks since the last report, ms. */
  readonly busyMs: number;
  readonly tasksRun: number;
  /** Tasks that could run and wait for the processor. */
  readonly queued: number;
  /** Blocks that are kept until a checkpoint covers them, in memory, bytes. */
  readonly keptBytes: number;
  /** The same on disk. */
  readonly spilledBytes: number;
  readonly pressure: Pressure;
  /** What the runtime measured last: counts, lag, memory. */
  readonly gauges: Handle;
};

/**
 * What a worker wants for the blocks that it keeps: a checkpoint, which releases them, or beyond
 * that no further input until there is one.
 */
export type Pressure = 'none' | 'checkpoint' | 'hold-back';

export type PeerMessage =
  | {
      /** One frame for one (peer, micro-batch, exchange): all producer partitions of the sender. */
      readonly kind: 'blocks';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly version: PlacementVersion;
      readonly batch: BatchNumber;
      readonly exchange: number;
      /** For these partitions of the receiver only; null: for all that it has in `version`. */
      readonly only: readonly number[] | null;
      readonly entries: readonly BlockEntry[];
    }
  | {
      /** Copies of what the sender's source tasks gave, for the case that it is lost. */
      readonly kind: 'backup';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly version: PlacementVersion;
      readonly copies: readonly BlockCopy[];
    }
  | {
      /** Asks for the blocks that the sender's partitions are to have of the receiver. */
      readonly kind: 'pull';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly version: PlacementVersion;
      readonly batch: BatchNumber;
      readonly exchange: number;
    }
  | {
      readonly kind: 'progress';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly version: PlacementVersion;
      readonly doneThrough: BatchNumber;
      /** Tasks that take blocks have run through here; their output may not be visible yet. */
      readonly takenThrough: BatchNumber;
    }
  | {
      /** Ranges of all the sender's source partitions are durable through this micro-batch. */
      readonly kind: 'frontier';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly version: PlacementVersion;
      readonly durableThrough: BatchNumber;
    };

/** What one producer partition gives for one exchange and micro-batch, or a part of it. */
export type BlockEntry = {
  readonly producer: number;
  /** Parts of a producer are numbered from 0. */
  readonly part: number;
  /** No further part follows. */
  readonly last: boolean;
  /** The record of a source task's range; null of other tasks. */
  readonly range: Handle | null;
  readonly output: Handle;
};

/** All that one producer partition gave for one exchange and micro-batch, for whomever. */
export type BlockCopy = {
  readonly batch: BatchNumber;
  readonly exchange: number;
  readonly producer: number;
  /** What the output takes of memory. */
  readonly bytes: number;
  readonly output: Handle;
};

export type Peer = WorkerId | 'driver';
