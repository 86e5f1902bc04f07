// The port of input. A source has a fixed number of partitions; each is read by one reader, which
// lives on one worker. Readers prefetch by themselves, so that `take` never waits.

import type { SourceFormat } from '../plan/logical-plan.ts';
import type { JsonValue, RowSchema } from '../schema/data-type.ts';
import type { SourceChunk } from './source-chunk.ts';

/** Connector options the engine gives to a source when it opens. */
export type SourceContext = {
  /** Epoch ms, the run's own clock. */
  nowMs(): number;
  /**
   * Tells whoever operates the run something that ends nothing: in lower case, with what to do.
   * Whose source it is need not be said.
   */
  warn(text: string): void;
  /** When the run started, epoch ms; the same number on all workers and on a restart. */
  readonly startMs: number;
  /** The source's schema and format as declared in the pipeline. */
  readonly schema: RowSchema;
  readonly format: SourceFormat;
  /** Workers of the run: a source that can be split at will may use as many partitions. */
  readonly workerCount: number;
  /**
   * What the source's `layout` said; absent or null before it was asked or without one. A run that
   * resumes gives the layout of the run it resumes, also to `layout` itself, which keeps to it.
   */
  readonly layout?: JsonValue;
  /**
   * In `open`: where the reader begins, the `to` of the last range that is known. Absent: at the
   * start.
   */
  readonly from?: number;
};

/** A source as the user names it in a pipeline: opens nothing until the run starts. */
export interface Source {
  /** Connector kind, stable: `files`. */
  readonly kind: string;
  /** What it reads: `data/*.jsonl`. */
  readonly description: string;
  readonly format: SourceFormat;
  /**
   * A range can be read again, by `replayer`, and reading can begin at `from`. Runs over a source
   * that cannot are at-most-once.
   */
  readonly replayable: boolean;
  /**
   * `client`: only the process that called `run` can read it (its standard input); other hosts
   * would read something else. Default: `worker`, anywhere.
   */
  readonly location?: 'worker' | 'client';
  /**
   * Asked once, at the driver, before `partitions`; all further contexts carry the answer. A
   * source whose world moves (a file grows, a folder gets a file) decides here what partition p is,
   * so that all workers agree. Rejects with StreamError.
   */
  layout?(context: SourceContext): Promise<JsonValue>;
  /** Asked once, at the driver, when a run starts; rejects with StreamError. */
  partitions(context: SourceContext): Promise<number>;
  open(partition: number, context: SourceContext): Promise<SourceReader>;
  /** Required of a source that is replayable. Any worker may ask, while another one reads on. */
  replayer?(partition: number, context: SourceContext): Promise<SourceReplayer>;
  /** Absolute paths of the files that a layout reads, so that no sink of the job empties them. */
  paths?(layout: JsonValue): readonly string[];
}

/** Reads one partition, in order. */
export interface SourceReader {
  /**
   * Takes what is ready now, at most about `bytesMax` bytes (one record more at most). Synchronous:
   * returns an empty chunk when nothing is ready. After `ended` it is not called again. Throws a
   * StreamError when reading failed. Bytes stay valid until the second next `take`.
   */
  take(bytesMax: number): SourceChunk;
  /** Something can be taken now, or the end is known, or reading failed. */
  ready(): boolean;
  /** Called whenever `ready()` turns true. One listener. */
  onReady(listener: () => void): void;
  /** From now on the reader gives nothing new: it ends as soon as it can. Idempotent. */
  finish(): void;
  /** How far behind it is; null where the source cannot know. */
  lag(): SourceLag;
  close(): Promise<void>;
}

/** Reads ranges of one partition again, in any order. */
export interface SourceReplayer {
  /**
   * The records of [from, to), which a reader gave as one range or several on end: the same bytes
   * or rows, of the same origin at the same offsets. Pieces may be cut elsewhere. `ended` is always
   * false: who remembers the range remembers that. Rejects with a StreamError that names file and
   * offset when the data is gone or was changed. The chunk stays valid.
   */
  read(from: number, to: number): Promise<SourceChunk>;
  close(): Promise<void>;
}

export type SourceLag = {
  readonly records: number | null;
  readonly bytes: number | null;
  /** Age of the oldest record that was not yet taken. */
  readonly ms: number | null;
};
