// What a simulated worker reads from and writes to. There are two makes: the simulator's own
// (simulated-sources.ts, simulated-commits.ts), whose answers the clock brings, and the engine's
// ports (kafka/port-io.fixture.ts), whose answers are promises. So every answer is a call, which
// may come at once or at any later time.

import type { Random } from '../base/random.ts';
import type { StreamErrorData } from '../base/stream-error.ts';
import type { DriverEffect } from '../control/driver/events.ts';
import type { BatchNumber, PlacementVersion, Term } from '../control/protocol/ids.ts';
import type { KnownRanges, Place, TaskName, WorkerLife } from '../control/protocol/messages.ts';
import type { Template } from '../control/protocol/template.ts';
import type { SourceChunk } from '../ports/source-chunk.ts';
import type { LogRecord } from './simulated-log.ts';
import type { ChosenRange } from './simulated-source.ts';
import type { Commit } from './task-runner.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** How far a source partition has been read. */
export type Position = { readonly to: number; readonly ended: boolean };

/** The worker, as far as those concern it that answer it. */
export type WorkerHost = {
  readonly name: string;
  readonly random: Random;
  /** Now, if the worker is there and awake; as soon as it is awake; or never. */
  act(action: () => void): void;
  /** After so long, ms, likewise. */
  after(delayMs: number, action: () => void): void;
  /** Things under one name happen one after the other, each so long after the last, likewise. */
  inOrder(name: string, takesMs: number, action: () => void): void;
  /** A source partition can be read again. */
  sourceReady(place: Place): void;
};

/** What a whole cluster reads and writes, where that is not the simulator's own. */
export type ClusterWorld = {
  /** The cluster goes by it, and so does the next run after one that was suspended. */
  readonly clock: VirtualClock;
  ioOf(host: WorkerHost): WorkerIo;
  /** A driver begins: it lays out sources and prepares sinks. */
  begin(term: Term, prepared: () => void): void;
  /** Where ranges are logged; null: in the simulator's own log. */
  readonly log: ClusterLog | null;
};

export type ClusterLog = {
  /** `onDurable`: the log says that a task's range is in it. */
  writerOf(host: WorkerHost, life: WorkerLife, onDurable: (record: LogRecord) => void): WorkerLog;
  /** As the driver of the term. */
  read(term: Term, order: ReadLog, onRead: (ranges: readonly KnownRanges[]) => void): void;
  add(term: Term, ranges: readonly KnownRanges[], onAdded: () => void): void;
  /** A checkpoint counts: what the oldest one that is kept covers may be forgotten. */
  checkpointed(term: Term, batch: BatchNumber): void;
};

type ReadLog = Extract<DriverEffect, { kind: 'read-log' }>;

export type WorkerLog = {
  /** `by`: the placement that the worker goes by. `refused` null: the task's range is durable. */
  append(
    record: LogRecord,
    by: Pick<Template, 'reach' | 'version'>,
    onDone: (refused: StreamErrorData | null) => void,
  ): void;
  /** The partition is made anew: a task that was open there is not. */
  restored(place: Place): void;
};

export type WorkerIo = {
  readonly sources: WorkerSources;
  readonly sinks: WorkerSinks;
  /** The worker's process is gone. */
  crash(): void;
  pause(forMs: number): void;
  /** The worker is done and closes what it has opened. */
  close(): void;
};

export type WorkerSources = {
  /** An earlier reader of the partition is given up. */
  open(place: Place, from: Position, opened: () => void): void;
  close(place: Place): void;
  ready(place: Place): boolean;
  take(task: TaskName, how: { readonly final: boolean; readonly holdsBack: boolean }): Taken;
  /** Reads a part's range once more, for `replayed`. */
  replay(task: TaskName, part: ReplayedPart, read: () => void): void;
  /** What was read once more; null: the runner has it. */
  replayed(task: TaskName, part: number): SourceChunk | null;
};

export type ReplayedPart = { readonly part: number; readonly range: ChosenRange };

export type Taken = {
  readonly range: ChosenRange;
  /** The records; null: the runner has them. */
  readonly chunk: SourceChunk | null;
  /** The task that has taken it is done. */
  used(): void;
};

export type WorkerSinks = {
  commit(commit: Commit, since: PlacementVersion, told: CommitListener): void;
};

export type CommitListener = {
  /** From now on somebody may see the rows; not called when they were visible before. */
  onVisible(): void;
  /** `refused`: why it did not come about; null: the rows are visible. */
  onDone(refused: StreamErrorData | null): void;
};
