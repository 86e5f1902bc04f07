// Which blocks go to whom after a recovery: new owners of moved partitions need all since the
// checkpoint, survivors only what they had not done.

import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import type { Recovery } from '../protocol/recovery.ts';

export type Move = {
  readonly exchange: number;
  readonly to: WorkerId;
  /** Consumer partitions that moved there, ascending. */
  readonly partitions: readonly number[];
};

export class Resending {
  readonly moves: readonly Move[];
  /** What each survivor had done. */
  readonly #floors = new Map<WorkerId, BatchNumber>();
  readonly #checkpoint: BatchNumber;
  /** By stage and worker: partitions that have moved there. */
  readonly #moved: ReadonlyMap<WorkerId, readonly number[]>[];

  constructor({ template, moved, done, checkpoint }: Recovery) {
    this.#checkpoint = checkpoint;
    for (const { worker, through } of done) this.#floors.set(worker, through);
    const byStage = template.stages.map(() => new Map<WorkerId, number[]>());
    for (const { stage, partition } of moved) {
      const owner = template.stages[stage]!.placement[partition]!;
      const partitions = byStage[stage]!.get(owner);
      if (partitions === undefined) byStage[stage]!.set(owner, [partition]);
      else partitions.push(partition);
    }
    this.#moved = byStage;
    this.moves = template.exchanges.flatMap(({ to: stage }, exchange) =>
      Array.from(byStage[stage]!, ([to, partitions]) => ({ exchange, to, partitions })),
    );
  }

  /** Through here a worker needs nothing that is sent again. */
  takenBy(worker: WorkerId): BatchNumber {
    const adopts = this.moves.some(({ to }) => to === worker);
    return adopts ? this.#checkpoint : (this.#floors.get(worker) ?? this.#checkpoint);
  }

  /** The partitions of the stage at a worker that need a micro-batch's blocks; null: all. */
  neededBy(
    worker: WorkerId,
    { stage, batch }: { readonly stage: number; readonly batch: BatchNumber },
  ): readonly number[] | null {
    const floor = this.#floors.get(worker);
    if (floor === undefined || batch > floor) return null;
    return this.#moved[stage]!.get(worker) ?? [];
  }
}
