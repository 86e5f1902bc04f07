// Carries out tasks where only the schedule matters: what a task gives is a hash of all its inputs,
// of their order and of its partition's state. Random runs take millions of them, so they are
// Node's own SHA-256: that of `base/hash.ts` takes ten times as long.

import { hash } from 'node:crypto';
import { assert } from '../base/assert.ts';
import type { Handle, Place } from '../control/protocol/messages.ts';
import type { ChosenRange } from './simulated-source.ts';
import type { Commit, TaskOrder, TaskOutcome, TaskRunner } from './task-runner.ts';

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

function hashText(text: string): string {
  return hash('sha256', text).slice(0, 32);
}
