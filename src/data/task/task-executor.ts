// Runs tasks: kernel + state before + input → blocks, sink rows, state after. Synchronous, and the
// same answer for the same input on any worker. Kernels of all stages are compiled at construction;
// state is made per stage and partition when its first task comes.

import { assert } from '../../base/assert.ts';
import type { LookupTable } from '../state/lookup-table.ts';
import type { KernelBindings } from '../codegen/kernel-context.ts';
import type { PhysicalPlan, Stage } from '../../plan/physical-plan.ts';
import { ExchangeStage } from './exchange-stage.ts';
import { SourceStage } from './source-stage.ts';
import type { Allocate, TaskId, TaskInput, TaskResult } from './task.ts';

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
    const stage = this.#stages[task.stage];
    assert(stage !== undefined, `the plan has stage ${task.stage}`);
    if (stage.kind === 'source') {
      assert(input.kind === 'scan', 'a source stage scans');
      return stage.run(task, input);
    }
    assert(input.kind === 'blocks', 'a stage behind an exchange takes blocks');
    return stage.run(task, input.blocks);
  }

  /** Bytes of keyed state, objects as an estimate. */
  stateBytes(): number {
    let size = 0;
    for (const stage of this.#stages) if (stage.kind === 'exchange') size += stage.stateBytes();
    return size;
  }
}
