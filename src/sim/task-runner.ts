// What carries out tasks in a simulation: the real data plane (pipeline-runner.ts) or, in tests of
// the schedule alone, hashes that depend on every input and on its order.

import type { Handle, Place, TaskName } from '../control/protocol/messages.ts';
import type { InputHandle, Replay } from '../control/worker/events.ts';
import type { RowObject } from '../schema/data-type.ts';
import type { SourceChunk } from '../ports/source-chunk.ts';
import type { SinkOutput } from '../ports/sink.ts';
import type { ChosenRange } from './simulated-source.ts';

export type TaskOrder = {
  readonly task: TaskName;
  readonly part: number;
  /** The task is over with this part. */
  readonly last: boolean;
  /** By input exchange of the stage; null for a source task. */
  readonly inputs: readonly (readonly InputHandle[])[] | null;
  /** Source tasks only. */
  readonly range: ChosenRange | null;
  /** The range's records; null: the runner has them by itself. */
  readonly chunk: SourceChunk | null;
  readonly triggerMs: number;
  /** The range that a source task had before. */
  readonly replay: Replay | null;
};

/** Rows that become visible together, in order. */
export type Commit = {
  readonly sink: string;
  readonly partition: number;
  readonly batch: number;
  readonly rows: readonly RowObject[];
  /** The same as a sink's writer gets it; null where there is no real data plane. */
  readonly output: SinkOutput | null;
};

export type TaskOutcome = {
  /** By position in the stage's outputs. */
  readonly outputs: readonly Handle[];
  readonly commits: readonly Commit[];
  /** The record of a source task's range. */
  readonly range: Handle | null;
};

/** Holds the state of the partitions it runs; deterministic. */
export type TaskRunner = {
  /** Rows that came after their last window was closed. */
  readonly recordsLate: number;
  run(order: TaskOrder): TaskOutcome;
  /** The whole content of an output: equal texts mean equal bytes. */
  textOf(output: Handle): string;
  /** What an output takes of memory. */
  bytesOf(output: Handle): number;
  /** The range and the trigger that a record tells of. */
  rangeOf(record: Handle): ChosenRange & { readonly triggerMs: number };
  /** The state of a partition now, as a copy. */
  snapshot(place: Place): unknown;
  /** Makes it anew: from a snapshot or from nothing, and then behind a record. */
  restore(place: Place, from: { readonly snapshot: unknown; readonly behind: Handle | null }): void;
};

/** A task that was run, and the texts of what it gave. */
export type RanTask = TaskOrder & {
  readonly outputTexts: readonly string[];
  readonly startedMs: number;
  /** The placement that the worker had then. */
  readonly version: number;
  /** The worker was declared dead when it ran it. */
  readonly zombie: boolean;
};
