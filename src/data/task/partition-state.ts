// The state of one stage partition as snapshots: a base of all its parts, then deltas, each naming
// the snapshot before it. Restoring takes a chain of them and checks every link, so that the next
// delta goes on from there.

import { assert } from '../../base/assert.ts';
import { ColumnWriter } from '../snapshot/column-writer.ts';
import {
  damagedState,
  mismatchedState,
  restoreError,
  unknownState,
} from '../snapshot/snapshot-errors.ts';
import { decodeSnapshot, encodeSnapshot } from '../snapshot/snapshot-file.ts';
import type {
  Section,
  Snapshot,
  SnapshotHeader,
  SnapshotKind,
  SnapshotLink,
} from '../snapshot/snapshot-file.ts';
import { hasSameInputs, stateDifference } from '../snapshot/state-description.ts';
import type { StateDescription } from '../snapshot/state-description.ts';
import type { StatePart } from '../state/state-part.ts';

/** A snapshot of a stage partition; `bytes` are its own. */
export type StateSnapshot = {
  readonly kind: SnapshotKind;
  /** The last micro-batch in it. */
  readonly batch: number;
  readonly bytes: Uint8Array;
};

export type PartitionIdentity = Pick<
  SnapshotHeader,
  'partition' | 'partitionCount' | 'description'
>;

export class PartitionState {
  readonly #identity: PartitionIdentity;
  readonly #parts: readonly StatePart[];
  /** The last snapshot; null: none, or it failed. */
  #link: SnapshotLink | null = null;

  constructor(identity: PartitionIdentity, parts: readonly StatePart[]) {
    this.#identity = identity;
    this.#parts = parts;
  }

  snapshot(batch: number, wanted: SnapshotKind): StateSnapshot {
    const previous = wanted === 'delta' && this.#isDeltaWorthwhile() ? this.#link : null;
    const kind = previous === null ? 'base' : 'delta';
    // If it fails, what the parts have noted as saved is in no snapshot.
    this.#link = null;
    const sections = this.#sections(kind);
    const header = { ...this.#identity, kind, previous } as const;
    const { bytes, link } = encodeSnapshot(header, { batch, code: null }, sections);
    this.#link = link;
    return { kind, batch, bytes };
  }

  /** A base that takes the place of all snapshots so far. */
  compacted(): Uint8Array {
    assert(this.#link !== null, 'there are snapshots');
    const header = { ...this.#identity, kind: 'base', previous: null } as const;
    return encodeSnapshot(header, this.#link, this.#sections('base')).bytes;
  }

  /** The last micro-batch in the last snapshot taken or restored. */
  get batch(): number | null {
    return this.#link === null ? null : this.#link.batch;
  }

  /** Takes a base and deltas into fresh parts and gives the last micro-batch in them. */
  restore(snapshots: readonly Uint8Array[]): number {
    assert(this.#link === null, 'state is restored into a fresh partition');
    assert(snapshots.length > 0, 'there is something to restore');
    const { description, partition } = this.#identity;
    try {
      this.#link = this.#loadAll(snapshots);
    } catch (error) {
      throw restoreError(error, description.operator, partition);
    }
    return this.#link.batch;
  }

  #loadAll(snapshots: readonly Uint8Array[]): SnapshotLink {
    let link: SnapshotLink | null = null;
    let sameInputs = true;
    for (const bytes of snapshots) {
      const snapshot = decodeSnapshot(bytes);
      checkIdentity(snapshot, this.#identity);
      // All are written whole, so the last one counts.
      sameInputs = hasSameInputs(snapshot.description, this.#identity.description);
      checkLink(snapshot, link);
      this.#load(snapshot);
      link = snapshot.link;
    }
    for (const part of this.#parts) part.settle(sameInputs);
    return link!;
  }

  #sections(kind: SnapshotKind): Section[] {
    return this.#parts.map((part) => {
      const columns = new ColumnWriter();
      part.save(columns, kind);
      return { kind: part.section, columns };
    });
  }

  #load({ kind, sections }: Snapshot): void {
    const known = new Set<number>(this.#parts.map(({ section }) => section));
    const foreign = sections.find((section) => !known.has(section.kind));
    if (foreign !== undefined) throw unknownState(`it has a section of kind ${foreign.kind}`);
    for (const part of this.#parts) {
      const section = sections.find((each) => each.kind === part.section);
      if (section === undefined) throw damagedState('a section is missing');
      part.load(section.columns, kind);
      if (!section.columns.isAtEnd) throw damagedState('bytes are left over');
    }
  }

  /** A delta of all rows would not be smaller; whoever keeps deltas may want a base before that. */
  #isDeltaWorthwhile(): boolean {
    let changed = 0;
    let total = 0;
    for (const part of this.#parts) {
      const changes = part.changes();
      if (changes === null) return false;
      changed += changes.changed;
      total += changes.total;
    }
    return changed < total;
  }
}

function checkIdentity(snapshot: SnapshotHeader, own: PartitionIdentity): void {
  const { partition, partitionCount, description } = snapshot;
  const difference = differenceOf(description, own.description);
  if (difference !== null) throw mismatchedState(difference);
  if (partition !== own.partition || partitionCount !== own.partitionCount) {
    const is = `it is that of partition ${partition} of ${partitionCount}`;
    throw mismatchedState(`${is}, not ${own.partition} of ${own.partitionCount}`);
  }
}

function differenceOf(saved: StateDescription, own: StateDescription): string | null {
  try {
    return stateDifference(saved, own);
  } catch (cause) {
    throw damagedState(`its description has another form (${String(cause)})`);
  }
}

function checkLink({ kind, previous }: Snapshot, before: SnapshotLink | null): void {
  if (kind === 'base') {
    if (before !== null) throw damagedState('a base stands where a delta should');
    return;
  }
  if (before === null) throw damagedState('the first snapshot is no base');
  if (previous!.batch !== before.batch || previous!.code !== before.code) {
    throw damagedState(
      `a delta goes on from micro-batch ${previous!.batch}, ` +
        `and the snapshot before it, of ${before.batch}, is another`,
    );
  }
}
