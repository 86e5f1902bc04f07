// What carries out tasks in a simulation: the real data plane (pipeline-runner.ts) or, where only
// the schedule matters, hashes that depend on every input and on its order.

import { assert } from '../base/assert.ts';
import { hashText } from '../base/hash.ts';
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

type HashRange = ChosenRange & {
  readonly triggerMs: number;
  /** Stands for what a source keeps from range to range: its watermark. */
  readonly mark: string;
};

export class HashRunner implements TaskRunner {
  readonly recordsLate = 0;
  readonly #outputCounts: readonly number[];
  readonly #states = new Map<string, string>();

  /** `outputCounts[stage]`: the exchanges that leave it; a stage without any feeds the sink. */
  constructor(outputCounts: readonly number[]) {
    this.#outputCounts = outputCounts;
  }

  run(order: TaskOrder): TaskOutcome {
    const { task, last, replay } = order;
    const { stage, partition, batch } = task;
    const place = `${stage}/${partition}`;
    const before = replay === null ? (this.#states.get(place) ?? '') : markOf(replay.before);
    const range = this.#range(order, before);
    const content = range ?? order.inputs;
    const after = range?.mark ?? hashText(`${place}@${batch} ${before} ${JSON.stringify(content)}`);
    if (replay?.rerun !== true) this.#states.set(place, after);
    const outputCount = this.#outputCounts[stage];
    assert(outputCount !== undefined, `no stage ${stage}`);
    const outputs = Array.from({ length: outputCount }, (_, index) => `${after}/${index}`);
    // Most micro-batches of a sink partition have output, some have none.
    const silent = !last || outputCount > 0 || after.startsWith('0');
    const commit: Commit = { sink: `s${stage}`, partition, batch, rows: [{ after }], output: null };
    return { outputs, commits: silent ? [] : [commit], range };
  }

  textOf(output: Handle): string {
    return String(output);
  }

  /** Some are empty, and no two need be equal. */
  bytesOf(output: Handle): number {
    return Number.parseInt(String(output).slice(0, 2), 16) || 0;
  }

  rangeOf(record: Handle): HashRange {
    return record as HashRange;
  }

  snapshot({ stage, partition }: Place): string {
    return this.#states.get(`${stage}/${partition}`) ?? '';
  }

  restore(
    { stage, partition }: Place,
    { snapshot, behind }: { readonly snapshot: unknown; readonly behind: Handle | null },
  ): void {
    const state = behind === null ? ((snapshot ?? '') as string) : markOf(behind);
    this.#states.set(`${stage}/${partition}`, state);
  }

  #range({ task, range, replay, triggerMs }: TaskOrder, before: string): HashRange | null {
    if (range === null) return null;
    const { from, to, ended } = range;
    const atMs = replay === null ? triggerMs : this.rangeOf(replay.range).triggerMs;
    const chosen = { from, to, ended, triggerMs: atMs };
    const { stage, partition, batch } = task;
    const mark = hashText(`${stage}/${partition}@${batch} ${before} ${JSON.stringify(chosen)}`);
    const made = { ...chosen, mark };
    if (replay !== null) {
      assert(this.rangeOf(replay.range).mark === mark, 'a range that is read again differs');
    }
    return made;
  }
}

function markOf(record: Handle | null): string {
  return record === null ? '' : (record as HashRange).mark;
}
