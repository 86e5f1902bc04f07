// Which blocks go to whom after a recovery: new owners of moved partitions need all since the
// checkpoint, survivors only what they had not done.

import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import type { WorkerLife } from '../protocol/messages.ts';
import type { Recovery } from '../protocol/recovery.ts';
import { bundleOf } from '../protocol/routing.ts';
import type { Template } from '../protocol/template.ts';
import { partitionsOn, workersOf } from '../protocol/template.ts';
import type { KeptBlocks } from './kept-blocks.ts';
import type { Resend } from './resend-queue.ts';

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
  readonly #template: Template;
  /** By stage and worker: partitions that have moved there. */
  readonly #moved: ReadonlyMap<WorkerId, readonly number[]>[];

  constructor({ template, moved, done, checkpoint }: Recovery) {
    this.#template = template;
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

  /** What own tasks gave and was sent, for partitions that have moved. */
  own(kept: KeptBlocks): Resend[] {
    const resends: Resend[] = [];
    for (const { exchange, to, partitions } of this.moves) {
      const routed = this.#template.exchanges[exchange]!;
      const feeds = (producer: number): boolean =>
        routed.fanIn === undefined || partitions.includes(bundleOf(routed, producer));
      for (const batch of kept.batches) {
        const entries = kept
          .of(batch, exchange)
          .filter(({ sent, copyOf, entry }) => sent && copyOf === null && feeds(entry.producer));
        if (entries.length === 0) continue;
        resends.push({ to, batch, exchange, partitions, entries, isNew: false });
      }
    }
    return resends;
  }

  /** What the dead gave lies here for all who may not have got it from themselves. */
  copies(kept: KeptBlocks, isDead: (life: WorkerLife) => boolean): Resend[] {
    const { stages, exchanges } = this.#template;
    const resends: Resend[] = [];
    exchanges.forEach(({ from, to: stage }, exchange) => {
      if (!stages[from]!.source) return;
      const consumers = workersOf(stages[stage]!);
      for (const batch of kept.batches) {
        const entries = kept
          .of(batch, exchange)
          .filter(({ copyOf }) => copyOf !== null && isDead(copyOf));
        if (entries.length === 0) continue;
        for (const to of consumers) {
          const partitions = this.neededBy(to, { stage, batch });
          if (partitions?.length === 0) continue;
          resends.push({ to, batch, exchange, partitions, entries, isNew: false });
        }
      }
    });
    return resends;
  }

  /** What rounds before had to send, to those who have stayed where they were moved to. */
  stillToSend(rest: readonly Resend[]): Resend[] {
    const { stages, exchanges } = this.#template;
    return rest.flatMap((resend) => {
      const { to: stage } = exchanges[resend.exchange]!;
      const moved = this.#moved[stage]!.get(resend.to) ?? [];
      const { partitions: meant } = resend;
      const partitions = partitionsOn(stages[stage]!, resend.to).filter(
        (one) => !moved.includes(one) && (meant === null || meant.includes(one)),
      );
      return partitions.length === 0 ? [] : [{ ...resend, partitions }];
    });
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
