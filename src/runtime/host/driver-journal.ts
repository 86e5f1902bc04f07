// What a driver must know of the one before it that no checkpoint holds: the newest placement that
// may have been published, for whoever works by an older one has missed a decision; and in which
// micro-batch all sources were to end, for some may have.

import { JsonField } from '../../control/storage/json-fields.ts';
import type { BatchNumber, PlacementVersion } from '../../control/protocol/ids.ts';
import { noBatch } from '../../control/protocol/ids.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import type { JournalOptions } from '../storage/journal.ts';
import { Journal } from '../storage/journal.ts';

type Entry = {
  readonly history: string;
  readonly placement: PlacementVersion;
  readonly drainAt: BatchNumber;
};

export class DriverJournal {
  readonly #journal: Journal;
  #entry: Entry | null;

  private constructor(journal: Journal) {
    this.#journal = journal;
    this.#entry = readEntry(journal.found);
  }

  /** From here on no driver of a lesser term can write. Rejects with `fenced`. */
  static async open(store: BlobStore, options: JournalOptions): Promise<DriverJournal> {
    return new DriverJournal(await Journal.open(store, options));
  }

  /** What is journaled from now on is of this history; what was found counts if it is, too. */
  follow(history: string): void {
    if (this.#entry?.history === history) return;
    this.#entry = { history, placement: -1 as PlacementVersion, drainAt: noBatch };
  }

  /** The newest placement that may have been published; -1: none. */
  get published(): PlacementVersion {
    return this.#entry?.placement ?? (-1 as PlacementVersion);
  }

  /** The micro-batch in which all sources were to end; -1: none. */
  get drainAt(): BatchNumber {
    return this.#entry?.drainAt ?? noBatch;
  }

  /** Rejects with `fenced` when another driver has taken over. */
  assertOwn(): Promise<void> {
    return this.#journal.assertOwn();
  }

  /** Rejects with `fenced` when another driver has taken over. */
  writePlacement(placement: PlacementVersion, drainAt: BatchNumber): Promise<void> {
    return this.#write({ placement, drainAt });
  }

  /** Rejects with `fenced` when another driver has taken over. */
  writeDrain(drainAt: BatchNumber): Promise<void> {
    return this.#write({ drainAt });
  }

  #write(change: Partial<Entry>): Promise<void> {
    this.#entry = { ...this.#entry!, ...change };
    return this.#journal.write(this.#entry);
  }
}

function readEntry(body: JsonValue): Entry | null {
  if (body === null) return null;
  const from = new JsonField(body);
  return {
    history: from.get('history').text(),
    placement: from.get('placement').whole(-1) as PlacementVersion,
    drainAt: from.get('drainAt').whole(-1) as BatchNumber,
  };
}
