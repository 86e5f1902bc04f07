// The port of output. A sink has partitions (those of the stage that feeds it); each is written by
// one writer in order of micro-batches, and becomes visible atomically, micro-batch by micro-batch.

import type { Batch } from '../data/columnar/batch.ts';
import type { RowSchema } from '../schema/data-type.ts';

export type SinkContext = {
  nowMs(): number;
  readonly schema: RowSchema;
  /** The name it has in the plan, for errors. */
  readonly name: string;
  /** In `prepare`: absolute paths of the files that the job reads. */
  readonly inputs?: readonly string[];
};

/** A sink as the user names it in a pipeline: opens nothing until the run starts. */
export interface Sink {
  /** Connector kind, stable: `files`. */
  readonly kind: string;
  readonly description: string;
  /** 1: all rows of the pipeline meet in one sink partition; null: one per stage partition. */
  readonly partitions: 1 | null;
  /**
   * `worker`: a writer is opened beside the task that feeds it. `client`: rows travel to the thread
   * that called `run`, where the pipeline's own object gets them (memory, console, callbacks).
   */
  readonly location: 'worker' | 'client';
  /** Called once at the start of a run, at the client, before any writer opens. */
  prepare(context: SinkContext): Promise<void>;
  open(partition: number, context: SinkContext): Promise<SinkWriter>;
  /**
   * Called once at the end of a run, at the client, after all writers closed; also when the run
   * failed, and then as soon as the workers are gone. What was committed stays visible.
   */
  finish(): Promise<void>;
}

export interface SinkWriter {
  /**
   * Makes the micro-batch's rows visible, all or nothing, and resolves when they are. Called with
   * rising `batch`, never twice at a time, and not at all for micro-batches without rows.
   */
  commit(output: SinkOutput): Promise<void>;
  close(): Promise<void>;
}

export type SinkOutput = {
  readonly batch: number;
  readonly rows: Batch;
  /** The sink partition's watermark after the micro-batch. */
  readonly watermarkMs: number;
};
