// The driver's journal over a real store. Writes come one after the other, with a pause between
// two; of what is given meanwhile only the last is written, since each holds everything.

import { setTimeout as pause } from 'node:timers/promises';
import type { OpenJournal } from '../../control/storage/journal-script.ts';
import { openJournal, writeJournal } from '../../control/storage/journal-script.ts';
import { pipelineKeys } from '../../control/storage/pipeline-keys.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import { runStoreScript } from './run-script.ts';

/** Least time between the starts of two writes, ms: a store bills and bounds each. */
const writeIntervalMs = 20;

export type JournalOptions = {
  readonly pipeline: string;
  readonly term: number;
  readonly holder: string;
};

export class Journal {
  /** What the journal said when it was opened: the predecessor's last word. Null: nothing. */
  readonly found: JsonValue;
  readonly #store: BlobStore;
  readonly #key: string;
  readonly #holder: string;
  #open: OpenJournal;
  #next: { readonly body: JsonValue; readonly written: PromiseWithResolvers<void> } | null = null;
  #draining: Promise<void> | null = null;
  #lastStartMs = -Infinity;

  private constructor(
    store: BlobStore,
    at: { readonly key: string; readonly holder: string },
    open: OpenJournal,
  ) {
    this.#store = store;
    this.#key = at.key;
    this.#holder = at.holder;
    this.#open = open;
    this.found = open.body;
  }

  /** Fences every journal of a lesser term; rejects with `fenced` if there is a greater one. */
  static async open(store: BlobStore, options: JournalOptions): Promise<Journal> {
    const { pipeline, term, holder } = options;
    const key = pipelineKeys(pipeline).journal;
    const open = await runStoreScript(store, openJournal(key, { term, holder }));
    return new Journal(store, { key, holder }, open);
  }

  /** Resolves when this, or something newer, is durable; rejects with `fenced`. */
  write(body: JsonValue): Promise<void> {
    const written = this.#next?.written ?? Promise.withResolvers<void>();
    this.#next = { body, written };
    this.#draining ??= this.#drain();
    return written.promise;
  }

  /** Rejects with `fenced` when another driver has opened it since. */
  async assertOwn(): Promise<void> {
    const driver = { term: this.#open.term, holder: this.#holder };
    await runStoreScript(this.#store, openJournal(this.#key, driver));
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    await this.#draining;
  }

  async #drain(): Promise<void> {
    while (this.#next !== null) {
      const waitMs = this.#lastStartMs + writeIntervalMs - performance.now();
      if (waitMs > 0) await pause(waitMs);
      const next = this.#next;
      this.#next = null;
      this.#lastStartMs = performance.now();
      try {
        const open = { ...this.#open, holder: this.#holder };
        this.#open = await runStoreScript(this.#store, writeJournal(this.#key, open, next.body));
        next.written.resolve();
      } catch (error) {
        next.written.reject(error);
      }
    }
    this.#draining = null;
  }
}
