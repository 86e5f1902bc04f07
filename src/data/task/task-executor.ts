// Runs tasks: kernel + state before + input → blocks, sink rows, state after. Synchronous, and the
// same answer for the same input on any worker. Kernels of all stages are compiled at construction;
// state is made per stage and partition when its first task comes.

import { assert } from '../../base/assert.ts';
import type { LookupTable } from '../state/lookup-table.ts';
import type { KernelBindings } from '../codegen/kernel-context.ts';
import type { PhysicalPlan, Stage, StageId } from '../../plan/physical-plan.ts';
import type { SnapshotKind } from '../snapshot/snapshot-file.ts';
import { ExchangeStage } from './exchange-stage.ts';
import type { StateSnapshot } from './partition-state.ts';
import { SourceStage } from './source-stage.ts';
import type { ReplayInput } from './source-stage.ts';
import type { Allocate, RangeRecord, StagePlace, TaskId, TaskInput, TaskResult } from './task.ts';

export type TaskExecutorOptions = {
  readonly plan: PhysicalPlan;
  readonly bindings: KernelBindings;
  /** Partitions by stage. */
  readonly partitionCounts: readonly number[];
  readonly allocate: Allocate;
};

export class TaskExecutor {
  readonly #stages: readonly (SourceStage | ExchangeStage)[];

  constructor(options: TaskExecutorOptions) {
    const { plan, bindings, partitionCounts, allocate } = options;
    assert(partitionCounts.length === plan.stages.length, 'every stage has a partition count');
    const lookups = new Map<string, LookupTable>();
    this.#stages = plan.stages.map((stage: Stage) => {
      const kernel = { plan, stage, bindings, partitionCounts, lookups };
      return stage.input.kind === 'scan'
        ? new SourceStage({ kernel, allocate })
        : new ExchangeStage({ kernel, allocate });
    });
  }

  /** Tasks of one partition come in order of micro-batches, none left out. */
  run(task: TaskId, input: TaskInput): TaskResult {
    const stage = this.#stage(task);
    if (stage.kind === 'source') {
      assert(input.kind === 'scan', 'a source stage scans');
      return stage.run(task, input);
    }
    assert(input.kind === 'blocks', 'a stage behind an exchange takes blocks');
    return stage.run(task, input.blocks);
  }

  /**
   * Runs a source task again with the range it is known to have had: `chunk` holds exactly
   * [known.from, known.to), `before` is the record of the partition's previous micro-batch, null
   * for its first. Leaves the partition's own state and order alone, so that tasks of different
   * micro-batches replay on different workers. Gives outputs, sinks and record of the first run,
   * byte for byte; throws `replay-differs` where the source has other records now.
   */
  replay(task: TaskId, input: ReplayInput): TaskResult {
    const stage = this.#stage(task);
    assert(stage.kind === 'source', 'only source tasks replay from ranges');
    return stage.replay(task, input);
  }

  /**
   * All that the next task of a stage partition depends on, as of its last one (of a task in parts:
   * the last part). `base`: all of it; `delta`: what changed since the last snapshot taken or
   * restored, and a base where there is none or a delta would not be smaller. The bytes are a copy;
   * what happens later does not show in them. docs/state-format.md has their layout.
   */
  snapshot(place: StagePlace, kind: SnapshotKind): StateSnapshot {
    return this.#stage(place).snapshot(place.partition, kind);
  }

  /**
   * Before the partition's first task: a base, then deltas in order. Its next task is that of the
   * micro-batch behind the last snapshot's. Throws `state-damaged`, `state-version` or
   * `state-mismatch`, which name the operator and the difference; the partition is fresh then.
   */
  restore(place: StagePlace, snapshots: readonly Uint8Array[]): void {
    this.#stage(place).restore(place.partition, snapshots);
  }

  /**
   * Right after `restore`: the next task is that of the micro-batch behind `batch`. A history that
   * begins with older state counts on behind all that is visible of the one before.
   */
  renumber(place: StagePlace, batch: number): void {
    this.#stage(place).renumber(place.partition, batch);
  }

  /** A source partition goes on behind `record`. */
  resume(place: StagePlace, record: RangeRecord): void {
    const stage = this.#stage(place);
    assert(stage.kind === 'source', 'only partitions of sources resume behind a range');
    stage.resume(place.partition, record);
  }

  /** The record of a source partition's last range; null: it has none, or is of another stage. */
  rangeOf(place: StagePlace): RangeRecord | null {
    const stage = this.#stage(place);
    return stage.kind === 'source' ? stage.rangeOf(place.partition) : null;
  }

  /** Forgets a partition: it has moved away, or is to be restored anew. */
  forget(place: StagePlace): void {
    this.#stage(place).forget(place.partition);
  }

  /** Bytes of keyed state, objects as an estimate. */
  stateBytes(): number {
    let size = 0;
    for (const stage of this.#stages) if (stage.kind === 'exchange') size += stage.stateBytes();
    return size;
  }

  #stage({ stage: id }: { readonly stage: StageId }): SourceStage | ExchangeStage {
    const stage = this.#stages[id];
    assert(stage !== undefined, `the plan has stage ${id}`);
    return stage;
  }
}
