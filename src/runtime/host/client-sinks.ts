// The sinks that live where `run` was called: one writer for each sink partition, also of a sink
// that has only one beside side outputs or several stages that feed it.

import type { LogicalPlan, SinkId } from '../../plan/logical-plan.ts';
import type { Sink, SinkOutput } from '../../ports/sink.ts';
import type { JobConfig } from './job-config.ts';
import type { RunClock } from './run-clock.ts';
import type { SinkPlace } from './sink-writers.ts';
import { sinkRun, SinkWriters } from './sink-writers.ts';

export class ClientSinks {
  readonly #sinks: ReadonlyMap<SinkId, Sink>;
  readonly #writers: SinkWriters;
  readonly #inputs: readonly string[];
  readonly #newSinks: ReadonlySet<string>;

  constructor(options: {
    readonly plan: LogicalPlan;
    readonly sinks: ReadonlyMap<SinkId, Sink>;
    readonly clock: RunClock;
    readonly config: JobConfig;
    /** Absolute paths of the files that the job reads. */
    readonly inputs: readonly string[];
    /** Of which the checkpoint that the run resumes has nothing. */
    readonly newSinks: readonly string[];
  }) {
    const { plan, sinks, clock, config, inputs, newSinks } = options;
    this.#newSinks = new Set(newSinks);
    this.#sinks = sinks;
    this.#inputs = inputs;
    const run = sinkRun(plan.name, config);
    const { ledgers } = config;
    this.#writers = new SinkWriters({ specs: plan.sinks, sinks, clock, run, ledgers });
  }

  async prepare(): Promise<void> {
    try {
      for (const [id, sink] of this.#sinks) {
        const isNew = this.#newSinks.has(id);
        await sink.prepare({ ...this.#writers.context(id), isNew, inputs: this.#inputs });
      }
    } catch (error) {
      await this.abandon();
      throw error;
    }
  }

  /** Resolves when the rows are visible. Commits of one writer follow one another. */
  commit(id: SinkId, to: SinkPlace, output: SinkOutput): Promise<void> {
    return this.#writers.commit(id, to, output);
  }

  /** Closes the writers, then the sinks. */
  async finish(): Promise<void> {
    await this.#writers.close();
    for (const sink of this.#sinks.values()) await sink.finish();
  }

  /** Ends the sinks of a job that failed: whoever waits for rows waits no longer. */
  async abandon(): Promise<void> {
    // The job's own error says more than what ending them can say.
    await Promise.allSettled([...this.#sinks.values()].map(async (sink) => sink.finish()));
  }
}
