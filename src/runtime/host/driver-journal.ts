// What a driver must know of the one before it that no checkpoint holds: the newest placement that
// may have been published. Whoever works by an older one has missed a decision.

import { JsonField } from '../../control/storage/json-fields.ts';
import type { PlacementVersion } from '../../control/protocol/ids.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import type { JournalOptions } from '../storage/journal.ts';
import { Journal } from '../storage/journal.ts';

export class DriverJournal {
  readonly #journal: Journal;
  readonly #found: { readonly history: string; readonly placement: number } | null;
  #history: string | null = null;

  private constructor(journal: Journal) {
    this.#journal = journal;
    this.#found = readFound(journal.found);
  }

  /** From here on no driver of a lesser term can write. Rejects with `fenced`. */
  static async open(store: BlobStore, options: JournalOptions): Promise<DriverJournal> {
    return new DriverJournal(await Journal.open(store, options));
  }

  /** What is journaled from now on is of this history; so is what counts of what was found. */
  follow(history: string): void {
    this.#history = history;
  }

  /** -1: none, as far as this history is concerned. */
  get published(): PlacementVersion {
    const found = this.#found;
    const isOwn = found !== null && found.history === this.#history;
    return (isOwn ? found.placement : -1) as PlacementVersion;
  }

  /** Rejects with `fenced` when another driver has taken over. */
  assertOwn(): Promise<void> {
    return this.#journal.assertOwn();
  }

  /** Rejects with `fenced` when another driver has taken over. */
  writePlacement(placement: PlacementVersion): Promise<void> {
    return this.#journal.write({ history: this.#history, placement });
  }
}

function readFound(
  body: JsonValue,
): { readonly history: string; readonly placement: number } | null {
  if (body === null) return null;
  const from = new JsonField(body);
  return { history: from.get('history').text(), placement: from.get('placement').whole() };
}
