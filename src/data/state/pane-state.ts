// Keyed state of tumbling, hopping and global windows: a table of groups for each pane, so that
// closing a window touches that window's panes only and dropping one is dropping a table. Panes are
// shared by the hopping windows that hold them and merged when a window closes
// (Li et al., "No pane, no gain", 2005).

import type { Batch, Vector } from '../columnar/batch.ts';
import { hashRows } from '../shuffle/hash.ts';
import type { ColumnReader } from '../snapshot/column-reader.ts';
import type { ColumnWriter } from '../snapshot/column-writer.ts';
import { firstRows, listedRows, rowNumbers, withNewRows } from '../snapshot/row-set.ts';
import { damagedState } from '../snapshot/snapshot-errors.ts';
import { sectionKinds } from '../snapshot/snapshot-file.ts';
import type { SnapshotKind } from '../snapshot/snapshot-file.ts';
import { ChangedRows } from './changed-rows.ts';
import { foldPartials, mergeAccumulators } from './fold-partials.ts';
import type { GroupTable } from './group-table.ts';
import { keyedTable } from './keyed-table.ts';
import type { KeyedStateOptions } from './keyed-table.ts';
import type { StateChanges, StateGroups } from './state-part.ts';
import { lastWindowEnd, paneLayout, windowsOfPane } from './window-panes.ts';
import type { PaneLayout } from './window-panes.ts';
import { WindowOutput } from './window-output.ts';

/** Tables that grew beyond this are left to the garbage collector: bursts end. */
const spareCapacityMax = 1 << 16;

type Pane = {
  readonly start: number;
  readonly table: GroupTable;
  /** Groups changed in this micro-batch, each once; only kept for emit `update`. */
  readonly changed: Set<number>;
  /** Groups changed since the last snapshot. */
  readonly unsaved: ChangedRows;
};

export class PaneState {
  readonly section = sectionKinds.windows;
  readonly #options: KeyedStateOptions;
  readonly #layout: PaneLayout;
  readonly #allowedMs: number;
  readonly #keyCount: number;
  readonly #isGlobal: boolean;
  readonly #emitsUpdates: boolean;
  readonly #panes = new Map<number, Pane>();
  readonly #output: WindowOutput;
  readonly #spareTables: GroupTable[] = [];
  /** Windows that end up to here, lateness included, are closed. */
  #closedMs = -Infinity;
  /** Earliest watermark at which a window closes. */
  nextCloseMs = Infinity;
  #hashes = new Int32Array(0);
  /** Starts of the panes in the last snapshot; null: there was none. */
  #saved: Float64Array | null = null;

  constructor(options: KeyedStateOptions) {
    const { window, allowedLatenessMs, keys, emit } = options.aggregate;
    if (window.kind === 'session') throw new TypeError('sessions have no panes');
    this.#options = options;
    this.#layout = paneLayout(window);
    this.#allowedMs = allowedLatenessMs;
    this.#keyCount = keys.length;
    this.#isGlobal = window.kind === 'global';
    this.#emitsUpdates = emit === 'update';
    this.#output = new WindowOutput(options.schema, keys.length);
  }

  /** Adds partials and gives the number of rows behind those that came too late. */
  fold(partials: Batch, watermarkBeforeMs: number): number {
    const { rowCount, vectors } = partials;
    const keys = vectors.slice(0, this.#keyCount);
    if (this.#hashes.length < rowCount) this.#hashes = new Int32Array(rowCount * 2);
    hashRows(keys, rowCount, this.#hashes);
    const rowsAt = this.#keyCount + (this.#isGlobal ? 0 : 1);
    const accumulators = vectors.slice(rowsAt + 1);
    let late = 0;
    for (const [start, rows] of this.#rowsByPane(partials)) {
      if (this.#isLate(start, watermarkBeforeMs)) {
        const counts = vectors[rowsAt] as Extract<Vector, { kind: 'number' }>;
        for (const row of rows) late += counts.values[row]!;
      } else {
        this.#foldPane(this.#pane(start), { keys, accumulators, rows });
      }
    }
    return late;
  }

  /** Closes windows and gives the rows that leave, or null. */
  finish(watermarkMs: number): Batch | null {
    if (this.#emitsUpdates) this.#emitUpdates();
    if (watermarkMs >= this.nextCloseMs) this.#close(watermarkMs);
    // Also without a window to close: one that a late row would open again is closed all the same.
    this.#closedMs = watermarkMs;
    return this.#output.take();
  }

  byteSize(): number {
    let size = 0;
    for (const { table } of this.#panes.values()) size += table.byteSize();
    return size;
  }

  /** All groups as data, pane by pane. */
  contents(): StateGroups[] {
    return Array.from(this.#panes.values(), ({ start, table }): StateGroups => {
      const groups = rowNumbers(table.count);
      const startMs = this.#isGlobal ? null : start;
      const endMs = this.#isGlobal ? null : start + this.#layout.paneMs;
      return {
        keys: table,
        accumulators: table.accumulators,
        groups,
        keyRows: groups,
        startMs: () => startMs,
        endMs: () => endMs,
      };
    });
  }

  changes(): StateChanges | null {
    if (this.#saved === null) return null;
    let changed = this.#goneSince(this.#saved).length;
    let total = 0;
    for (const { table, unsaved } of this.#panes.values()) {
      changed += unsaved.count() + table.count - Math.max(0, unsaved.savedCount);
      total += table.count;
    }
    return { changed, total };
  }

  save(to: ColumnWriter, kind: SnapshotKind): void {
    const panes = [...this.#panes.values()];
    const isDelta = kind === 'delta';
    const written = isDelta ? panes.filter(isChanged) : panes;
    const from = written.map(({ unsaved }) => (isDelta ? Math.max(0, unsaved.savedCount) : 0));
    to.numbers(this.#closedMs);
    to.f64(isDelta ? this.#goneSince(this.#saved!) : new Float64Array(0));
    to.f64(Float64Array.from(written, ({ start }) => start));
    to.i32(Int32Array.from(from));
    to.i32(Int32Array.from(written, ({ table }) => table.count));
    written.forEach((pane, index) => savePane(to, pane, from[index]!));
    for (const { table, unsaved } of written) unsaved.reset(table.count);
    this.#saved = Float64Array.from(this.#panes.keys());
  }

  load(from: ColumnReader, kind: SnapshotKind): void {
    this.#closedMs = from.f64(1)[0]!;
    for (const start of from.f64()) {
      if (!this.#panes.delete(start)) throw damagedState('a pane is dropped that is not there');
    }
    const starts = from.f64();
    const before = from.i32(starts.length);
    const counts = from.i32(starts.length);
    starts.forEach((start, index) => {
      const pane = this.#panes.get(start) ?? this.#addPane(start);
      if (pane.table.count !== before[index]!) {
        throw damagedState(`a pane of a ${kind} has another number of groups`);
      }
      from.expectRows(counts[index]! - before[index]!);
      loadPane(from, pane, counts[index]! - before[index]!);
    });
    this.#saved = Float64Array.from(this.#panes.keys());
  }

  settle(): void {
    this.nextCloseMs = Infinity;
    for (const start of this.#panes.keys()) this.#expectCloses(start);
  }

  /** Takes over the groups of another partition whose keys have a hash that is wanted. */
  absorb(other: PaneState, isWanted: (hash: number) => boolean): void {
    this.#closedMs = other.#closedMs;
    for (const { start, table } of other.#panes.values()) {
      const groups = rowNumbers(table.count).filter((group) => isWanted(table.hashes[group]!));
      if (groups.length > 0) mergeTable(this.#pane(start).table, table, groups);
    }
  }

  /** Starts of panes that are not there any more; what would open one again is late. */
  #goneSince(saved: Float64Array): Float64Array {
    return saved.filter((start) => !this.#panes.has(start));
  }

  #isLate(pane: number, watermarkMs: number): boolean {
    return lastWindowEnd(this.#layout, pane) + this.#allowedMs <= watermarkMs;
  }

  /** Rows of each pane, in order of the panes' first rows. */
  #rowsByPane(partials: Batch): [number, Int32Array][] {
    const { rowCount } = partials;
    if (this.#isGlobal) return [[0, rowNumbers(rowCount)]];
    const { values } = partials.vectors[this.#keyCount] as Extract<Vector, { kind: 'number' }>;
    let isOne = true;
    for (let row = 1; row < rowCount && isOne; row++) isOne = values[row] === values[0];
    if (isOne) return [[values[0]!, rowNumbers(rowCount)]];
    const byPane = new Map<number, number[]>();
    for (let row = 0; row < rowCount; row++) {
      const rows = byPane.get(values[row]!);
      if (rows === undefined) byPane.set(values[row]!, [row]);
      else rows.push(row);
    }
    return Array.from(byPane, ([start, rows]) => [start, Int32Array.from(rows)]);
  }

  #pane(start: number): Pane {
    const known = this.#panes.get(start);
    if (known !== undefined) return known;
    const pane = this.#addPane(start);
    this.#expectCloses(start);
    return pane;
  }

  #addPane(start: number): Pane {
    const table = this.#spareTables.pop() ?? keyedTable(this.#options);
    const pane = { start, table, changed: new Set<number>(), unsaved: new ChangedRows() };
    this.#panes.set(start, pane);
    return pane;
  }

  /** The windows that hold the pane are to be closed. */
  #expectCloses(start: number): void {
    for (const window of windowsOfPane(this.#layout, start)) {
      const closeMs = this.#closeMs(window);
      if (closeMs > this.#closedMs && closeMs < this.nextCloseMs) this.nextCloseMs = closeMs;
    }
  }

  #foldPane(pane: Pane, input: PaneInput): void {
    const { table, changed, unsaved } = pane;
    const groups = new Int32Array(input.rows.length);
    table.upsert(input.keys, this.#hashes, input.rows, groups);
    foldPartials(table.accumulators, input.accumulators, { rows: input.rows, groups });
    unsaved.mark(groups);
    if (this.#emitsUpdates) for (const group of groups) changed.add(group);
  }

  #closeMs(window: number): number {
    return this.#isGlobal ? Infinity : window + this.#layout.sizeMs + this.#allowedMs;
  }

  #close(watermarkMs: number): void {
    const due = new Set<number>();
    this.nextCloseMs = Infinity;
    for (const pane of this.#panes.keys()) {
      for (const window of windowsOfPane(this.#layout, pane)) {
        const closeMs = this.#closeMs(window);
        if (closeMs <= this.#closedMs) continue;
        if (closeMs <= watermarkMs) due.add(window);
        else if (closeMs < this.nextCloseMs) this.nextCloseMs = closeMs;
      }
    }
    if (!this.#emitsUpdates) {
      for (const window of [...due].sort((a, b) => a - b)) this.#emitWindow(window);
    }
    this.#dropPanes(watermarkMs);
  }

  /** Windows that hold one of the panes and are not closed, in order of their ends. */
  #openWindows(panes: readonly number[]): number[] {
    const windows = new Set<number>();
    for (const pane of panes) {
      for (const window of windowsOfPane(this.#layout, pane)) {
        if (this.#closeMs(window) > this.#closedMs) windows.add(window);
      }
    }
    return [...windows].sort((a, b) => a - b);
  }

  #dropPanes(watermarkMs: number): void {
    for (const { start, table } of this.#panes.values()) {
      if (!this.#isLate(start, watermarkMs)) continue;
      this.#panes.delete(start);
      this.#release(table);
    }
  }

  #panesOf(window: number): Pane[] {
    if (this.#layout.paneMs === this.#layout.sizeMs) {
      const pane = this.#panes.get(window);
      return pane === undefined ? [] : [pane];
    }
    const panes: Pane[] = [];
    const end = window + this.#layout.sizeMs;
    for (let start = window; start < end; start += this.#layout.paneMs) {
      const pane = this.#panes.get(start);
      if (pane !== undefined) panes.push(pane);
    }
    return panes;
  }

  #emitWindow(window: number): void {
    const panes = this.#panesOf(window);
    if (panes.length === 1) {
      const { table } = panes[0]!;
      this.#output.emitWindow(table, rowNumbers(table.count), this.#bounds(window));
      return;
    }
    const merged = this.#spareTables.pop() ?? keyedTable(this.#options);
    for (const { table } of panes) mergeTable(merged, table, rowNumbers(table.count));
    this.#output.emitWindow(merged, rowNumbers(merged.count), this.#bounds(window));
    this.#release(merged);
  }

  #emitUpdates(): void {
    const changed = [...this.#panes.values()].filter((pane) => pane.changed.size > 0);
    if (changed.length === 0) return;
    for (const window of this.#openWindows(changed.map((pane) => pane.start))) {
      const panes = this.#panesOf(window);
      if (panes.length === 1) {
        const groups = Int32Array.from(panes[0]!.changed).sort();
        this.#output.emitWindow(panes[0]!.table, groups, this.#bounds(window));
      } else {
        this.#emitMergedUpdate(window, panes);
      }
    }
    for (const pane of changed) pane.changed.clear();
  }

  /** The groups that changed in any of the window's panes, merged over all of them. */
  #emitMergedUpdate(window: number, panes: readonly Pane[]): void {
    const keys = this.#spareTables.pop() ?? keyedTable(this.#options);
    for (const { table, changed } of panes) {
      const groups = Int32Array.from(changed).sort();
      keys.upsert(table.keyVectors(), table.hashes, groups, new Int32Array(groups.length));
    }
    for (const { table } of panes) {
      const from: number[] = [];
      const wanted = keys.keyVectors();
      for (let group = 0; group < keys.count; group++) {
        const found = table.find(wanted, keys.hashes[group]!, group);
        if (found >= 0) from.push(found);
      }
      mergeTable(keys, table, Int32Array.from(from));
    }
    this.#output.emitWindow(keys, rowNumbers(keys.count), this.#bounds(window));
    this.#release(keys);
  }

  #bounds(window: number): { readonly start: number; readonly end: number } | null {
    return this.#isGlobal ? null : { start: window, end: window + this.#layout.sizeMs };
  }

  #release(table: GroupTable): void {
    if (this.#spareTables.length >= 2 || table.capacity > spareCapacityMax) return;
    table.clear();
    this.#spareTables.push(table);
  }
}

type PaneInput = {
  readonly keys: readonly Vector[];
  readonly accumulators: readonly Vector[];
  readonly rows: Int32Array;
};

function isChanged({ table, unsaved }: Pane): boolean {
  return table.count > unsaved.savedCount || unsaved.count() > 0;
}

/** Which of the first `from` groups have changed, keys of those behind, accumulators of both. */
function savePane(to: ColumnWriter, { table, unsaved }: Pane, from: number): void {
  const rows = from > 0 ? unsaved.list(table.count) : null;
  to.i32(rows === null ? new Int32Array(0) : rows.changed);
  table.saveKeys(to, from);
  const groups = rows === null ? firstRows(table.count) : listedRows(rows.all);
  for (const accumulator of table.accumulators) accumulator.save(to, groups);
}

function loadPane(from: ColumnReader, { table, unsaved }: Pane, added: number): void {
  const before = table.count;
  const changed = from.rows(before);
  table.loadKeys(from, added);
  const groups = before === 0 ? firstRows(added) : listedRows(withNewRows(changed, before, added));
  for (const accumulator of table.accumulators) accumulator.load(from, groups);
  unsaved.reset(table.count);
}

/** Merges groups of one table into another by key. */
function mergeTable(into: GroupTable, from: GroupTable, groups: Int32Array): void {
  const target = new Int32Array(groups.length);
  into.upsert(from.keyVectors(), from.hashes, groups, target);
  mergeAccumulators(into.accumulators, from.accumulators, { from: groups, groups: target });
}
