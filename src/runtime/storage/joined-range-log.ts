// Two range logs as one: runs of one host write to files, runs of many to the store, and a history
// may go on as either. New ranges go to one of them; what was logged is read from both.

import { mergeRanges } from '../../control/storage/merge-ranges.ts';
import { sameBytes } from '../../control/storage/same-bytes.ts';
import type { LoggedRange, RangeLog, RangeLogWriter } from '../../ports/range-log.ts';

export class JoinedRangeLog implements RangeLog {
  readonly description: string;
  readonly #written: RangeLog;
  readonly #other: RangeLog;

  constructor(written: RangeLog, other: RangeLog) {
    this.#written = written;
    this.#other = other;
    this.description = written.description;
  }

  writer(name: string, term: number): RangeLogWriter {
    return this.#written.writer(name, term);
  }

  async fence(term: number): Promise<void> {
    await Promise.all([this.#written.fence(term), this.#other.fence(term)]);
  }

  /** A writer of the other kind was one of an earlier run. */
  async seal(writer: string): Promise<void> {
    await this.#written.seal(writer);
    if ((await this.#other.writers()).includes(writer)) await this.#other.seal(writer);
  }

  async read(afterBatch: number): Promise<readonly LoggedRange[]> {
    const both = await Promise.all([this.#written.read(afterBatch), this.#other.read(afterBatch)]);
    const [written, other] = both;
    if (other.length === 0) return written;
    return mergeRanges(both.flat(), afterBatch, (a, b) => sameBytes(a.record, b.record));
  }

  async writers(): Promise<readonly string[]> {
    const both = await Promise.all([this.#written.writers(), this.#other.writers()]);
    return [...new Set(both.flat())];
  }

  async release(throughBatch: number): Promise<void> {
    await this.#written.release(throughBatch);
    await this.#other.release(throughBatch);
  }
}
