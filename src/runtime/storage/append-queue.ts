// One write at a time: what is appended while one is under way goes into the next together, so that
// a slow log costs latency and not throughput.

import { isFenced, storageError } from '../../control/storage/storage-errors.ts';
import type { LoggedRange } from '../../ports/range-log.ts';

type Waiting = {
  readonly records: readonly LoggedRange[];
  readonly settled: PromiseWithResolvers<void>;
};

export class AppendQueue {
  readonly #write: (records: readonly LoggedRange[]) => Promise<void>;
  readonly #writer: string;
  #waiting: Waiting[] = [];
  #draining: Promise<void> | null = null;
  #end: unknown = null;

  /** `write` is never called while an earlier call is under way. */
  constructor(writer: string, write: (records: readonly LoggedRange[]) => Promise<void>) {
    this.#writer = writer;
    this.#write = write;
  }

  append(records: readonly LoggedRange[]): Promise<void> {
    if (this.#end !== null) return Promise.reject(this.#end);
    const settled = Promise.withResolvers<void>();
    this.#waiting.push({ records, settled });
    this.#draining ??= this.#drain();
    return settled.promise;
  }

  async close(): Promise<void> {
    this.#end ??= storageError({
      code: 'store-failed',
      message: `could not append to the range log as "${this.#writer}": it is closed`,
      hint: 'append before it is closed',
      fields: { writer: this.#writer },
    });
    await this.#draining;
  }

  async #drain(): Promise<void> {
    // Appends of one turn of the event loop go together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#write(batch.flatMap(({ records }) => records));
        for (const { settled } of batch) settled.resolve();
      } catch (error) {
        if (isFenced(error)) this.#end = error;
        const failed = isFenced(error) ? [...batch, ...this.#waiting.splice(0)] : batch;
        for (const { settled } of failed) settled.reject(error);
      }
    }
    this.#draining = null;
  }
}
