// The port of output. A sink has partitions (those of the stage that feeds it); each is written by
// one writer in order of micro-batches, and becomes visible atomically, micro-batch by micro-batch,
// together with a ledger entry that says which micro-batch it was.

import type { Batch } from '../data/columnar/batch.ts';
import type { RowSchema } from '../schema/data-type.ts';

/** Which run writes, and as whom: the ledger's key is (pipeline, history, sink, partition). */
export type SinkRun = {
  readonly pipeline: string;
  /** One line of micro-batch numbers. A run that resumes goes on with the history it resumes. */
  readonly history: string;
  /**
   * Who comes later in the order (term, incarnation) fences who came before, and an equal pair
   * fences its own former writer. So the incarnation must not fall when, within a term, a sink
   * partition moves to another worker.
   */
  readonly term: number;
  readonly incarnation: number;
  /**
   * False: a new run, of a new history; `prepare` refuses or takes away what is there, and starts
   * the ledger. True: `prepare` and `open` keep what is visible, and the run goes on behind it. A
   * history that `prepare` knows already is kept either way: its run was prepared before.
   */
  readonly resumes: boolean;
  /**
   * Not null: a new history follows these, and output of theirs stays. `prepare` fences their
   * writers, makes visible what those had committed, and starts the new history's ledger behind it.
   */
  readonly keeps: readonly string[] | null;
};

export type SinkContext = {
  nowMs(): number;
  readonly schema: RowSchema;
  /** The name it has in the plan: for errors, and as the sink's part of the ledger's key. */
  readonly name: string;
  readonly run: SinkRun;
  /**
   * In `prepare` of a run that resumes: true where its checkpoint has nothing of this sink, so that
   * it need not have been there before.
   */
  readonly isNew?: boolean;
  /** In `prepare`: absolute paths of the files that the job reads. */
  readonly inputs?: readonly string[];
};

/** A sink as the user names it in a pipeline: opens nothing until the run starts. */
export interface Sink {
  /** Connector kind, stable: `files`. */
  readonly kind: string;
  readonly description: string;
  /**
   * 1: the rows of a stream meet in one sink partition, and all writers are opened where `run` was
   * called; side outputs (late rows, dead letters) and a second stream that ends here still have
   * partitions of their own. null: one per stage partition.
   */
  readonly partitions: 1 | null;
  /**
   * `worker`: a writer is opened beside the task that feeds it. `client`: rows travel to the thread
   * that called `run`, where the pipeline's own object gets them (memory, console, callbacks).
   */
  readonly location: 'worker' | 'client';
  /** Called once at the start of a run, at the client, before any writer opens. */
  prepare(context: SinkContext): Promise<void>;
  /**
   * Fences all older writers of the sink partition, and only then looks for the last visible
   * micro-batch. Rejects with code `fenced` when a newer writer has been there.
   */
  open(partition: number, context: SinkContext): Promise<SinkWriter>;
  /**
   * Called once at the end of a run, at the client, after all writers closed; also when the run
   * failed, and then as soon as the workers are gone. What was committed stays visible.
   */
  finish(): Promise<void>;
}

export interface SinkWriter {
  /**
   * The last micro-batch of this sink partition that was visible when the writer opened, by the
   * ledger; -1: none. Micro-batches without rows leave no entry.
   */
  readonly committedThrough: number;
  /**
   * Makes the micro-batch's rows visible together with its ledger entry, all or nothing, and
   * resolves when they are. Called with rising `batch` above `committedThrough`, never twice at a
   * time; micro-batches without rows may be left out, and are no error. Rejects with code `fenced`,
   * and changes nothing that is visible, when a newer writer has opened.
   *
   * After any other rejection the micro-batch is visible or it is not: who wants to know opens a
   * new writer and reads its `committedThrough`.
   */
  commit(output: SinkOutput): Promise<void>;
  /** Whoever reads afterwards sees all that was committed. */
  close(): Promise<void>;
}

export type SinkOutput = {
  readonly batch: number;
  readonly rows: Batch;
  /** The sink partition's watermark after the micro-batch. */
  readonly watermarkMs: number;
};
