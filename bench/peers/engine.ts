// What the measures ask of an engine, whichever it is.

export type YsbJob = {
  readonly bootstrap: string;
  readonly in: string;
  readonly out: string;
  /** Lines of `ad_id,campaign_id`. */
  readonly adsFile: string;
  readonly windowMs: number;
  readonly watermarkDelayMs: number;
  readonly checkpointSeconds: number;
};

export type Engine = {
  readonly name: EngineName;
  readonly guarantee: 'exactly-once' | 'at-least-once';
  /**
   * `closed`: a result is final. `revised`: one comes with each micro-batch, and nothing says which
   * is final. `one a view`: likewise, with each event that counts.
   */
  readonly results: 'closed' | 'revised' | 'one a view';
  /** Starts what outlives a job, and tells whether there is such a thing. */
  startCluster(): Promise<boolean>;
  submit(job: YsbJob): Promise<void>;
  /** When it began to process the job, epoch ms; null: it has not. */
  processingSince(): Promise<number | null>;
  /** Its processes, each with all below it. */
  roots(): readonly number[];
  /** By SIGKILL; what a supervisor would start again then is started again. */
  killWorker(): Promise<void>;
  endJob(): Promise<void>;
  stopCluster(): Promise<void>;
};

export const engineNames = [
  'mizzle',
  'mizzle-at-least-once',
  'flink',
  'flink-exactly-once',
  'spark',
  'spark-update',
  'spark-rtm',
] as const;

export type EngineName = (typeof engineNames)[number];

/** How the query's programs take their options. */
export function environmentOf(job: YsbJob): Record<string, string> {
  return {
    BOOTSTRAP: job.bootstrap,
    IN: job.in,
    OUT: job.out,
    ADS: job.adsFile,
    WINDOW_MS: String(job.windowMs),
    WATERMARK_DELAY_MS: String(job.watermarkDelayMs),
    CHECKPOINT_SECONDS: String(job.checkpointSeconds),
  };
}
