// What a worker keeps of the tasks it ran, until a checkpoint covers it: their blocks, which are
// sent again to whoever takes over a lost consumer, and the ranges behind them; and copies of what
// another worker's tasks gave. Without recovery
// blocks are kept only until their consumers have them. Counts what they take of memory; those that
// were sent may lie on disk instead.

import type { BatchNumber } from '../protocol/ids.ts';
import type {
  BatchSpan,
  BlockEntry,
  Handle,
  KnownRanges,
  Place,
  WorkerLife,
  WorkerStatus,
} from '../protocol/messages.ts';

export type KeptEntry = {
  /** Without its output when that is on disk only. */
  entry: BlockEntry;
  readonly bytes: number;
  /** Whose task gave it, if it is kept for that worker; null: this one's. */
  readonly copyOf: WorkerLife | null;
  /** It is on its way to its consumers. */
  sent: boolean;
  /** `spilling`: on its way to the disk, and in memory still. */
  place: 'memory' | 'spilling' | 'disk';
  /** By which it is read back from the disk. */
  stored: Handle | null;
  /** Nobody will need it any more. */
  released: boolean;
};

/** A block that may go to disk. */
export type Spillable = { readonly batch: BatchNumber; readonly kept: KeptEntry };

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
  #memoryBytes = 0;
  #diskBytes = 0;
  #records = 0;
  /** Of micro-batches before this one no block is in memory that is not on its way to the disk. */
  #inMemoryFrom = Infinity;

  constructor(exchangeCount: number) {
    this.#exchangeCount = exchangeCount;
  }

  /** Micro-batches of which something is kept. */
  get size(): number {
    return this.#batches.size;
  }

  /** What blocks take of memory, those on their way to the disk included. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  get diskBytes(): number {
    return this.#diskBytes;
  }

  /** Blocks and ranges, wherever they are. */
  get records(): number {
    return this.#records;
  }

  /** Numbers of the micro-batches of which something is kept, ascending. */
  get batches(): readonly BatchNumber[] {
    return [...this.#batches.keys()].sort((a, b) => a - b);
  }

  /**
   * Adds a block; false when the same part of the producer is kept already. What was made here
   * takes the place of a copy.
   */
  add(
    batch: BatchNumber,
    exchange: number,
    { entry, bytes }: Pick<KeptEntry, 'entry' | 'bytes'>,
    copyOf: WorkerLife | null = null,
  ): boolean {
    const kept = this.#batch(batch);
    const { producer, part } = entry;
    const isSame = (other: BlockEntry): boolean =>
      other.producer === producer && other.part === part;
    const known = kept.entries[exchange]!.find((each) => isSame(each.entry));
    if (known !== undefined) {
      if (copyOf !== null || known.copyOf === null) return false;
      this.#release(kept, exchange, isSame);
    }
    const entries = kept.entries[exchange]!;
    const place = { place: 'memory', stored: null } as const;
    entries.push({ entry, bytes, copyOf, sent: copyOf !== null, ...place, released: false });
    this.#memoryBytes += bytes;
    this.#records++;
    this.#inMemoryFrom = Math.min(this.#inMemoryFrom, batch);
    return true;
  }

  of(batch: BatchNumber, exchange: number): readonly KeptEntry[] {
    return this.#batches.get(batch)?.entries[exchange] ?? [];
  }

  /** Forgets blocks of an exchange: everybody who needs them has them. */
  drop(batch: BatchNumber, exchange: number, which: (entry: BlockEntry) => boolean): void {
    const kept = this.#batches.get(batch);
    if (kept === undefined) return;
    this.#release(kept, exchange, which);
  }

  /** Blocks that were sent, of the oldest micro-batches in memory, are on their way to the disk. */
  spillOldest(bytes: number): readonly Spillable[] {
    const spilling: Spillable[] = [];
    let left = bytes;
    let allSent = true;
    for (const batch of this.batches) {
      if (batch < this.#inMemoryFrom) continue;
      if (left <= 0) break;
      for (const kept of this.#batches.get(batch)!.entries.flat()) {
        if (kept.place !== 'memory' || kept.bytes === 0) continue;
        if (!kept.sent || left <= 0) {
          allSent = false;
          continue;
        }
        kept.place = 'spilling';
        spilling.push({ batch, kept });
        left -= kept.bytes;
      }
      if (allSent) this.#inMemoryFrom = batch + 1;
    }
    return spilling;
  }

  /** They lie on disk, in this order: memory has them no longer. */
  spilled(blocks: readonly Spillable[], stored: readonly Handle[]): void {
    blocks.forEach(({ kept }, index) => {
      if (kept.released) return;
      kept.place = 'disk';
      kept.stored = stored[index];
      kept.entry = { ...kept.entry, output: null };
      this.#memoryBytes -= kept.bytes;
      this.#diskBytes += kept.bytes;
    });
  }

  /** They stay in memory: the disk would not take them. */
  spillFailed(blocks: readonly Spillable[]): void {
    for (const { batch, kept } of blocks) {
      kept.place = 'memory';
      this.#inMemoryFrom = Math.min(this.#inMemoryFrom, batch);
    }
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
    this.#records++;
    kept.whole = place.last;
  }

  /** The records of a source task, all of its parts; null when they are not known. */
  rangeOf(place: Place, batch: BatchNumber): readonly Handle[] | null {
    const kept = this.#batches.get(batch)?.ranges.get(nameOf(place));
    return kept?.whole === true ? kept.parts : null;
  }

  /** The ranges known of a source partition behind one: a run for each stretch without a gap. */
  rangesOf(place: Place, after: BatchNumber): readonly KnownRanges[] {
    const { stage, partition } = place;
    const runs: { first: BatchNumber; ranges: (readonly Handle[])[] }[] = [];
    for (const batch of this.batches) {
      if (batch <= after) continue;
      const known = this.rangeOf(place, batch);
      if (known === null) continue;
      const run = runs.at(-1);
      if (run !== undefined && run.first + run.ranges.length === batch) run.ranges.push(known);
      else runs.push({ first: batch, ranges: [known] });
    }
    return runs.map((run) => ({ stage, partition, ...run }));
  }

  /** Micro-batches for which all blocks of a producer of these stages are kept. */
  spans(sources: readonly { readonly stage: number; readonly outputs: readonly number[] }[]) {
    const spans = new Map<string, Place & { readonly spans: BatchSpan[] }>();
    for (const batch of this.batches) {
      for (const { stage, outputs } of sources) {
        const [exchange, ...others] = outputs;
        if (exchange === undefined) continue;
        for (const { entry } of this.of(batch, exchange)) {
          // Copies of what a task gave come one by one.
          const isThere = (other: number): boolean => this.#has(batch, other, entry.producer);
          if (!entry.last || !others.every(isThere)) continue;
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

  #has(batch: BatchNumber, exchange: number, producer: number): boolean {
    return this.of(batch, exchange).some(({ entry }) => entry.producer === producer && entry.last);
  }

  /** Forgets blocks and ranges of a task that will be run anew, perhaps with another range. */
  forget({ stage, partition }: Place, outputs: readonly number[]): void {
    const name = nameOf({ stage, partition });
    for (const kept of this.#batches.values()) {
      this.#records -= kept.ranges.get(name)?.parts.length ?? 0;
      kept.ranges.delete(name);
      for (const exchange of outputs) {
        this.#release(kept, exchange, ({ producer }) => producer === partition);
      }
    }
  }

  retireThrough(batch: BatchNumber): void {
    for (const [number, kept] of this.#batches) {
      if (number > batch) continue;
      for (const exchange of kept.entries.keys()) this.#release(kept, exchange, () => true);
      for (const { parts } of kept.ranges.values()) this.#records -= parts.length;
      this.#batches.delete(number);
    }
  }

  #release(of: KeptBatch, exchange: number, which: (entry: BlockEntry) => boolean): void {
    of.entries[exchange] = of.entries[exchange]!.filter((kept) => {
      if (!which(kept.entry)) return true;
      kept.released = true;
      if (kept.place === 'disk') this.#diskBytes -= kept.bytes;
      else this.#memoryBytes -= kept.bytes;
      this.#records--;
      return false;
    });
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
