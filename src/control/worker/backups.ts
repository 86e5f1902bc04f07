// Copies of what a worker's source tasks gave, at a worker of another host: after a loss most tasks
// need not run again, whose cost is that of a task however little it reads. Where tasks give much,
// running them again is spread over all workers, and a copy of everything would cost more.
// [docs/decisions/0016-copies-of-small-blocks.md; Discretized Streams, SOSP 2013, keeps what it
// receives on two nodes]

import { backupBytesMax } from '../limits.ts';
import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import type { BlockCopy } from '../protocol/messages.ts';
import type { Template } from '../protocol/template.ts';
import type { KeptEntry } from './kept-blocks.ts';

export class Backups {
  /** Who keeps the copies; null: nobody. */
  readonly at: WorkerId | null;
  readonly #template: Template;
  readonly #of: WorkerId;
  readonly #every: number;
  readonly #exchanges: ReadonlySet<number>;
  #copies: BlockCopy[] = [];

  /** `every`: micro-batches whose copies are sent at once. */
  constructor(template: Template, by: { readonly of: WorkerId; readonly every: number }) {
    this.#template = template;
    this.#of = by.of;
    this.#every = by.every;
    this.at = template.backups.find(({ of }) => of === by.of)?.at ?? null;
    this.#exchanges = new Set(this.at === null ? [] : copiedTo(template, this.at));
  }

  /**
   * Of blocks that were sent, those to copy are added to what waits. Gives what is to be sent now:
   * that of some micro-batches at once.
   */
  add(
    batch: BatchNumber,
    exchange: number,
    produced: readonly Pick<KeptEntry, 'entry' | 'bytes'>[],
  ): readonly BlockCopy[] {
    if (!this.#exchanges.has(exchange)) return [];
    const { placement } = this.#template.stages[this.#template.exchanges[exchange]!.from]!;
    for (const { entry, bytes } of produced) {
      const { producer, output } = entry;
      // What ran again for others is kept by whoever ran it.
      if (bytes > backupBytesMax || placement[producer] !== this.#of) continue;
      this.#copies.push({ batch, exchange, producer, bytes, output });
    }
    const [oldest] = this.#copies;
    if (oldest === undefined || batch < oldest.batch + this.#every - 1) return [];
    const due = this.#copies;
    this.#copies = [];
    return due;
  }
}

/**
 * Exchanges whose blocks a worker gets in any case, so that it knows the ranges behind them: those
 * of source stages that have no others, nor sinks, for those repeat all of their tasks in order.
 */
function copiedTo({ stages, exchanges, partMs }: Template, at: WorkerId): readonly number[] {
  if (partMs !== null) return [];
  const reaches = (id: number): boolean => {
    const { to, fanIn } = exchanges[id]!;
    return fanIn === undefined && stages[to]!.placement.includes(at);
  };
  return stages.flatMap(({ source, sinks, outputs }) =>
    source && !sinks && outputs.every(reaches) ? outputs : [],
  );
}
