// Keyed state of tumbling, hopping and global windows: a table of groups for each pane, so that
// closing a window touches that window's panes only and dropping one is dropping a table. Panes are
// shared by the hopping windows that hold them and merged when a window closes
// (Li et al., "No pane, no gain", 2005).

import type { Batch, Vector } from '../columnar/batch.ts';
import { hashRows } from '../shuffle/hash.ts';
import { foldPartials, mergeAccumulators } from './fold-partials.ts';
import type { GroupTable } from './group-table.ts';
import { keyedTable } from './keyed-table.ts';
import type { KeyedStateOptions } from './keyed-table.ts';
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
};

export class PaneState {
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

  #isLate(pane: number, watermarkMs: number): boolean {
    return lastWindowEnd(this.#layout, pane) + this.#allowedMs <= watermarkMs;
  }

  /** Rows of each pane, in order of the panes' first rows. */
  #rowsByPane(partials: Batch): [number, Int32Array][] {
    const { rowCount } = partials;
    if (this.#isGlobal) return [[0, firstRows(rowCount)]];
    const { values } = partials.vectors[this.#keyCount] as Extract<Vector, { kind: 'number' }>;
    let isOne = true;
    for (let row = 1; row < rowCount && isOne; row++) isOne = values[row] === values[0];
    if (isOne) return [[values[0]!, firstRows(rowCount)]];
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
    const table = this.#spareTables.pop() ?? keyedTable(this.#options);
    const pane = { start, table, changed: new Set<number>() };
    this.#panes.set(start, pane);
    for (const window of windowsOfPane(this.#layout, start)) {
      const closeMs = this.#closeMs(window);
      if (closeMs > this.#closedMs && closeMs < this.nextCloseMs) this.nextCloseMs = closeMs;
    }
    return pane;
  }

  #foldPane(pane: Pane, input: PaneInput): void {
    const { table, changed } = pane;
    const groups = new Int32Array(input.rows.length);
    table.upsert(input.keys, this.#hashes, input.rows, groups);
    foldPartials(table.accumulators, input.accumulators, { rows: input.rows, groups });
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
      this.#output.emitWindow(table, firstRows(table.count), this.#bounds(window));
      return;
    }
    const merged = this.#spareTables.pop() ?? keyedTable(this.#options);
    for (const { table } of panes) mergeTable(merged, table, firstRows(table.count));
    this.#output.emitWindow(merged, firstRows(merged.count), this.#bounds(window));
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
    this.#output.emitWindow(keys, firstRows(keys.count), this.#bounds(window));
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

/** Merges groups of one table into another by key. */
function mergeTable(into: GroupTable, from: GroupTable, groups: Int32Array): void {
  const target = new Int32Array(groups.length);
  into.upsert(from.keyVectors(), from.hashes, groups, target);
  mergeAccumulators(into.accumulators, from.accumulators, { from: groups, groups: target });
}

/** 0, 1, … count - 1. */
function firstRows(count: number): Int32Array {
  const rows = new Int32Array(count);
  for (let row = 0; row < count; row++) rows[row] = row;
  return rows;
}
