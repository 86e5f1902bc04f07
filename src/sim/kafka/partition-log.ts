// The log of one partition of a simulated cluster: batches of real bytes, what the broker knows of
// the producers that wrote them, and how far readers see. Nothing takes time here. What was
// appended and is above the high watermark can be taken back, with all that followed from it.
// [KIP-98, KIP-360, KIP-890]

import { firstIndex } from '../../base/first-index.ts';
import { assert } from '../../base/assert.ts';
import { kafkaErrors } from '../../connectors/kafka/error-codes.ts';
import type { BatchHead } from '../../connectors/kafka/record-batch.ts';
import { batchHeadAt, crcFromByte } from '../../connectors/kafka/record-batch.ts';
import type { AbortedTransaction, Isolation } from '../../ports/kafka-wire.ts';
import type { Marker } from './batch-bytes.ts';
import { crc32c, headOf, keepRecords, markerBytes, rawRecords } from './batch-bytes.ts';

type ProducerState = {
  readonly epoch: number;
  readonly coordinatorEpoch: number;
  /** Offset of the first record of the transaction that is open here. */
  readonly openFrom: number | null;
  /** The last batches of the epoch, at most `duplicatesKnown`. */
  readonly batches: readonly {
    readonly first: number;
    readonly last: number;
    readonly offset: number;
  }[];
};

type Ended = { readonly producerId: number; readonly first: number; readonly committed: boolean };

type Entry = {
  readonly base: number;
  readonly last: number;
  bytes: Uint8Array;
  readonly control: boolean;
  readonly producerId: number;
  /** What was known of the producer before. */
  readonly before: ProducerState | undefined;
  /** The transaction that a marker has ended here. */
  readonly ended: Ended | null;
};

export type Appended = { readonly error: number; readonly offset: number; readonly end: number };

/** A broker recognises repetitions of so many batches of a producer. */
const duplicatesKnown = 5;

export class PartitionLog {
  leaderEpoch = 0;
  startOffset = 0;
  #endOffset = 0;
  #highWatermark = 0;
  #entries: Entry[] = [];
  /** With the offset of the marker, ascending. */
  #aborted: (AbortedTransaction & { readonly markerOffset: number })[] = [];
  readonly #producers = new Map<number, ProducerState>();

  get endOffset(): number {
    return this.#endOffset;
  }

  get highWatermark(): number {
    return this.#highWatermark;
  }

  /** Everything below it is decided. */
  get lastStableOffset(): number {
    return this.stableBelow(this.#highWatermark);
  }

  /** Where the stable part would end with a lesser high watermark. */
  stableBelow(highWatermark: number): number {
    let stable = highWatermark;
    for (const { openFrom } of this.#producers.values()) {
      if (openFrom !== null && openFrom < stable) stable = openFrom;
    }
    for (let index = this.#entries.length - 1; index >= 0; index--) {
      const { base, ended } = this.#entries[index]!;
      if (base < highWatermark) break;
      if (ended !== null && ended.first < stable) stable = ended.first;
    }
    return stable;
  }

  raiseHighWatermark(to: number): void {
    this.#highWatermark = Math.max(this.#highWatermark, Math.min(to, this.#endOffset));
  }

  /** Whether a producer has a transaction open here; `epoch` null: of whatever epoch. */
  isOpen(producerId: number, epoch: number | null): boolean {
    const known = this.#producers.get(producerId);
    if (known === undefined || known.openFrom === null) return false;
    return epoch === null || known.epoch === epoch;
  }

  /** One batch of a client. `strict`: it joins its transaction, and begins with sequence 0. */
  append(bytes: Uint8Array, strict: boolean): Appended {
    const head = batchHeadAt(bytes, 0);
    const sum = head === null ? -1 : crc32c(bytes, crcFromByte, bytes.length);
    if (head === null || head.bytes !== bytes.length || head.magic !== 2 || head.crc !== sum) {
      return refused(kafkaErrors.corruptMessage);
    }
    if (head.control || head.records !== head.lastOffsetDelta + 1) {
      return refused(kafkaErrors.corruptMessage);
    }
    const known = this.#producers.get(head.producerId);
    if (head.producerId >= 0) {
      const same = duplicateOf(known, head);
      if (same !== undefined) {
        return { error: kafkaErrors.none, offset: same.offset, end: same.offset + head.records };
      }
      const error = sequenceError(known, head, strict);
      if (error !== kafkaErrors.none) return refused(error);
    }
    const base = this.#endOffset;
    const state = head.producerId < 0 ? null : afterBatch(known, head, base);
    this.#push({ bytes, head, ended: null, state });
    return { error: kafkaErrors.none, offset: base, end: this.#endOffset };
  }

  /** False: it was out of date, and nothing was written. */
  appendMarker(marker: Marker, nowMs: number): boolean {
    const { producerId, epoch, coordinatorEpoch, committed, bumps } = marker;
    const known = this.#producers.get(producerId);
    if (known !== undefined) {
      if (epoch < known.epoch || coordinatorEpoch < known.coordinatorEpoch) return false;
      if (bumps && epoch === known.epoch && known.openFrom !== null) return false;
    }
    const first = known?.openFrom ?? null;
    const ended = first === null ? null : { producerId, first, committed };
    const batches = known?.epoch === epoch ? known.batches : [];
    const state = { epoch, coordinatorEpoch, openFrom: null, batches };
    const bytes = markerBytes(marker, nowMs);
    if (ended !== null && !committed) {
      this.#aborted.push({ producerId, firstOffset: ended.first, markerOffset: this.#endOffset });
    }
    this.#push({ bytes, head: headOf(bytes), ended, state });
    return true;
  }

  /** Another leader has the log only up to there, or to the next end of a batch. */
  truncate(to: number): void {
    assert(to >= this.#highWatermark, 'what is committed stays');
    for (let last = this.#entries.at(-1); last !== undefined; last = this.#entries.at(-1)) {
      if (last.base < to) break;
      this.#entries.pop();
      this.#endOffset = last.base;
      if (last.producerId >= 0) {
        if (last.before === undefined) this.#producers.delete(last.producerId);
        else this.#producers.set(last.producerId, last.before);
      }
    }
    this.#aborted = this.#aborted.filter(({ markerOffset }) => markerOffset < this.#endOffset);
  }

  /** Where batches that are not committed end, ascending, the high watermark first. */
  uncommittedEnds(): readonly number[] {
    const above = this.#entries.filter(({ last }) => last >= this.#highWatermark);
    return [this.#highWatermark, ...above.map(({ last }) => last + 1)];
  }

  /** Where the batch that holds an offset begins. */
  batchBegin(offset: number): number {
    return this.#entries[this.#firstReaching(offset)]?.base ?? this.#endOffset;
  }

  /** Batches from the one that holds the offset on, below a bound; at least one, if there is. */
  read(offset: number, below: number, bytesMax: number): readonly Uint8Array[] {
    const found: Uint8Array[] = [];
    let bytes = 0;
    for (let index = this.#firstReaching(offset); index < this.#entries.length; index++) {
      const entry = this.#entries[index]!;
      if (entry.base >= below || (found.length > 0 && bytes >= bytesMax)) break;
      found.push(entry.bytes);
      bytes += entry.bytes.length;
    }
    return found;
  }

  /** Transactions that were aborted and reach into [from, below). */
  abortedIn(from: number, below: number): readonly AbortedTransaction[] {
    return this.#aborted
      .filter(({ firstOffset, markerOffset }) => firstOffset < below && markerOffset >= from)
      .map(({ producerId, firstOffset }) => ({ producerId, firstOffset }))
      .sort((a, b) => a.firstOffset - b.firstOffset);
  }

  /** The first record as late as that, below a bound; -1: there is none. */
  offsetAt(timestampMs: number, below: number): number {
    for (const { bytes, base } of this.#entries) {
      if (base >= below) break;
      const head = headOf(bytes);
      if (head.maxTimestampMs < timestampMs || head.control) continue;
      if (head.compression !== 'none') return Math.max(base, this.startOffset);
      const hit = rawRecords(bytes).find(
        (record) => record.timestampMs >= timestampMs && record.offset >= this.startOffset,
      );
      if (hit !== undefined) return hit.offset;
    }
    return -1;
  }

  /** Retention: what is below is gone. */
  removeBelow(offset: number): void {
    this.startOffset = Math.max(this.startOffset, Math.min(offset, this.#highWatermark));
    const kept = this.#entries.findIndex(({ last }) => last >= this.startOffset);
    this.#entries.splice(0, kept < 0 ? this.#entries.length : kept);
  }

  /**
   * Takes away records that a later one of their key replaces, aborted ones, and markers of which
   * no data is left; below a bound. What is left keeps its offsets.
   */
  compact(below: number): void {
    const bound = Math.min(below, this.lastStableOffset);
    const isAborted = this.#abortedRecords();
    const lastOf = new Map<string, number>();
    const mine = this.#entries.filter(({ last }) => last < bound);
    for (const { bytes, control, base, producerId } of this.#entries) {
      if (control || base >= this.lastStableOffset || !isPlain(bytes)) continue;
      if (isAborted(producerId, base)) continue;
      for (const { key, offset } of rawRecords(bytes)) {
        if (key !== null) lastOf.set(keyText(key), offset);
      }
    }
    const emptied = new Set<Entry>();
    for (const entry of mine) {
      if (entry.control || !isPlain(entry.bytes)) continue;
      const isGone = isAborted(entry.producerId, entry.base);
      const kept = keepRecords(entry.bytes, ({ key, offset }) => {
        return !isGone && (key === null || lastOf.get(keyText(key)) === offset);
      });
      if (headOf(kept).records === 0) emptied.add(entry);
      else entry.bytes = kept;
    }
    // A marker goes once nothing of its transaction is left to be judged by it.
    const left = this.#entries.filter((entry) => !emptied.has(entry));
    this.#entries = left.filter((entry) => {
      if (!entry.control || entry.last >= bound) return true;
      const from = entry.ended?.first ?? entry.base;
      return left.some(({ control, producerId, base }) => {
        return !control && producerId === entry.producerId && base >= from && base < entry.base;
      });
    });
    this.#aborted = this.#aborted.filter(({ markerOffset }) => {
      return markerOffset >= bound || this.#entries.some(({ base }) => base === markerOffset);
    });
  }

  /** What a reader of the whole log sees, in order; for judges. */
  visible(isolation: Isolation): readonly Uint8Array[] {
    const isCommitted = isolation === 'read-committed';
    const below = isCommitted ? this.lastStableOffset : this.#highWatermark;
    const isAborted = this.#abortedRecords();
    return this.#entries
      .filter(({ base, control, producerId }) => {
        return base < below && !control && !(isCommitted && isAborted(producerId, base));
      })
      .map(({ bytes }) => bytes);
  }

  /** What readers of committed records see now or will see whatever happens; for judges. */
  decided(isCommitting: (producerId: number) => boolean): readonly Uint8Array[] {
    const isAborted = this.#abortedRecords();
    return this.#entries
      .filter(({ base, control, producerId }) => {
        if (control || base >= this.#highWatermark || isAborted(producerId, base)) return false;
        const openFrom = this.#producers.get(producerId)?.openFrom ?? null;
        return openFrom === null || base < openFrom || isCommitting(producerId);
      })
      .map(({ bytes }) => bytes);
  }

  #abortedRecords(): (producerId: number, offset: number) => boolean {
    return (producerId, offset) => {
      return this.#aborted.some((aborted) => {
        const isWithin = offset >= aborted.firstOffset && offset < aborted.markerOffset;
        return isWithin && aborted.producerId === producerId;
      });
    };
  }

  #push(entry: {
    readonly bytes: Uint8Array;
    readonly head: BatchHead;
    readonly ended: Ended | null;
    readonly state: ProducerState | null;
  }): void {
    const { head, ended, state } = entry;
    const { producerId, control } = head;
    const base = this.#endOffset;
    const bytes = entry.bytes.slice();
    const view = new DataView(bytes.buffer);
    view.setBigInt64(0, BigInt(base));
    view.setInt32(12, this.leaderEpoch);
    const last = base + head.lastOffsetDelta;
    const before = this.#producers.get(producerId);
    this.#entries.push({ base, last, bytes, control, producerId, before, ended });
    if (state !== null) this.#producers.set(producerId, state);
    this.#endOffset = last + 1;
  }

  #firstReaching(offset: number): number {
    const entries = this.#entries;
    return firstIndex(entries.length, (index) => entries[index]!.last >= offset);
  }
}

function refused(error: number): Appended {
  return { error, offset: -1, end: -1 };
}

function duplicateOf(
  known: ProducerState | undefined,
  { producerEpoch, baseSequence, records }: BatchHead,
): ProducerState['batches'][number] | undefined {
  if (known?.epoch !== producerEpoch) return undefined;
  return known.batches.find(({ first, last }) => {
    return first === baseSequence && last === baseSequence + records - 1;
  });
}

function sequenceError(
  known: ProducerState | undefined,
  { producerEpoch, baseSequence, transactional }: BatchHead,
  strict: boolean,
): number {
  if (known === undefined) {
    const isLate = strict && baseSequence !== 0;
    return isLate ? kafkaErrors.outOfOrderSequenceNumber : kafkaErrors.none;
  }
  if (producerEpoch < known.epoch) return kafkaErrors.invalidProducerEpoch;
  const last = known.epoch === producerEpoch ? (known.batches.at(-1)?.last ?? -1) : -1;
  if (baseSequence !== last + 1) return kafkaErrors.outOfOrderSequenceNumber;
  return known.openFrom !== null && !transactional ? kafkaErrors.invalidTxnState : kafkaErrors.none;
}

function afterBatch(
  known: ProducerState | undefined,
  { producerEpoch, baseSequence, records, transactional }: BatchHead,
  offset: number,
): ProducerState {
  const before = known?.epoch === producerEpoch ? known.batches : [];
  const batch = { first: baseSequence, last: baseSequence + records - 1, offset };
  return {
    epoch: producerEpoch,
    coordinatorEpoch: known?.coordinatorEpoch ?? -1,
    openFrom: transactional ? (known?.openFrom ?? offset) : null,
    batches: [...before, batch].slice(-duplicatesKnown),
  };
}

function isPlain(bytes: Uint8Array): boolean {
  return headOf(bytes).compression === 'none';
}

function keyText(key: Uint8Array): string {
  return key.join(',');
}
