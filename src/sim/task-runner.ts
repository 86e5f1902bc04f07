// What carries out tasks in a simulation: the real data plane (pipeline-runner.ts) or, where only
// the schedule matters, hashes that depend on every input and on its order.

import { assert } from '../base/assert.ts';
import { hashText } from '../base/hash.ts';
import type { Handle, TaskName } from '../control/protocol/messages.ts';
import type { InputHandle } from '../control/worker/events.ts';
import type { RowObject } from '../schema/data-type.ts';
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
  readonly triggerMs: number;
};

/** Rows that become visible together, in order. */
export type Commit = {
  readonly sink: string;
  readonly partition: number;
  readonly batch: number;
  readonly rows: readonly RowObject[];
};

export type TaskOutcome = {
  /** By position in the stage's outputs. */
  readonly outputs: readonly Handle[];
  readonly commits: readonly Commit[];
};

/** Holds the state of the partitions it runs; deterministic. */
export type TaskRunner = {
  /** Rows that came after their last window was closed. */
  readonly recordsLate: number;
  run(order: TaskOrder): TaskOutcome;
  /** The whole content of an output: equal texts mean equal bytes. */
  textOf(output: Handle): string;
};

/** A task that was run, and the texts of what it gave. */
export type RanTask = TaskOrder & {
  readonly outputTexts: readonly string[];
  readonly startedMs: number;
};

export class HashRunner implements TaskRunner {
  readonly recordsLate = 0;
  readonly #outputCounts: readonly number[];
  readonly #states = new Map<string, string>();

  /** `outputCounts[stage]`: the exchanges that leave it; a stage without any feeds the sink. */
  constructor(outputCounts: readonly number[]) {
    this.#outputCounts = outputCounts;
  }

  run({ task, last, inputs, range }: TaskOrder): TaskOutcome {
    const { stage, partition, batch } = task;
    const place = `${stage}/${partition}`;
    const before = this.#states.get(place) ?? '';
    const after = hashText(`${place}@${batch} ${before} ${JSON.stringify([inputs, range])}`);
    this.#states.set(place, after);
    const outputCount = this.#outputCounts[stage];
    assert(outputCount !== undefined, `no stage ${stage}`);
    const outputs = Array.from({ length: outputCount }, (_, index) => `${after}/${index}`);
    // Most micro-batches of a sink partition have output, some have none.
    const silent = !last || outputCount > 0 || after.startsWith('0');
    const commit: Commit = { sink: `s${stage}`, partition, batch, rows: [{ after }] };
    return { outputs, commits: silent ? [] : [commit] };
  }

  textOf(output: Handle): string {
    return String(output);
  }
}
