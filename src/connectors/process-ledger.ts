// The ledger of sinks whose output does not outlive the process either: memory, the console, a
// function, a pipe. A run that resumes in another process finds it empty.

import { assert } from '../base/assert.ts';
import type { SinkContext, SinkRun } from '../ports/sink.ts';
import { fenced, isNewer } from './fenced.ts';

type Entry = { run: SinkRun; writer: ProcessLedgerWriter; batch: number };

export class ProcessLedger {
  /** By sink and partition, of one history. */
  readonly #entries = new Map<string, Entry>();
  #history: string | null = null;

  /** In `prepare`. True: there is output of this very history, or of one that has to stay. */
  keeps({ run }: SinkContext): boolean {
    const nameOf = (history: string): string => JSON.stringify([run.pipeline, history]);
    const history = nameOf(run.history);
    const goesOn = run.resumes && this.#history === history;
    const follows = run.keeps?.some((kept) => this.#history === nameOf(kept)) === true;
    if (!goesOn) this.#entries.clear();
    this.#history = history;
    return goesOn || follows;
  }

  open(partition: number, { name, run }: SinkContext): ProcessLedgerWriter {
    const key = JSON.stringify([name, partition]);
    const before = this.#entries.get(key);
    if (before !== undefined && isNewer(before.run, run)) throw fenced(name, partition);
    const batch = before?.batch ?? -1;
    const writer = new ProcessLedgerWriter({
      committedThrough: batch,
      isCurrent: () => this.#entries.get(key)?.writer === writer,
      advance: (to) => {
        const through = this.#entries.get(key)?.batch ?? -1;
        assert(to > through, 'micro-batches are committed in order, each once');
        this.#entries.set(key, { run, writer, batch: to });
      },
      fail: () => fenced(name, partition),
    });
    this.#entries.set(key, { run, writer, batch });
    return writer;
  }
}

export class ProcessLedgerWriter {
  readonly committedThrough: number;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.committedThrough = parts.committedThrough;
    this.#parts = parts;
  }

  /** Throws when a newer writer has opened. */
  check(): void {
    if (!this.#parts.isCurrent()) throw this.#parts.fail();
  }

  advance(batch: number): void {
    this.check();
    this.#parts.advance(batch);
  }
}

type Parts = {
  readonly committedThrough: number;
  readonly isCurrent: () => boolean;
  readonly advance: (batch: number) => void;
  readonly fail: () => Error;
};
