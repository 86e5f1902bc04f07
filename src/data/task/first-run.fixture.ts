// A run of a random pipeline without faults, whose tasks can be looked up and run again elsewhere.

import type { PhysicalPlan, Stage } from '../../plan/physical-plan.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import { randomBindings } from './random-plan.fixture.ts';
import type { RandomRun } from './random-plan.fixture.ts';
import { allocateBytes, inputOf, partitionCountsOf, runPlan } from './run-plan.fixture.ts';
import { TaskExecutor } from './task-executor.ts';
import type { ExchangeOutput, TaskId, TaskResult } from './task.ts';

export class FirstRun {
  readonly plan: PhysicalPlan;
  readonly batchCount: number;
  readonly partitionCounts: readonly number[];
  readonly #run: RandomRun;
  readonly #results = new Map<string, TaskResult>();

  constructor(run: RandomRun) {
    this.#run = run;
    this.plan = planPhysical(run.plan, { partitions: run.partitions });
    this.batchCount = run.batches.length;
    this.partitionCounts = partitionCountsOf(this.plan, run.batches[0]!);
    const { batches } = run;
    const { results } = runPlan({ plan: this.plan, bindings: randomBindings, batches });
    let next = 0;
    for (let batch = 0; batch < this.batchCount; batch++) {
      for (const stage of this.plan.stages) {
        for (let partition = 0; partition < this.partitionCounts[stage.id]!; partition++) {
          this.#results.set(`${batch}/${stage.id}/${partition}`, results[next++]!);
        }
      }
    }
  }

  result({ batch, stage, partition }: TaskId): TaskResult {
    return this.#results.get(`${batch}/${stage}/${partition}`)!;
  }

  input(task: TaskId): ReturnType<typeof inputOf> {
    const { plan, partitionCounts } = this;
    const stage = plan.stages[task.stage]!;
    const sent = new Map<number, ExchangeOutput[]>();
    for (const { id, from } of plan.exchanges) {
      const at = plan.stages[from]!.outputs.indexOf(id);
      const outputs = Array.from({ length: partitionCounts[from]! }, (_, partition) => {
        const producer = { stage: from, partition, batch: task.batch, part: 0 };
        return this.result(producer).outputs[at]!;
      });
      sent.set(id, outputs);
    }
    const batch = this.#run.batches[task.batch]!;
    return inputOf(plan, stage, { partition: task.partition, batch, sent });
  }

  executor(): TaskExecutor {
    const { plan, partitionCounts } = this;
    const bindings = randomBindings;
    return new TaskExecutor({ plan, bindings, partitionCounts, allocate: allocateBytes });
  }

  places(): { readonly stage: Stage; readonly partition: number }[] {
    return this.plan.stages.flatMap((stage) =>
      Array.from({ length: this.partitionCounts[stage.id]! }, (_, partition) => {
        return { stage, partition };
      }),
    );
  }
}
