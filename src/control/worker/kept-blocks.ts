// What a worker keeps of the tasks it ran, until a checkpoint covers it: their blocks, which are
// sent again to whoever takes over a lost consumer, and the ranges behind them. Without recovery
// blocks are kept only until their consumers have them.

import type { BatchNumber } from '../protocol/ids.ts';
import type {
  BatchSpan,
  BlockEntry,
  Handle,
  KnownRanges,
  Place,
  WorkerStatus,
} from '../protocol/messages.ts';

export type KeptEntry = {
  readonly entry: BlockEntry;
  /** It is on its way to its consumers. */
  sent: boolean;
};

type KeptBatch = {
  /** By exchange. */
  readonly entries: KeptEntry[][];
  /** By `stage/partition`: the records of a source task's parts, whoever ran it. */
  readonly ranges: Map<string, KeptRange>;
};

type KeptRange = { readonly parts: Handle[]; whole: boolean };

export class KeptBlocks {
  readonly #batches = new Map<BatchNumber, KeptBatch>();
  readonly #exchangeCount: number;

  constructor(exchangeCount: number) {
    this.#exchangeCount = exchangeCount;
  }

  /** Micro-batches of which something is kept. */
  get size(): number {
    return this.#batches.size;
  }

  /** Numbers of the micro-batches of which something is kept, ascending. */
  get batches(): readonly BatchNumber[] {
    return [...this.#batches.keys()].sort((a, b) => a - b);
  }

  /** Adds a block; false when the same part of the producer is kept already. */
  add(batch: BatchNumber, exchange: number, entry: BlockEntry): boolean {
    const entries = this.#batch(batch).entries[exchange]!;
    const { producer, part } = entry;
    if (entries.some((kept) => kept.entry.producer === producer && kept.entry.part === part)) {
      return false;
    }
    entries.push({ entry, sent: false });
    return true;
  }

  of(batch: BatchNumber, exchange: number): readonly KeptEntry[] {
    return this.#batches.get(batch)?.entries[exchange] ?? [];
  }

  /** Forgets blocks of an exchange: everybody who needs them has them. */
  drop(batch: BatchNumber, exchange: number, which: (entry: BlockEntry) => boolean): void {
    const kept = this.#batches.get(batch);
    if (kept === undefined) return;
    kept.entries[exchange] = kept.entries[exchange]!.filter(({ entry }) => !which(entry));
  }

  /** Remembers the record of a source task's part; parts come in order, some of them again. */
  addRange(
    place: Place & { batch: BatchNumber; part: number; last: boolean },
    range: Handle,
  ): void {
    const { ranges } = this.#batch(place.batch);
    const name = nameOf(place);
    let kept = ranges.get(name);
    if (kept === undefined) ranges.set(name, (kept = { parts: [], whole: false }));
    if (kept.whole || place.part !== kept.parts.length) return;
    kept.parts.push(range);
    kept.whole = place.last;
  }

  /** The records of a source task, all of its parts; null when they are not known. */
  rangeOf(place: Place, batch: BatchNumber): readonly Handle[] | null {
    const kept = this.#batches.get(batch)?.ranges.get(nameOf(place));
    return kept?.whole === true ? kept.parts : null;
  }

  /** The ranges known of a source partition: a run for each stretch without a gap. */
  rangesOf(place: Place): readonly KnownRanges[] {
    const { stage, partition } = place;
    const runs: { first: BatchNumber; ranges: (readonly Handle[])[] }[] = [];
    for (const batch of this.batches) {
      const known = this.rangeOf(place, batch);
      if (known === null) continue;
      const run = runs.at(-1);
      if (run !== undefined && run.first + run.ranges.length === batch) run.ranges.push(known);
      else runs.push({ first: batch, ranges: [known] });
    }
    return runs.map((run) => ({ stage, partition, ...run }));
  }

  /** Micro-batches for which the blocks of every producer of these stages are kept. */
  spans(sources: readonly { readonly stage: number; readonly outputs: readonly number[] }[]) {
    const spans = new Map<string, Place & { readonly spans: BatchSpan[] }>();
    for (const batch of this.batches) {
      for (const { stage, outputs } of sources) {
        const [exchange] = outputs;
        if (exchange === undefined) continue;
        for (const { entry } of this.of(batch, exchange)) {
          if (!entry.last) continue;
          const place = { stage, partition: entry.producer };
          const name = nameOf(place);
          let known = spans.get(name);
          if (known === undefined) spans.set(name, (known = { ...place, spans: [] }));
          const before = known.spans.at(-1);
          const end = (batch + 1) as BatchNumber;
          if (before?.end === batch) known.spans[known.spans.length - 1] = { ...before, end };
          else known.spans.push({ first: batch, end });
        }
      }
    }
    return [...spans.values()] satisfies WorkerStatus['kept'];
  }

  /** Forgets blocks and ranges of a task that will be run anew, perhaps with another range. */
  forget({ stage, partition }: Place, outputs: readonly number[]): void {
    for (const kept of this.#batches.values()) {
      kept.ranges.delete(nameOf({ stage, partition }));
      for (const exchange of outputs) {
        kept.entries[exchange] = kept.entries[exchange]!.filter(
          ({ entry }) => entry.producer !== partition,
        );
      }
    }
  }

  retireThrough(batch: BatchNumber): void {
    for (const number of this.#batches.keys()) {
      if (number <= batch) this.#batches.delete(number);
    }
  }

  #batch(batch: BatchNumber): KeptBatch {
    let kept = this.#batches.get(batch);
    if (kept === undefined) {
      const entries = Array.from({ length: this.#exchangeCount }, (): KeptEntry[] => []);
      kept = { entries, ranges: new Map() };
      this.#batches.set(batch, kept);
    }
    return kept;
  }
}

function nameOf({ stage, partition }: Place): string {
  return `${stage}/${partition}`;
}
