// One write at a time: what is appended while one is under way goes into the next together, so that
// a slow log costs latency and not throughput.

type Waiting<Item> = {
  readonly items: readonly Item[];
  readonly settled: PromiseWithResolvers<void>;
};

export type AppendQueueOptions<Item> = {
  /** Never called while an earlier call is under way. */
  readonly write: (items: readonly Item[]) => Promise<void>;
  /** After such an error nothing more is written, and every append rejects with it. */
  readonly isFinal: (error: unknown) => boolean;
  /** What an append after `close` rejects with. */
  readonly closed: () => Error;
};

export class AppendQueue<Item> {
  readonly #options: AppendQueueOptions<Item>;
  #waiting: Waiting<Item>[] = [];
  #draining: Promise<void> | null = null;
  #end: unknown = null;

  constructor(options: AppendQueueOptions<Item>) {
    this.#options = options;
  }

  append(items: readonly Item[]): Promise<void> {
    if (this.#end !== null) return Promise.reject(this.#end);
    const settled = Promise.withResolvers<void>();
    this.#waiting.push({ items, settled });
    this.#draining ??= this.#drain();
    return settled.promise;
  }

  async close(): Promise<void> {
    this.#end ??= this.#options.closed();
    await this.#draining;
  }

  async #drain(): Promise<void> {
    const { write, isFinal } = this.#options;
    // Appends of one turn of the event loop go together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await write(batch.flatMap(({ items }) => items));
        for (const { settled } of batch) settled.resolve();
      } catch (error) {
        const final = isFinal(error);
        if (final) this.#end = error;
        const failed = final ? [...batch, ...this.#waiting.splice(0)] : batch;
        for (const { settled } of failed) settled.reject(error);
      }
    }
    this.#draining = null;
  }
}
