// Several range logs as one: runs of one host write to files, runs of many to the store or to a
// topic, and a history may go on as any of them. New ranges go to one; what was logged is read from
// all.

import { mergeRanges } from '../../control/storage/merge-ranges.ts';
import { sameRange } from '../../control/storage/range-frame.ts';
import type { LoggedRange, RangeLog, RangeLogWriter } from '../../ports/range-log.ts';

export class JoinedRangeLog implements RangeLog {
  readonly description: string;
  readonly #written: RangeLog;
  readonly #others: readonly RangeLog[];

  constructor(written: RangeLog, others: readonly RangeLog[]) {
    this.#written = written;
    this.#others = others;
    this.description = written.description;
  }

  writer(name: string, term: number): RangeLogWriter {
    return this.#written.writer(name, term);
  }

  async fence(term: number): Promise<void> {
    await Promise.all(this.#all.map((log) => log.fence(term)));
  }

  /** A writer of another kind was one of an earlier run. */
  async seal(writer: string): Promise<void> {
    await this.#written.seal(writer);
    for (const other of this.#others) {
      if ((await other.writers()).includes(writer)) await other.seal(writer);
    }
  }

  async read(afterBatch: number): Promise<readonly LoggedRange[]> {
    const [written, ...others] = await Promise.all(this.#all.map((log) => log.read(afterBatch)));
    if (others.every((ranges) => ranges.length === 0)) return written!;
    return mergeRanges([...written!, ...others.flat()], afterBatch, sameRange);
  }

  async keepUp(afterBatch: number): Promise<void> {
    await Promise.all(this.#all.map((log) => log.keepUp(afterBatch)));
  }

  async writers(): Promise<readonly string[]> {
    const names = await Promise.all(this.#all.map((log) => log.writers()));
    return [...new Set(names.flat())];
  }

  async release(throughBatch: number): Promise<void> {
    for (const log of this.#all) await log.release(throughBatch);
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((log) => log.close?.()));
  }

  get #all(): readonly RangeLog[] {
    return [this.#written, ...this.#others];
  }
}
