// A running pipeline as its user sees it.

/** A pipeline that runs. `await using job = await p.run()` stops it at the end of the block. */
export type Job = {
  status(): JobStatus;
  /** Takes no new input, finishes what was taken and resolves when all output is visible. */
  stop(): Promise<JobSummary>;
  /** Resolves at the end of bounded input or after `stop`; rejects with the StreamError it died of. */
  readonly done: Promise<JobSummary>;
  [Symbol.asyncDispose](): Promise<void>;
};

export type JobState = 'starting' | 'running' | 'draining' | 'finished' | 'failed';

export type JobStatus = JobCounts & {
  readonly state: JobState;
  readonly name: string;
  /** Since the run started. */
  readonly elapsedMs: number;
  /** The last micro-batch whose output is visible; -1 before the first. */
  readonly batch: number;
  /** Event time up to which windows are closed, epoch ms; null before the first event. */
  readonly watermarkMs: number | null;
  /** How far sources are behind, where they know. */
  readonly lag: JobLag;
  /** Of the last second. */
  readonly recordsInPerSecond: number;
  readonly microBatchMs: Percentiles;
  /** From a window's end until its last row was visible. */
  readonly latencyMs: Percentiles;
  readonly groupSize: number;
  readonly workers: number;
  readonly memoryBytes: number;
};

export type JobSummary = JobCounts & {
  readonly name: string;
  readonly elapsedMs: number;
  /** Micro-batches. */
  readonly batches: number;
  readonly microBatchMs: Percentiles;
  readonly latencyMs: Percentiles;
  readonly memoryBytesMax: number;
};

export type JobCounts = {
  /** Good records read. */
  readonly recordsIn: number;
  /** Records that could not be read and were skipped or sent to the dead letters. */
  readonly recordsBad: number;
  /** Rows that came after their last window had closed. */
  readonly recordsLate: number;
  readonly bytesIn: number;
  /** Rows to sinks. */
  readonly rowsOut: number;
};

export type JobLag = {
  readonly records: number | null;
  readonly bytes: number | null;
  readonly ms: number | null;
};

/** Null where nothing was measured yet. */
export type Percentiles = {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  readonly max: number | null;
};
