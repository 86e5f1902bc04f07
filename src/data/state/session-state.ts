// Keyed state of session windows: for each key a list of sessions [start, end), end = last row +
// gap. Partials that come within a session's bounds extend it, and sessions that meet become one.
// A heap of ends says which sessions close; an entry whose session grew meanwhile is put back.

import type { Batch, Vector } from '../columnar/batch.ts';
import { hashRows } from '../shuffle/hash.ts';
import type { ColumnReader } from '../snapshot/column-reader.ts';
import type { ColumnWriter } from '../snapshot/column-writer.ts';
import { firstRows, listedRows, rowNumbers, withNewRows } from '../snapshot/row-set.ts';
import { pickFloats, pickInts, putValues } from '../snapshot/row-set.ts';
import { damagedState } from '../snapshot/snapshot-errors.ts';
import { sectionKinds } from '../snapshot/snapshot-file.ts';
import type { SnapshotKind } from '../snapshot/snapshot-file.ts';
import type { Accumulator } from './accumulator.ts';
import { ChangedRows } from './changed-rows.ts';
import { ClosingHeap } from './closing-heap.ts';
import { foldPartials, mergeAccumulators } from './fold-partials.ts';
import { GroupTable } from './group-table.ts';
import { accumulatorsOf, keyFieldsOf } from './keyed-table.ts';
import type { KeyedStateOptions } from './keyed-table.ts';
import type { StateChanges, StateGroups } from './state-part.ts';
import { WindowOutput } from './window-output.ts';

type NumberVector = Extract<Vector, { kind: 'number' }>;

/** Keys without a session are dropped once there are this many times more of them than others. */
const deadKeysRatio = 4;
const keysCompactMin = 1024;

export class SessionState {
  readonly section = sectionKinds.sessions;
  readonly #options: KeyedStateOptions;
  readonly #allowedMs: number;
  readonly #keyCount: number;
  readonly #output: WindowOutput;
  #keys: GroupTable;
  /** By key group: its first session + 1. */
  #heads = new Int32Array(16);
  #liveKeys = 0;
  readonly #accumulators: readonly Accumulator[];
  // Sessions by slot.
  #starts = new Float64Array(0);
  #ends = new Float64Array(0);
  /** Order of creation; -1: the slot is free. */
  #sequences = new Float64Array(0);
  #next = new Int32Array(0);
  #keyOf = new Int32Array(0);
  #slotCount = 0;
  #freeSlots: number[] = [];
  #sequence = 0;
  #closings = new ClosingHeap();
  /** Slots changed since the last snapshot. */
  readonly #unsaved = new ChangedRows();
  /** Keys in the last snapshot; -1: there was none that the keys go on from. */
  #savedKeys = -1;
  // Rows whose slots are known, but that were not folded yet.
  #pendingRows: number[] = [];
  #pendingSlots: number[] = [];

  constructor(options: KeyedStateOptions) {
    const { allowedLatenessMs, keys } = options.aggregate;
    this.#options = options;
    this.#allowedMs = allowedLatenessMs;
    this.#keyCount = keys.length;
    this.#output = new WindowOutput(options.schema, keys.length);
    this.#keys = new GroupTable(keyFieldsOf(options.aggregate), []);
    this.#accumulators = accumulatorsOf(options.aggregate, options.functions);
  }

  /** Earliest watermark at which `finish` has something to do. */
  get nextCloseMs(): number {
    return this.#closings.size === 0 ? Infinity : this.#closings.endMs + this.#allowedMs;
  }

  /** Adds partials and gives the number of rows behind those that came too late. */
  fold(partials: Batch, watermarkBeforeMs: number): number {
    const { rowCount, vectors } = partials;
    const keys = vectors.slice(0, this.#keyCount);
    const [starts, ends, counts, ...columns] = vectors.slice(this.#keyCount) as NumberVector[];
    const hashes = new Int32Array(rowCount);
    hashRows(keys, rowCount, hashes);
    const one = new Int32Array(1);
    const group = new Int32Array(1);
    let late = 0;
    for (let row = 0; row < rowCount; row++) {
      const end = ends!.values[row]!;
      if (end + this.#allowedMs <= watermarkBeforeMs) {
        late += counts!.values[row]!;
        continue;
      }
      one[0] = row;
      this.#keys.upsert(keys, hashes, one, group);
      const slot = this.#join(group[0]!, { start: starts!.values[row]!, end, columns });
      this.#unsaved.markOne(slot);
      this.#pendingRows.push(row);
      this.#pendingSlots.push(slot);
    }
    this.#foldPending(columns);
    return late;
  }

  /** Closes sessions and gives the rows that leave, or null. */
  finish(watermarkMs: number): Batch | null {
    if (watermarkMs >= this.nextCloseMs) this.#close(watermarkMs);
    return this.#output.take();
  }

  byteSize(): number {
    let size = this.#keys.byteSize() + this.#starts.length * 40;
    for (const accumulator of this.#accumulators) size += accumulator.byteSize(this.#starts.length);
    return size;
  }

  /** All sessions as data. */
  contents(): StateGroups[] {
    const slots = rowNumbers(this.#slotCount).filter((slot) => this.#sequences[slot] !== -1);
    return [
      {
        keys: this.#keys,
        accumulators: this.#accumulators,
        groups: slots,
        keyRows: slots.map((slot) => this.#keyOf[slot]!),
        startMs: (index) => this.#starts[slots[index]!]!,
        endMs: (index) => this.#ends[slots[index]!]!,
      },
    ];
  }

  changes(): StateChanges | null {
    if (this.#savedKeys < 0) return null;
    const added = this.#slotCount - this.#unsaved.savedCount;
    return { changed: this.#unsaved.count() + added, total: this.#slotCount };
  }

  /** Slots are written with those that are free; lists by key, free slots and heap follow. */
  save(to: ColumnWriter, kind: SnapshotKind): void {
    const isDelta = kind === 'delta';
    const keysFrom = isDelta ? this.#savedKeys : 0;
    const slotsFrom = isDelta ? this.#unsaved.savedCount : 0;
    const rows = isDelta ? this.#unsaved.list(this.#slotCount) : null;
    to.numbers(this.#sequence);
    to.counts(keysFrom, this.#keys.count, slotsFrom, this.#slotCount);
    this.#keys.saveKeys(to, keysFrom);
    to.i32(rows === null ? new Int32Array(0) : rows.changed);
    const slots = rows === null ? firstRows(this.#slotCount) : listedRows(rows.all);
    for (const times of [this.#starts, this.#ends, this.#sequences]) {
      to.f64(pickFloats(times, slots));
    }
    to.i32(pickInts(this.#keyOf, slots));
    for (const accumulator of this.#accumulators) accumulator.save(to, slots);
    this.#unsaved.reset(this.#slotCount);
    this.#savedKeys = this.#keys.count;
  }

  load(from: ColumnReader, kind: SnapshotKind): void {
    this.#sequence = from.f64(1)[0]!;
    const [keysFrom, keys, slotsFrom, slots] = from.i32(4) as unknown as Counts;
    const isNext = keysFrom === this.#keys.count && slotsFrom === this.#slotCount;
    if (!isNext) throw damagedState(`sessions of a ${kind} have other numbers of keys and slots`);
    from.expectRows(keys - keysFrom);
    from.expectRows(slots - slotsFrom);
    this.#keys.loadKeys(from, keys - keysFrom);
    const changed = from.rows(slotsFrom);
    const added = slots - slotsFrom;
    const rows =
      slotsFrom === 0 ? firstRows(added) : listedRows(withNewRows(changed, slotsFrom, added));
    const [starts, ends, sequences] = [0, 1, 2].map(() => from.f64(rows.count));
    const keyOf = from.i32(rows.count);
    while (this.#starts.length < slots) this.#growSlots();
    putValues(this.#starts, rows, starts!);
    putValues(this.#ends, rows, ends!);
    putValues(this.#sequences, rows, sequences!);
    putValues(this.#keyOf, rows, keyOf);
    for (const accumulator of this.#accumulators) accumulator.load(from, rows);
    this.#slotCount = slots;
    this.#unsaved.reset(slots);
    this.#savedKeys = keys;
  }

  settle(): void {
    this.#heads = new Int32Array(Math.max(16, this.#keys.count * 2));
    this.#liveKeys = 0;
    this.#freeSlots = [];
    this.#closings = new ClosingHeap();
    for (let slot = 0; slot < this.#slotCount; slot++) {
      const sequence = this.#sequences[slot]!;
      if (sequence === -1) {
        this.#freeSlots.push(slot);
        continue;
      }
      const key = this.#keyOf[slot]!;
      if (key < 0 || key >= this.#keys.count) throw damagedState('a session has no key');
      this.#link(key, slot);
      this.#closings.add(this.#ends[slot]!, sequence, slot);
    }
    this.#closings.order();
  }

  /** Takes over the sessions of another partition whose keys have a hash that is wanted. */
  absorb(other: SessionState, isWanted: (hash: number) => boolean): void {
    const keys = other.#keys;
    const isTaken = (slot: number): boolean =>
      other.#sequences[slot] !== -1 && isWanted(keys.hashes[other.#keyOf[slot]!]!);
    const from = rowNumbers(other.#slotCount).filter(isTaken);
    from.sort((a, b) => other.#sequences[a]! - other.#sequences[b]!);
    const groups = new Int32Array(from.length);
    const keyRows = from.map((slot) => other.#keyOf[slot]!);
    this.#keys.upsert(keys.keyVectors(), keys.hashes, keyRows, groups);
    const slots = from.map((slot, index) => {
      const key = groups[index]!;
      if (key >= this.#heads.length) this.#growHeads(key);
      return this.#open(key, other.#starts[slot]!, other.#ends[slot]!);
    });
    mergeAccumulators(this.#accumulators, other.#accumulators, { from, groups: slots });
  }

  /** Puts the slot into its key's list, youngest first. */
  #link(key: number, slot: number): void {
    if (this.#heads[key] === 0) this.#liveKeys++;
    let before = -1;
    let next = this.#heads[key]!;
    while (next !== 0 && this.#sequences[next - 1]! > this.#sequences[slot]!) {
      before = next - 1;
      next = this.#next[before]!;
    }
    this.#next[slot] = next;
    if (before < 0) this.#heads[key] = slot + 1;
    else this.#next[before] = slot + 1;
  }

  /** The session that holds [start, end) from now on; sessions that it connects become one. */
  #join(key: number, partial: { start: number; end: number; columns: readonly Vector[] }): number {
    const { start, end } = partial;
    if (key >= this.#heads.length) this.#growHeads(key);
    let target = -1;
    let merges: number[] | null = null;
    for (let slot = this.#heads[key]! - 1; slot >= 0; slot = this.#next[slot]! - 1) {
      if (this.#starts[slot]! >= end || start >= this.#ends[slot]!) continue;
      if (target < 0) target = slot;
      else (merges ??= [target]).push(slot);
    }
    if (target < 0) return this.#open(key, start, end);
    if (merges !== null) target = this.#mergeSessions(key, merges, partial.columns);
    if (start < this.#starts[target]!) this.#starts[target] = start;
    if (end > this.#ends[target]!) this.#ends[target] = end;
    return target;
  }

  #open(key: number, start: number, end: number): number {
    const slot = this.#freeSlots.pop() ?? this.#slotCount++;
    if (slot >= this.#starts.length) this.#growSlots();
    if (this.#heads[key] === 0) this.#liveKeys++;
    this.#starts[slot] = start;
    this.#ends[slot] = end;
    this.#sequences[slot] = this.#sequence++;
    this.#keyOf[slot] = key;
    this.#next[slot] = this.#heads[key]!;
    this.#heads[key] = slot + 1;
    this.#closings.push(end, this.#sequences[slot]!, slot);
    return slot;
  }

  /** Merges sessions of one key into the oldest of them, in order of creation. */
  #mergeSessions(key: number, slots: readonly number[], columns: readonly Vector[]): number {
    this.#foldPending(columns);
    const ordered = slots.toSorted((a, b) => this.#sequences[a]! - this.#sequences[b]!);
    const target = ordered[0]!;
    for (const slot of ordered.slice(1)) {
      mergeAccumulators(this.#accumulators, this.#accumulators, {
        from: Int32Array.of(slot),
        groups: Int32Array.of(target),
      });
      this.#starts[target] = Math.min(this.#starts[target]!, this.#starts[slot]!);
      this.#ends[target] = Math.max(this.#ends[target]!, this.#ends[slot]!);
      this.#drop(key, slot);
    }
    return target;
  }

  #foldPending(columns: readonly Vector[]): void {
    if (this.#pendingRows.length === 0) return;
    const rows = Int32Array.from(this.#pendingRows);
    const groups = Int32Array.from(this.#pendingSlots);
    foldPartials(this.#accumulators, columns, { rows, groups });
    this.#pendingRows = [];
    this.#pendingSlots = [];
  }

  #drop(key: number, slot: number): void {
    if (this.#heads[key] === slot + 1) {
      this.#heads[key] = this.#next[slot]!;
      if (this.#heads[key] === 0) this.#liveKeys--;
    } else {
      let before = this.#heads[key]! - 1;
      while (this.#next[before] !== slot + 1) before = this.#next[before]! - 1;
      this.#next[before] = this.#next[slot]!;
    }
    for (const accumulator of this.#accumulators) accumulator.clearGroup(slot);
    this.#sequences[slot] = -1;
    this.#unsaved.markOne(slot);
    this.#freeSlots.push(slot);
  }

  #close(watermarkMs: number): void {
    const closed: number[] = [];
    while (this.nextCloseMs <= watermarkMs && this.#closings.size > 0) {
      const { endMs: expectedMs, sequence, slot } = this.#closings;
      this.#closings.pop();
      if (this.#sequences[slot] !== sequence) continue;
      const endMs = this.#ends[slot]!;
      if (endMs > expectedMs) this.#closings.push(endMs, sequence, slot);
      else closed.push(slot);
    }
    this.#emit(closed);
    for (const slot of closed) this.#drop(this.#keyOf[slot]!, slot);
    this.#compactKeys();
  }

  #emit(slots: number[]): void {
    slots.sort((a, b) => {
      return this.#ends[a]! - this.#ends[b]! || this.#sequences[a]! - this.#sequences[b]!;
    });
    const groups = Int32Array.from(slots);
    const bounds = [this.#starts, this.#ends].map((times): Vector => {
      return {
        kind: 'number',
        values: Float64Array.from(slots, (slot) => times[slot]!),
        valid: null,
      };
    });
    const keyRows = Int32Array.from(slots, (slot) => this.#keyOf[slot]!);
    this.#output.emitRows(this.#keys, this.#accumulators, { groups, keyRows, bounds });
  }

  /** Drops keys that have no session left, when they are most of the table. */
  #compactKeys(): void {
    const old = this.#keys;
    if (old.count < keysCompactMin || this.#liveKeys * deadKeysRatio > old.count) return;
    const live: number[] = [];
    for (let key = 0; key < old.count; key++) if (this.#heads[key] !== 0) live.push(key);
    const rows = Int32Array.from(live);
    const groups = new Int32Array(live.length);
    this.#keys = new GroupTable(keyFieldsOf(this.#options.aggregate), []);
    this.#savedKeys = -1;
    this.#keys.upsert(old.keyVectors(), old.hashes, rows, groups);
    const heads = new Int32Array(Math.max(16, live.length * 2));
    for (let index = 0; index < live.length; index++) {
      heads[groups[index]!] = this.#heads[live[index]!]!;
      for (let slot = heads[groups[index]!]! - 1; slot >= 0; slot = this.#next[slot]! - 1) {
        this.#keyOf[slot] = groups[index]!;
      }
    }
    this.#heads = heads;
  }

  #growHeads(key: number): void {
    const heads = new Int32Array((key + 1) * 2);
    heads.set(this.#heads);
    this.#heads = heads;
  }

  #growSlots(): void {
    const capacity = Math.max(16, this.#starts.length * 2);
    const copyFloats = (values: Float64Array): Float64Array<ArrayBuffer> => {
      const more = new Float64Array(capacity);
      more.set(values);
      return more;
    };
    const copyInts = (values: Int32Array): Int32Array<ArrayBuffer> => {
      const more = new Int32Array(capacity);
      more.set(values);
      return more;
    };
    this.#starts = copyFloats(this.#starts);
    this.#ends = copyFloats(this.#ends);
    this.#sequences = copyFloats(this.#sequences);
    this.#next = copyInts(this.#next);
    this.#keyOf = copyInts(this.#keyOf);
    for (const accumulator of this.#accumulators) accumulator.grow(capacity);
  }
}

type Counts = readonly [keysFrom: number, keys: number, slotsFrom: number, slots: number];
