// The port of the range log: the durable memory of what each source partition contributed to each
// micro-batch. One writer is one life of one worker; sealing it is how a driver makes sure that a
// worker it has declared dead can add nothing any more.

export type LoggedRange = {
  readonly source: string;
  readonly partition: number;
  readonly batch: number;
  /** The range record, encoded; opaque to the log. */
  readonly record: Uint8Array;
};

export interface RangeLog {
  /** Where it is, for messages. */
  readonly description: string;
  /**
   * The log of one life of one worker; its name is a part of a blob's key. One object per name.
   * `term`: of the driver by whose order it begins.
   */
  writer(name: string, term: number): RangeLogWriter;
  /**
   * Once it resolves, no writer of a lesser term that has not appended yet ever will: it rejects
   * with `fenced`, and holds nothing. Those that have are in `writers`. Idempotent.
   */
  fence(term: number): Promise<void>;
  /**
   * Once it resolves, no append of that writer that has not resolved yet will: it rejects with
   * `fenced`, and what the log holds of the writer never grows. Idempotent, by any driver.
   */
  seal(writer: string): Promise<void>;
  /**
   * All records with a greater batch, ascending by batch, source, partition; what two writers have
   * both logged comes once. Rejects with `range-log-damaged` when something in the middle is not
   * readable, and with `range-log-conflict` when two records of one name differ.
   */
  read(afterBatch: number): Promise<readonly LoggedRange[]>;
  /**
   * Where a read costs by what was added since the one before: reads that, so that a driver that
   * asks now and then has little left to read when it must. Elsewhere nothing. `afterBatch`: behind
   * which it would read now.
   */
  keepUp(afterBatch: number): Promise<void>;
  /** Names of all writers that have appended or been sealed and are not forgotten. */
  writers(): Promise<readonly string[]>;
  /** Records up to this batch are no longer needed; they may go on existing. */
  release(throughBatch: number): Promise<void>;
  /** Where it holds connections: ends them, once all writers are closed. */
  close?(): Promise<void>;
}

export interface RangeLogWriter {
  /**
   * Resolves when the records are durable. Records of one writer keep the order of the calls;
   * everything that is queued while a write is under way goes into the next one. After a rejection
   * with another code than `fenced` the records may still become part of the log later.
   */
  append(records: readonly LoggedRange[]): Promise<void>;
  /** Waits for what is under way; afterwards nothing may be appended. */
  close(): Promise<void>;
}
