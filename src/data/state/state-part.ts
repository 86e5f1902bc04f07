// What every kind of state does so that snapshots can hold it: it writes itself as columns of one
// section, all of it or what changed since it did so last, and takes itself back from them.

import type { ColumnReader } from '../snapshot/column-reader.ts';
import type { ColumnWriter } from '../snapshot/column-writer.ts';
import type { Accumulator } from './accumulator.ts';
import type { GroupTable } from './group-table.ts';
import type { SectionKind, SnapshotKind } from '../snapshot/snapshot-file.ts';

export type StatePart = {
  readonly section: SectionKind;
  /** What a delta would have to write; null: only a base is possible. */
  changes(): StateChanges | null;
  /** Writes the state. The next delta goes on from here. */
  save(to: ColumnWriter, kind: SnapshotKind): void;
  /** Takes what `save` wrote: a base into fresh state, then deltas in order. */
  load(from: ColumnReader, kind: SnapshotKind): void;
  /** All snapshots have been loaded. `sameInputs`: of a stage that is fed as it is now. */
  settle(sameInputs: boolean): void;
};

/** Groups of a table, or sessions, as data. */
export type StateGroups = {
  readonly keys: GroupTable;
  readonly accumulators: readonly Accumulator[];
  /** Of the accumulators. */
  readonly groups: Int32Array;
  /** Groups of the key table, one for each of `groups`. */
  readonly keyRows: Int32Array;
  /** Of the pane or session of groups[index]; null: a global window. */
  readonly startMs: (index: number) => number | null;
  readonly endMs: (index: number) => number | null;
};

export type StateChanges = {
  /** Rows that have changed, are new, or are gone. */
  readonly changed: number;
  /** Rows of a base. */
  readonly total: number;
};
